//! Which rounds of a plan a site answers, and which it refuses.

use umbel_proto::message::BlobDigest;

use crate::draws::believable;
use crate::outbox::Answer;

/// A round that this site won't answer. Nothing was sent for it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RoundRefusal {
    /// The plan has no such round.
    #[error(
        "the coordinator asked for round {round}, and the plan has rounds 1 to {rounds}; nothing \
         was sent"
    )]
    OutOfRange {
        /// The round.
        round: u32,
        /// Rounds of the plan.
        rounds: u32,
    },
    /// A later round was answered already.
    #[error(
        "the coordinator asked for round {round} after round {last}; this site paid for each \
         round of the plan once, and answers them in their order; nothing was sent. To start the \
         run again, give it another run.name; it is then paid for again"
    )]
    OutOfOrder {
        /// The round.
        round: u32,
        /// The last one that was answered.
        last: u32,
    },
    /// The round was answered, and not from these parameters.
    #[error(
        "the coordinator asked for round {round} again, from other parameters; this site paid \
         for one update of each round; nothing was sent. To start the run again, give it another \
         run.name; it is then paid for again"
    )]
    OtherParameters {
        /// The round.
        round: u32,
    },
    /// The round was answered, and the answer is gone.
    #[error(
        "the coordinator asked for round {round} again after the run had ended; this site paid \
         for one update of each round, and it isn't kept any more; nothing was sent. To start \
         the run again, give it another run.name; it is then paid for again"
    )]
    AnsweredAlready {
        /// The round.
        round: u32,
    },
    /// No honest draw asks one client so often.
    #[error(
        "this site was asked in {asked} of {round} rounds at a sampling rate of {sampling_rate}: \
         in an honest draw that has a chance below one in a billion, and the price that this site \
         paid for the plan counts on an honest draw; nothing was sent"
    )]
    NotBelievable {
        /// Rounds in which the site was asked, this one included.
        asked: u32,
        /// The round.
        round: u32,
        /// With which each round is to draw this site.
        sampling_rate: f64,
    },
    /// The ledger has the plan's entry, and the outbox beside it is gone.
    #[error(
        "this site's ledger has paid for this run's plan, but the outbox beside it is gone, so \
         nobody knows which rounds were answered; put the folder back, or have the run started \
         again under another run.name, which is paid for again"
    )]
    AnswersLost,
}

/// What the coordinator asks of a site that paid ahead.
pub(crate) struct Claim {
    /// The round.
    pub round: u32,
    /// What it begins with.
    pub parameters: BlobDigest,
    /// With which each round draws this site.
    pub sampling_rate: f64,
    /// Rounds of the plan.
    pub planned: u32,
}

/// Refuses a round that the plan doesn't have.
pub(crate) fn check_range(round: u32, rounds: u32) -> Result<(), RoundRefusal> {
    if (1..=rounds).contains(&round) {
        Ok(())
    } else {
        Err(RoundRefusal::OutOfRange { round, rounds })
    }
}

/// Refuses a round that a site which paid for all rounds ahead doesn't owe: one out of order,
/// one that was answered, and one more than chance explains.
pub(crate) fn answer_ahead(
    claim: &Claim,
    answered: u32,
    last: Option<Answer>,
) -> Result<(), RoundRefusal> {
    let round = claim.round;
    if let Some(last) = last {
        if round < last.round {
            let last = last.round;
            return Err(RoundRefusal::OutOfOrder { round, last });
        }
        if round == last.round {
            return Err(if last.parameters == claim.parameters {
                RoundRefusal::AnsweredAlready { round }
            } else {
                RoundRefusal::OtherParameters { round }
            });
        }
    }
    let asked = answered.saturating_add(1);
    if believable(asked, round, claim.sampling_rate, claim.planned) {
        Ok(())
    } else {
        Err(RoundRefusal::NotBelievable {
            asked,
            round,
            sampling_rate: claim.sampling_rate,
        })
    }
}
