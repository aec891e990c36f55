//! Ed25519 keys and signatures (RFC 8032), by ring.

use std::fmt;

use rand::CryptoRng;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::hexadecimal::{hexadecimal, lower_case_hex};

/// What stands before the digits of a private key's text, so that it isn't taken for a
/// public one.
const SECRET_PREFIX: &str = "umbel-ed25519-seed:";

/// A key that signs certificates.
pub struct SigningKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

/// The key that tells who signed.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

/// A signature.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signature([u8; 64]);

/// A text that is no key or signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Not a public key.
    #[error(
        "{0:?} isn't a public key; it must be 64 lower-case hexadecimal digits, as signing.pub \
         holds them"
    )]
    Public(String),
    /// Not a private key. Its text isn't shown.
    #[error("this isn't a signing key; it must be \"{SECRET_PREFIX}\" and 64 hexadecimal digits")]
    Secret,
    /// Not a signature.
    #[error("{0:?} isn't a signature; it must be 128 lower-case hexadecimal digits")]
    Signature(String),
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// [`InvalidKey::Secret`] never, as far as is known: any 32 bytes are a key.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Result<Self, InvalidKey> {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Self::from_seed(seed)
    }

    fn from_seed(seed: [u8; 32]) -> Result<Self, InvalidKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| InvalidKey::Secret)?;
        Ok(Self { seed, pair })
    }

    /// Reads what [`SigningKey::to_secret_text`] wrote, with or without a line break.
    ///
    /// # Errors
    /// [`InvalidKey::Secret`] for anything else.
    pub fn from_secret_text(text: &str) -> Result<Self, InvalidKey> {
        let digits = text.trim_end().strip_prefix(SECRET_PREFIX);
        let seed = digits.and_then(lower_case_hex).ok_or(InvalidKey::Secret)?;
        Self::from_seed(seed)
    }

    /// The key as a line of text, to be kept where nobody else can read it.
    pub fn to_secret_text(&self) -> String {
        format!("{SECRET_PREFIX}{}\n", hex::encode(self.seed))
    }

    /// Its public half.
    pub fn public_key(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(bytes)
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Signature {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.pair.sign(message).as_ref());
        Signature(bytes)
    }
}

impl fmt::Debug for SigningKey {
    /// Shows the public half only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(public {})", self.public_key())
    }
}

impl From<[u8; 32]> for PublicKey {
    /// Any 32 bytes; where they aren't a point of the curve, they verify nothing.
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl PublicKey {
    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this key's owner signed the message.
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0)
            .verify(message, &signature.0)
            .is_ok()
    }
}

hexadecimal!(PublicKey, InvalidKey, InvalidKey::Public);
hexadecimal!(Signature, InvalidKey, InvalidKey::Signature);

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    const SIGNED: &str = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
                          5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";

    #[test]
    fn keys_and_signatures_are_those_of_rfc_8032() {
        let key = SigningKey::from_secret_text(&format!("{SECRET_PREFIX}{SEED}\n")).unwrap();
        assert_eq!(key.public_key().to_string(), PUBLIC);
        assert_eq!(key.sign(b"").to_string(), SIGNED);
        let signature: Signature = SIGNED.parse().unwrap();
        assert!(key.public_key().verifies(b"", &signature));
        assert!(!key.public_key().verifies(b"x", &signature));
        assert!(!format!("{key:?}").contains(SEED));
    }

    #[test]
    fn a_public_key_is_no_signing_key_and_the_other_way_round() {
        assert!(SigningKey::from_secret_text(PUBLIC).is_err());
        let secret = format!("{SECRET_PREFIX}{SEED}");
        assert!(secret.parse::<PublicKey>().is_err());
        assert!(PUBLIC.to_uppercase().parse::<PublicKey>().is_err());
    }
}
