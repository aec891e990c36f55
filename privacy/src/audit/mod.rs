//! Auditing: how much privacy is left at most, measured on the private path itself.
//!
//! Canaries are made-up units. Each of them is in the data or not, by a fair coin. The path
//! runs once, its releases are scored, and the coins are guessed from the scores. Whoever
//! guesses better than epsilon allows has shown that epsilon is wrong ([`one_run`]). For the
//! unit `client` there is an estimate besides ([`client_estimate`]), which proves nothing.
//!
//! | module | what it is for |
//! |---|---|
//! | [`one_run`] | guesses to a lower bound on epsilon, with its confidence |
//! | [`canaries`] | coins, scores and guesses |
//! | [`path`] | what is audited: clipping, lattice, sampling, ledger, noise, divisor |
//! | [`power`] | how many guesses to make, and which bound to expect of a tight mechanism |
//! | [`client_estimate`] | Andrew et al. 2023, an estimate |
//!
//! Nothing here reads anybody's rows. A canary's update is a constant of the audit.

pub mod canaries;
pub mod client_estimate;
pub mod one_run;
pub mod path;
pub mod power;

use rand::CryptoRng;

pub use client_estimate::ClientEstimate;
pub use one_run::{Confidence, Guesses};
pub use path::{AuditedMechanism, PathError, PathUnderAudit, PrivatePath};
pub use power::GuessingPlan;

use crate::accountant::{Accountant, Delta, Epsilon, PldAccountant};
use crate::poisson::SamplingRate;

/// The fewest canaries that can say anything.
pub const FEWEST_CANARIES: usize = 100;
/// The most canaries: what fits into memory many times over.
pub const MOST_CANARIES: usize = 1_000_000;
/// The most rounds that are run: each one is an entry of a ledger in memory.
pub const MOST_ROUNDS: u64 = 100_000;

/// What to audit, and how sure to be.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// The mechanism, as it is claimed.
    pub mechanism: AuditedMechanism,
    /// The delta of the claim.
    pub delta: Delta,
    /// How many canaries there are.
    pub canaries: usize,
    /// The probability with which the lower bound has to hold.
    pub confidence: Confidence,
}

/// Why nothing was audited.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Too few or too many canaries.
    #[error("{0} canaries can't be audited with; use {FEWEST_CANARIES} to {MOST_CANARIES}")]
    Canaries(usize),
    /// No round, or too many.
    #[error("{0} rounds can't be audited; use 1 to {MOST_ROUNDS}, as the code is the same in each")]
    Rounds(u64),
    /// The accountant has no figure to compare with.
    #[error(transparent)]
    Accounting(#[from] crate::accountant::AccountingError),
    /// The path refused what it was given.
    #[error("the private path failed: {0}")]
    Path(#[from] PathError),
}

/// What an audit found.
#[derive(Clone, Debug)]
pub struct AuditFinding {
    /// The accountant's epsilon: at most this much is claimed to be lost.
    pub claimed: Epsilon,
    /// At least this much was lost, with the confidence that was asked for. 0 says nothing.
    pub lower_bound: f64,
    /// How many guesses were to be made, and which bounds were to be expected: the power.
    pub plan: GuessingPlan,
    /// The guesses that the bound is made of.
    pub guesses: Guesses,
    /// Noisy sums that were released.
    pub released: u64,
    /// Noisy sums that the path's ledger was charged for.
    pub charged: u64,
}

/// Whether a claim survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it.
    NotContradicted,
    /// More was lost than is claimed.
    BoundAboveClaim,
    /// Something was released that the ledger wasn't charged for.
    Uncharged,
}

impl AuditFinding {
    /// Whether the claim survived.
    pub fn verdict(&self) -> Verdict {
        if self.charged < self.released {
            Verdict::Uncharged
        } else if self.lower_bound > self.claimed.get() {
            Verdict::BoundAboveClaim
        } else {
            Verdict::NotContradicted
        }
    }
}

impl AuditSettings {
    /// Refuses sizes that can't be audited.
    ///
    /// # Errors
    /// [`AuditError::Canaries`] and [`AuditError::Rounds`].
    pub fn check(&self) -> Result<(), AuditError> {
        if !(FEWEST_CANARIES..=MOST_CANARIES).contains(&self.canaries) {
            return Err(AuditError::Canaries(self.canaries));
        }
        if !(1..=MOST_ROUNDS).contains(&self.mechanism.rounds) {
            return Err(AuditError::Rounds(self.mechanism.rounds));
        }
        Ok(())
    }

    /// The accountant's epsilon of all rounds: what is claimed.
    ///
    /// # Errors
    /// [`AuditError::Accounting`] where the accountant has none.
    pub fn claimed(&self) -> Result<Epsilon, AuditError> {
        let mut accountant = PldAccountant::new(self.mechanism.adjacency);
        accountant.compose(&self.mechanism.event(), self.mechanism.rounds)?;
        Ok(accountant.epsilon(self.delta))
    }

    /// The number that sums are divided by where nothing else is said: the canaries that a
    /// round is expected to have, and at least 1. It is public, and no count of who came.
    pub fn public_divisor(canaries: usize, rate: SamplingRate) -> f64 {
        (0.5 * canaries as f64 * rate.get()).max(1.0)
    }
}

/// Runs all rounds of `path` on canaries and bounds epsilon from below.
///
/// `chance` decides how many guesses are made and which canaries are in; it must not be the
/// generator of the path's noise. `round_done` is told after each round how many are done.
///
/// # Errors
/// [`AuditError`].
pub fn audit<P: PathUnderAudit, R: CryptoRng + ?Sized>(
    settings: &AuditSettings,
    path: &mut P,
    chance: &mut R,
    round_done: &mut dyn FnMut(u64),
) -> Result<AuditFinding, AuditError> {
    settings.check()?;
    let claimed = settings.claimed()?;
    // Fixed before the first release, from the claim alone.
    let plan = power::plan(settings, claimed, chance);
    let canaries = canaries::Canaries::toss(settings.canaries, chance);
    let scores = canaries.run(&settings.mechanism, path, round_done)?;
    let guesses = canaries.guess(&scores, plan.guesses);
    Ok(AuditFinding {
        claimed,
        lower_bound: one_run::lower_bound(guesses, settings.delta, settings.confidence),
        plan,
        guesses,
        released: settings.mechanism.rounds,
        charged: path.charged(),
    })
}
