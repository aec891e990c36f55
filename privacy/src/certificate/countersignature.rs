//! What a site signs at the end of a run, with its own key.
//!
//! A coordinator signs what it says happened. Each site signs what it was told and what it
//! did: which plan, where its own ledger stood before and after, in how many rounds it gave an
//! update, and where the coordinator's ledger stood when it joined. So a coordinator that tells
//! two stories needs a signature that it can't make.

use serde::{Deserialize, Serialize};

use crate::certificate::key::{PublicKey, Signature, SigningKey};
use crate::digest::Sha256Digest;
use crate::ledger::LedgerPoint;

/// What is signed begins with this, so that a signature can't be taken for one of something
/// else.
const DOMAIN: &[u8] = b"umbel site statement 1\n";

/// The longest countersignature in bytes. One has a few names, digests and numbers.
const MOST_BYTES: usize = 16 * 1024;

/// What a site says about its part in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteStatement {
    /// The site's name in the run.
    pub client: String,
    /// The run's name.
    pub run: String,
    /// SHA-256 of the plan's bytes, as the site received them.
    pub plan_sha256: Sha256Digest,
    /// The coordinator, as the site saw it when it joined.
    pub coordinator: CoordinatorSeen,
    /// Where the site's ledger stood before its first entry for this plan.
    pub ledger_before: LedgerPoint,
    /// Where it stood at the end.
    pub ledger_after: LedgerPoint,
    /// Rounds in which the site gave an update; never fewer than those in which one counted.
    pub rounds: u32,
}

/// A coordinator, as a site saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoordinatorSeen {
    /// The key that signs its certificates.
    pub public_key: PublicKey,
    /// Where its ledger stood before the run.
    pub ledger: LedgerPoint,
}

/// A site's statement, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Countersignature {
    /// What the site says.
    pub statement: SiteStatement,
    /// The site's key.
    pub public_key: PublicKey,
    /// Its signature under the domain of these statements and the statement as compact JSON, fields in their order.
    pub signature: Signature,
}

/// Bytes that are no countersignature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCountersignature {
    /// Too long to be one.
    #[error("it has {0} bytes; {MOST_BYTES} at most are expected")]
    Length(usize),
    /// Not JSON with exactly its fields.
    #[error("it doesn't read as a countersignature ({0})")]
    Json(String),
    /// The signature isn't one of this statement by the key that it names.
    #[error("its signature doesn't match: it was changed after it was signed")]
    Signature,
}

impl Countersignature {
    /// Signs a statement.
    ///
    /// # Errors
    /// [`InvalidCountersignature::Json`] if it can't be written, which isn't known to happen.
    pub fn sign(
        statement: SiteStatement,
        key: &SigningKey,
    ) -> Result<Self, InvalidCountersignature> {
        let signature = key.sign(&message(&statement)?);
        Ok(Self {
            statement,
            public_key: key.public_key(),
            signature,
        })
    }

    /// Checks that the key which it names signed it.
    ///
    /// # Errors
    /// [`InvalidCountersignature`] where it didn't.
    pub fn check(&self) -> Result<(), InvalidCountersignature> {
        let message = message(&self.statement)?;
        match self.public_key.verifies(&message, &self.signature) {
            true => Ok(()),
            false => Err(InvalidCountersignature::Signature),
        }
    }

    /// Its bytes: compact JSON.
    ///
    /// # Errors
    /// [`InvalidCountersignature::Json`] if it can't be written, which isn't known to happen.
    pub fn to_bytes(&self) -> Result<Vec<u8>, InvalidCountersignature> {
        serde_json::to_vec(self).map_err(unreadable)
    }

    /// Reads bytes and checks the signature.
    ///
    /// # Errors
    /// [`InvalidCountersignature`] for anything but a countersignature as it was signed.
    pub fn read(bytes: &[u8]) -> Result<Self, InvalidCountersignature> {
        if bytes.len() > MOST_BYTES {
            return Err(InvalidCountersignature::Length(bytes.len()));
        }
        let read: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        read.check()?;
        Ok(read)
    }
}

fn message(statement: &SiteStatement) -> Result<Vec<u8>, InvalidCountersignature> {
    let content = serde_json::to_vec(statement).map_err(unreadable)?;
    Ok([DOMAIN, &content].concat())
}

fn unreadable(error: serde_json::Error) -> InvalidCountersignature {
    InvalidCountersignature::Json(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_rng::NoiseSource;

    fn key(name: &str) -> SigningKey {
        SigningKey::generate(&mut NoiseSource::seeded(1, name)).expect("a key")
    }

    fn signed() -> Countersignature {
        let statement = SiteStatement {
            client: "north".into(),
            run: "visits".into(),
            plan_sha256: Sha256Digest::of(b"plan"),
            coordinator: CoordinatorSeen {
                public_key: key("coordinator").public_key(),
                ledger: LedgerPoint::START,
            },
            ledger_before: LedgerPoint::START,
            ledger_after: LedgerPoint::START,
            rounds: 3,
        };
        Countersignature::sign(statement, &key("north")).expect("signed")
    }

    #[test]
    fn a_countersignature_is_read_as_it_was_signed() {
        let bytes = signed().to_bytes().expect("JSON");
        assert_eq!(Countersignature::read(&bytes), Ok(signed()));
    }

    #[test]
    fn no_byte_of_it_can_be_changed() {
        let bytes = signed().to_bytes().expect("JSON");
        for at in 0..bytes.len() {
            for flip in [1, 4, 32] {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                let read = Countersignature::read(&changed);
                assert!(read.is_err(), "byte {at} xor {flip}: {read:?}");
            }
        }
    }

    #[test]
    fn another_sites_key_doesnt_verify_it() {
        let mut other = signed();
        other.public_key = key("south").public_key();
        assert_eq!(other.check(), Err(InvalidCountersignature::Signature));
        assert!(Countersignature::read(&vec![b' '; MOST_BYTES + 1]).is_err());
    }
}
