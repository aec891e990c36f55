//! What coordinator and sites show each other of their ledgers, and sign.
//!
//! A ledger that was put back from a backup is sound by itself; only the other side's memory can
//! tell. So a site says where its ledger stands when it joins, and is told where it stood when
//! it was last seen; and the coordinator's own ledger is there for every site to fetch. When the
//! run is over, each site signs what it was told and what it did.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use umbel_privacy::Sha256Digest;
use umbel_privacy::certificate::{Countersignature, PublicKey};
use umbel_privacy::ledger::{Discontinuity, LedgerPoint, SeenLedgers};
use umbel_proto::federation::{Refusal, RefusalKind};
use umbel_proto::message::{BlobDigest, ClientId, CoordinatorLedger};
use umbel_proto::plan::AgreedPlan;

/// How long a site that has signed waits to learn where the coordinator's ledger ended.
const LAST_ENTRY: Duration = Duration::from_secs(10);

/// The coordinator's side of it, from the ledger's opening to the last signature.
#[derive(Default)]
pub(crate) struct Witness {
    state: Mutex<State>,
    closed: Condvar,
}

#[derive(Default)]
struct State {
    /// `None` until the ledger is open.
    terms: Option<WitnessTerms>,
    end: End,
    signed: BTreeMap<ClientId, Countersignature>,
}

/// Where the coordinator's ledger ended.
#[derive(Clone, Copy, Default)]
enum End {
    /// The run isn't over.
    #[default]
    Ahead,
    /// The run is over; `None` where the ledger can't be read any more.
    At(Option<LedgerPoint>),
}

/// What is fixed when the ledger is opened.
pub struct WitnessTerms {
    /// The run's name.
    pub(crate) run: String,
    /// SHA-256 of the plan.
    pub(crate) plan: Sha256Digest,
    /// The key that will sign the certificate.
    pub(crate) public_key: PublicKey,
    /// The ledger's bytes and where it stands.
    pub(crate) ledger: (Arc<[u8]>, LedgerPoint),
    /// Digest of the bytes: it takes long to make where the ledger is long.
    pub(crate) digest: BlobDigest,
    /// Where sites' ledgers stood; `None` in a simulation, whose sites begin anew.
    pub(crate) seen: Option<SeenLedgers>,
}

fn refusal(kind: RefusalKind, reason: impl Into<String>) -> Refusal {
    Refusal {
        kind,
        reason: reason.into(),
    }
}

fn mismatch(reason: impl Into<String>) -> Refusal {
    refusal(RefusalKind::Mismatch, reason)
}

impl WitnessTerms {
    /// Of a run by this plan, which nobody but `public_key` will certify, and of the ledger as it
    /// is before it.
    pub fn new(
        plan: &AgreedPlan,
        public_key: PublicKey,
        ledger: (Arc<[u8]>, LedgerPoint),
        seen: Option<SeenLedgers>,
    ) -> Self {
        Self {
            run: plan.run.to_string(),
            plan: plan.digest(),
            public_key,
            digest: BlobDigest::of(&ledger.0),
            ledger,
            seen,
        }
    }
}

impl Witness {
    /// The ledger is open, and sites may join.
    pub(crate) fn open(&self, terms: WitnessTerms) {
        self.lock().terms = Some(terms);
    }

    /// What a site that joins is told of the coordinator's ledger, and of its own as it was
    /// last seen.
    ///
    /// # Errors
    /// [`Refusal`] for a site whose ledger got shorter or forked since it was last seen.
    pub(crate) fn greet(
        &self,
        client: &ClientId,
        ledger: LedgerPoint,
    ) -> Result<(CoordinatorLedger, Option<LedgerPoint>), Refusal> {
        let mut state = self.lock();
        let Some(terms) = &mut state.terms else {
            return Err(mismatch("the run isn't open yet; try again in a moment"));
        };
        let (_, point) = &terms.ledger;
        let own = CoordinatorLedger {
            public_key: terms.public_key,
            point: *point,
            digest: terms.digest,
        };
        let Some(seen) = &mut terms.seen else {
            return Ok((own, None));
        };
        let remembered = seen.get(client.as_str());
        if let Some(remembered) = &remembered
            && let Err(why) = remembered.check_before(&ledger)
        {
            tracing::error!(%client, "its ledger doesn't go on from where it was seen: {why}");
            return Err(lost(client, why, seen));
        }
        remember(seen, client, ledger)?;
        Ok((own, remembered))
    }

