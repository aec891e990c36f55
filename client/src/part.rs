//! A client's part in a run, at its site: what the loop that talks to the coordinator asks for, and
//! what the site signs of it at the end.

use umbel_privacy::certificate::{
    CoordinatorSeen, Countersignature, InvalidCountersignature, SigningKey, SiteStatement,
};
use umbel_privacy::ledger::{LedgerEntry, LedgerPoint};
use umbel_proto::message::{BlobDigest, ClientId};
use umbel_proto::plan::{AgreedPlan, Plan};

use crate::site::SiteError;
use crate::site_ledger::{OpenRound, Owed};

/// A site that has accepted a plan and is ready to train. [`crate::site::Site`] is the one with a
/// model and rows.
pub trait AtSite: Send {
    /// The plan that this site follows.
    fn plan(&self) -> &Plan;

    /// What this site owes a round that begins with the parameters of this digest: an update
    /// that it has, or one that is yet to be trained.
    ///
    /// # Errors
    /// [`SiteError`] for a round that the site doesn't answer.
    fn asked(&self, round: u32, parameters: BlobDigest) -> Result<Owed, SiteError>;

    /// Is told the site's last update that is in the model, with each task. Who remembers something
    /// from round to round goes on from there.
    fn heard(&mut self, counted: Option<BlobDigest>) {
        let _ = counted;
    }

    /// Pays for an update before it is trained, so that many sites can do so together. A site
    /// that doesn't pays when it trains.
    ///
    /// # Errors
    /// [`SiteError`]; then nothing may be trained.
    fn pay(&mut self, open: &OpenRound) -> Result<(), SiteError> {
        let _ = open;
        Ok(())
    }

    /// Forgets the bytes of an update for a round before this one, which nobody can ask for any
    /// more.
    ///
    /// # Errors
    /// [`SiteError`] where the disk doesn't allow it.
    fn forget_before(&mut self, round: u32) -> Result<(), SiteError> {
        let _ = round;
        Ok(())
    }

    /// Trains in one round from its parameters (little-endian f32) and returns the encoded
    /// update: after the site's ledger has what it costs, or that it protects nobody, and after
    /// it was kept, so that these very bytes can be sent again.
    ///
    /// # Errors
    /// [`SiteError`]; then nothing must be sent.
    fn train(&mut self, open: &OpenRound, parameters: &[u8]) -> Result<Vec<u8>, SiteError>;

    /// What the site's ledger comes to by now; `None` for a run without privacy.
    fn epsilon(&self) -> Option<f64>;

    /// What the site says of its part in the run, signed. To be asked before
    /// [`AtSite::close`], which forgets what was given.
    ///
    /// # Errors
    /// [`SiteError::Plan`] if it can't be written, which isn't known to happen.
    fn countersign(&self, coordinator: CoordinatorSeen) -> Result<Countersignature, SiteError>;

    /// The run is over: nothing of it will be sent again.
    ///
    /// # Errors
    /// [`SiteError`] where the disk doesn't allow it.
    fn close(&mut self) -> Result<(), SiteError>;
}

/// What a site did in a run, as it signs it.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The site.
    pub client: &'a ClientId,
    /// The plan that it followed.
    pub plan: &'a AgreedPlan,
    /// Its ledger.
    pub entries: &'a [LedgerEntry],
    /// Rounds in which it gave an update.
    pub rounds: u32,
}

impl Part<'_> {
    /// Signs it, and where both ledgers stood.
    ///
    /// # Errors
    /// Where it can't be written, which isn't known to happen.
    pub fn countersign(
        &self,
        coordinator: CoordinatorSeen,
        key: &SigningKey,
    ) -> Result<Countersignature, InvalidCountersignature> {
        let plan = self.plan.digest();
        let first = self.entries.iter().position(|e| e.plan == Some(plan));
        let before = &self.entries[..first.unwrap_or(self.entries.len())];
        let statement = SiteStatement {
            client: self.client.to_string(),
            run: self.plan.run.to_string(),
            plan_sha256: plan,
            coordinator,
            ledger_before: LedgerPoint::after(before),
            ledger_after: LedgerPoint::after(self.entries),
            rounds: self.rounds,
        };
        Countersignature::sign(statement, key)
    }
}
