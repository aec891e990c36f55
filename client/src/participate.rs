//! A client's part in a run, from introduction to end. The same for every transport.

use umbel_privacy::certificate::Countersignature;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::{Ending, Hello, PROTOCOL_VERSION, Receipt, Task, Update};
use umbel_proto::plan::{AgreedPlan, PlanError};

use crate::policy::PolicyViolation;
use crate::site::{Owed, Site, SiteError, SiteSettings};
use crate::transport::{Transport, TransportError};
use crate::witness::{Witness, WitnessError};

/// Why a client couldn't see a run through.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The coordinator can't be reached, or won't have this client.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The plan makes no sense.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The site's policy forbids the run.
    #[error(transparent)]
    Policy(#[from] PolicyViolation),
    /// A ledger didn't go on from where it was seen.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// The site itself can't go on: data, model, ledger or budget.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The coordinator refused two updates for one round.
    #[error("the coordinator refused the update of round {round} again: {reason}")]
    UpdateRefused {
        /// The round.
        round: u32,
        /// The coordinator's sentence.
        reason: String,
    },
}

/// Something worth showing while a client works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The plan was accepted and the data is read.
    Ready {
        /// Rounds planned.
        rounds: u32,
    },
    /// Training in this round begins.
    Training {
        /// The round.
        round: u32,
    },
    /// The round's update is handed in.
    Submitted {
        /// The round.
        round: u32,
    },
    /// The coordinator didn't take the update.
    Refused {
        /// The round.
        round: u32,
        /// Its sentence.
        reason: String,
    },
}

/// Takes part in a run until it ends.
///
/// # Errors
/// [`ClientError`], after the coordinator was told not to wait.
pub fn participate(
    transport: &mut dyn Transport,
    settings: SiteSettings,
    progress: &mut dyn FnMut(Progress),
) -> Result<Ending, ClientError> {
    let outcome = take_part(transport, settings, progress);
    if outcome.is_err() {
        transport.leave();
    }
    outcome
}

fn take_part(
    transport: &mut dyn Transport,
    settings: SiteSettings,
    progress: &mut dyn FnMut(Progress),
) -> Result<Ending, ClientError> {
    let mut witness = Witness::of(&settings.ledger)?;
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        software: concat!("umbel-client ", env!("CARGO_PKG_VERSION")).into(),
        labels: settings.labels.clone(),
        ledger: witness.point(),
    };
    let welcome = transport.join(&hello)?;
    let plan = AgreedPlan::from_bytes(&welcome.plan)?;
    if let Some(policy) = &settings.policy {
        policy.accept(&plan, &welcome.files)?;
    }
    let coordinator = witness.meet(&welcome, |digest| transport.blob(digest))?;
    let mut files = Vec::with_capacity(welcome.files.len());
    for file in &welcome.files {
        files.push((file.name.clone(), transport.blob(&file.digest)?));
    }
    let mut site = Site::open(settings, plan, &files)?;
    drop(files);
    progress(Progress::Ready {
        rounds: site.plan().rounds.get(),
    });
    let mut refused_in = None;
    loop {
        match transport.next_task()? {
            Task::Finished(ending) => {
                let signed = site.countersign(coordinator)?;
                site.close()?;
                hand_in(transport, &mut witness, &signed);
                return Ok(ending);
            }
            Task::Train { round, parameters } => {
                let values = match site.asked(round, parameters)? {
                    Owed::Kept(values) => values,
                    Owed::Training(open) => {
                        let parameters = transport.blob(&parameters)?;
                        progress(Progress::Training { round });
                        site.train(open, &parameters)?
                    }
                };
                match transport.submit(&Update { round, values })? {
                    Receipt::Accepted | Receipt::Duplicate => {
                        progress(Progress::Submitted { round });
                    }
                    Receipt::Refused { reason } if refused_in == Some(round) => {
                        return Err(ClientError::UpdateRefused { round, reason });
                    }
                    // Too late, most likely. If the round is tried again, the same update is
                    // sent again; a second refusal of it ends this.
                    Receipt::Refused { reason } => {
                        refused_in = Some(round);
                        progress(Progress::Refused { round, reason });
                    }
                }
            }
        }
    }
}

/// Hands in what the site signed. The run is over, so that nothing that goes wrong here undoes
/// it; but whoever verifies it will miss this site's word.
fn hand_in(transport: &mut dyn Transport, witness: &mut Witness, signed: &Countersignature) {
    let ended = transport.countersign(signed).unwrap_or_else(|error| {
        tracing::warn!("the certificate won't have this site's signature: {error}");
        None
    });
    if let Err(error) = witness.part(signed, ended) {
        tracing::warn!("{error}");
    }
}

impl ClientError {
    /// The exit code that tells this kind of failure.
    pub fn exit_kind(&self) -> ExitKind {
        match self {
            Self::Transport(_) | Self::UpdateRefused { .. } => ExitKind::Network,
            Self::Plan(_) => ExitKind::Configuration,
            Self::Policy(_) => ExitKind::Policy,
            Self::Witness(_) => ExitKind::Ledger,
            Self::Site(error) => error.exit_kind(),
        }
    }
}