    /// The ledger's bytes, if they are what is asked for.
    pub(crate) fn blob(&self, digest: &BlobDigest) -> Option<Arc<[u8]>> {
        let state = self.lock();
        let terms = state.terms.as_ref()?;
        let (bytes, _) = &terms.ledger;
        (terms.digest == *digest).then(|| Arc::clone(bytes))
    }

    /// Takes a site's countersignature, and says where the coordinator's ledger ended.
    ///
    /// # Errors
    /// [`Refusal`] for what isn't about this site and this run, or contradicts what it signed
    /// before.
    pub(crate) fn countersign(
        &self,
        client: &ClientId,
        signed: Countersignature,
    ) -> Result<Option<LedgerPoint>, Refusal> {
        let mut state = self.lock();
        let earlier = state.signed.get(client).map(|earlier| &earlier.statement);
        let earlier = earlier.map(|earlier| earlier.ledger_after);
        let Some(terms) = &mut state.terms else {
            return Err(mismatch("the run isn't open yet; try again in a moment"));
        };
        check(terms, client, &signed)?;
        let after = signed.statement.ledger_after;
        let before = earlier.unwrap_or(signed.statement.ledger_before);
        if let Err(why) = before.check_before(&after) {
            return Err(mismatch(format!(
                "the site's ledger, as it signed it: {why}"
            )));
        }
        if let Some(seen) = &mut terms.seen {
            if let Some(remembered) = seen.get(client.as_str())
                && let Err(why) = remembered.check_before(&after)
            {
                return Err(lost(client, why, seen));
            }
            remember(seen, client, after)?;
        }
        state.signed.insert(client.clone(), signed);
        let ahead = |state: &mut State| matches!(state.end, End::Ahead);
        let (state, _) = self
            .closed
            .wait_timeout_while(state, LAST_ENTRY, ahead)
            .unwrap_or_else(PoisonError::into_inner);
        Ok(match state.end {
            End::Ahead => None,
            End::At(point) => point,
        })
    }

    /// The run is over, and the coordinator's ledger stands here.
    pub(crate) fn close(&self, point: Option<LedgerPoint>) {
        self.lock().end = End::At(point);
        self.closed.notify_all();
    }

    /// What was signed, in the order of the sites' names.
    pub(crate) fn signed(&self) -> Vec<Countersignature> {
        self.lock().signed.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a statement is about this client and this run.
fn check(
    terms: &WitnessTerms,
    client: &ClientId,
    signed: &Countersignature,
) -> Result<(), Refusal> {
    let statement = &signed.statement;
    if signed.check().is_err() {
        return Err(mismatch(
            "the signature under the site's statement doesn't match",
        ));
    }
    if statement.client != client.as_str() {
        let name = &statement.client;
        return Err(mismatch(format!(
            "the statement is {name}'s, and {client} handed it in"
        )));
    }
    if (statement.run.as_str(), statement.plan_sha256) != (terms.run.as_str(), terms.plan) {
        return Err(mismatch("the statement is about another run or plan"));
    }
    let (_, point) = &terms.ledger;
    let seen = &statement.coordinator;
    if (seen.public_key, seen.ledger) != (terms.public_key, *point) {
        return Err(mismatch(
            "the statement names another ledger or key of the coordinator than this run's; \
             perhaps the coordinator was started again meanwhile",
        ));
    }
    Ok(())
}

fn remember(seen: &mut SeenLedgers, client: &ClientId, point: LedgerPoint) -> Result<(), Refusal> {
    seen.note(client.as_str(), point).map_err(|error| {
        tracing::error!(%client, "where its ledger stands can't be remembered: {error}");
        Refusal {
            // A full disk, most likely: the site waits until somebody has made space.
            kind: RefusalKind::Away,
            reason: "the coordinator can't remember this site's ledger; its log says more".into(),
        }
    })
}

fn lost(client: &ClientId, why: Discontinuity, seen: &SeenLedgers) -> Refusal {
    mismatch(format!(
        "the ledger of {client} doesn't go on from where this coordinator last saw it: {why}. What \
         was spent since would be forgotten, so the site must put its own ledger back. If it is \
         lost for good, the coordinator's operator may take {client} out of {}",
        seen.path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
    ))
}

#[cfg(test)]
#[path = "witness_tests.rs"]
mod tests;
