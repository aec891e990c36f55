//! What can happen to a run, and what it then asks for.

use umbel_proto::message::{BlobDigest, ClientId, Ending};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client is ready to train (again, perhaps).
    Joined(ClientId),
    /// A client can't go on, or nothing is heard of it.
    Left(ClientId),
    /// Nobody waits for more clients any longer.
    GatheringOver,
    /// The budget allows the next round.
    RoundPermitted,
    /// The budget doesn't.
    BudgetExhausted,
    /// These clients are drawn for the round.
    CohortDrawn(Vec<ClientId>),
    /// A client handed in an update with this digest, whose content was found valid.
    UpdateArrived {
        /// Who.
        client: ClientId,
        /// For which round.
        round: u32,
        /// Hash of the update's bytes.
        digest: BlobDigest,
    },
    /// The round's time is over, or that of a pause.
    DeadlinePassed,
    /// The ledger has the round's entry, on disk.
    SpendRecorded,
    /// The round's result is stored and may be offered.
    Released,
    /// This round's numbers aren't finite. Its result is stored: it is being released, or was,
    /// where only its scores tell, which come later.
    Diverged {
        /// The round.
        round: u32,
    },
    /// Whoever conducts the run wants it to end: after the round that is open, if one is.
    Stop,
    /// The driver can't go on (disk full, say).
    Broken(String),
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask the budget gate whether this round may start, or be tried again.
    AskGate {
        /// The round, from 1.
        round: u32,
    },
    /// Wait for clients that are missing, for as long as a pause may take.
    Pause {
        /// The round that is to begin once enough are here.
        round: u32,
        /// Who is missing.
        missing: Vec<ClientId>,
    },
    /// Draw the round's cohort.
    DrawCohort {
        /// The round.
        round: u32,
        /// From 0; a repeated round is drawn afresh.
        attempt: u32,
    },
    /// Offer the round to its cohort, starting from an empty sum.
    Open {
        /// The round.
        round: u32,
        /// Tries before this one.
        attempt: u32,
        /// Who is to train.
        cohort: Vec<ClientId>,
    },
    /// Enough updates are here: wait for the others no longer than a grace after this.
    GrantGrace {
        /// The round.
        round: u32,
        /// Tries before this one.
        attempt: u32,
    },
    /// Add the update that just arrived to the sum.
    Count(ClientId),
    /// Write the round's entry into the ledger, durably.
    RecordSpend {
        /// The round.
        round: u32,
    },
    /// Draw noise, take the optimiser's step, store and offer the result.
    Release {
        /// The round.
        round: u32,
        /// Who took part and who didn't.
        participation: Participation,
    },
    /// The run is over.
    Finish(Ending),
}

/// Who took part in a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participation {
    /// Whose updates count.
    pub counted: Vec<ClientId>,
    /// Who was in the cohort and sent nothing that counts.
    pub missing: Vec<ClientId>,
}

/// Why an update doesn't count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedUpdate {
    /// The round isn't open.
    #[error("round {0} isn't open (any more); ask for the next task")]
    Closed(u32),
    /// The client isn't in the cohort.
    #[error("this client isn't in the round's cohort; ask for the next task")]
    NotInCohort,
    /// Another update of this client counts already.
    #[error(
        "another update of this client already counts in this round; an update can't be replaced"
    )]
    Conflicting,
}
