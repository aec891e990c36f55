//! A client's part in a run, from introduction to end. The same for every transport.

use std::time::Duration;

use umbel_privacy::certificate::{CoordinatorSeen, Countersignature};
use umbel_proto::departure::Departure;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::{
    BlobDigest, Ending, Hello, PROTOCOL_VERSION, Receipt, Task, Update, Welcome,
};
use umbel_proto::plan::{AgreedPlan, PlanError};

use crate::policy::PolicyViolation;
use crate::site::{Owed, Site, SiteError, SiteSettings};
use crate::site_ledger::LedgerPlace;
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
    /// The coordinator didn't know this client any more, and let it in again.
    Rejoined,
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
/// A coordinator that doesn't know the client any more, since it was started again or since the
/// client was away for long, is joined again, with the same ledger and the same outbox: an
/// update that was paid for is sent as it is. If it has begun another run meanwhile, the client
/// takes part in that one.
///
/// # Errors
/// [`ClientError`], after the coordinator was told not to wait.
pub fn participate(
    transport: &mut dyn Transport,
    settings: SiteSettings,
    progress: &mut dyn FnMut(Progress),
) -> Result<Ending, ClientError> {
    loop {
        match take_part(transport, settings.clone(), progress) {
            Ok(Parting::Ended(ending)) => return Ok(ending),
            Ok(Parting::AnotherRun) => {
                tracing::warn!("the coordinator has begun another run; joining that one");
            }
            Err(error) => {
                transport.leave(error.departure());
                return Err(error);
            }
        }
    }
}

/// Why a client stops taking part in a run.
enum Parting {
    Ended(Ending),
    /// The coordinator follows another plan by now.
    AnotherRun,
}

fn take_part(
    transport: &mut dyn Transport,
    settings: SiteSettings,
    progress: &mut dyn FnMut(Progress),
) -> Result<Parting, ClientError> {
    let place = settings.ledger.clone();
    let labels = settings.labels.clone();
    let mut joined = join(transport, &place, &labels)?;
    let plan = AgreedPlan::from_bytes(&joined.welcome.plan)?;
    let digest = plan.digest();
    let files = &joined.welcome.files;
    if let Some(policy) = &settings.policy {
        policy.accept(&plan, files)?;
    }
    let mut content = Vec::with_capacity(files.len());
    for file in files {
        content.push((file.name.clone(), transport.blob(&file.digest)?));
    }
    let mut site = Site::open(settings, plan, &content)?;
    drop(content);
    progress(Progress::Ready {
        rounds: site.plan().rounds.get(),
    });
    let mut rejoining = Rejoining::default();
    let mut refused_in = None;
    loop {
        match next_step(transport, &mut site, &mut refused_in, progress) {
            Ok(Some(ending)) => {
                let signed = site.countersign(joined.coordinator)?;
                site.close()?;
                hand_in(transport, &mut joined.witness, &signed);
                return Ok(Parting::Ended(ending));
            }
            Ok(None) => rejoining = Rejoining::default(),
            Err(ClientError::Transport(error)) if error.is_unknown() => {
                rejoining.pause(error)?;
                joined = join(transport, &place, &labels)?;
                if BlobDigest::of(&joined.welcome.plan) != digest {
                    return Ok(Parting::AnotherRun);
                }
                refused_in = None;
                progress(Progress::Rejoined);
            }
            Err(error) => return Err(error),
        }
    }
}

/// A client that was let in.
struct Joined {
    welcome: Welcome,
    witness: Witness,
    coordinator: CoordinatorSeen,
}

/// Introduces the site, and holds both ledgers against what was seen of them.
fn join(
    transport: &mut dyn Transport,
    place: &LedgerPlace,
    labels: &[String],
) -> Result<Joined, ClientError> {
    let mut witness = Witness::of(place)?;
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        software: crate::SOFTWARE.into(),
        labels: labels.to_vec(),
        ledger: witness.point(),
    };
    let welcome = transport.join(&hello)?;
    let coordinator = witness.meet(&welcome, |digest| transport.blob(digest))?;
    Ok(Joined {
        welcome,
        witness,
        coordinator,
    })
}

/// Does what the coordinator asks for next. `Some` when the run is over.
fn next_step(
    transport: &mut dyn Transport,
    site: &mut Site,
    refused_in: &mut Option<u32>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<Ending>, ClientError> {
    let (round, parameters) = match transport.next_task()? {
        Task::Finished(ending) => return Ok(Some(ending)),
        Task::Train { round, parameters } => (round, parameters),
    };
    let values = match site.asked(round, parameters)? {
        Owed::Kept(values) => values,
        Owed::Training(open) => {
            let parameters = transport.blob(&parameters)?;
            progress(Progress::Training { round });
            site.train(open, &parameters)?
        }
    };
    match transport.submit(&Update { round, values })? {
        Receipt::Accepted | Receipt::Duplicate => progress(Progress::Submitted { round }),
        Receipt::Refused { reason } if *refused_in == Some(round) => {
            return Err(ClientError::UpdateRefused { round, reason });
        }
        // Too late, most likely. If the round is tried again, the same update is sent again; a
        // second refusal of it ends this.
        Receipt::Refused { reason } => {
            *refused_in = Some(round);
            progress(Progress::Refused { round, reason });
        }
    }
    Ok(None)
}

/// How often a client joined again without getting anywhere.
#[derive(Default)]
struct Rejoining(u32);

impl Rejoining {
    /// Together the pauses last about ten minutes, which is a call's patience, too.
    const MOST: u32 = 25;
    const LONGEST: Duration = Duration::from_secs(30);

    /// Waits a little longer each time.
    fn pause(&mut self, error: TransportError) -> Result<(), TransportError> {
        if self.0 == Self::MOST {
            return Err(error);
        }
        tracing::warn!("{error}; joining again");
        if self.0 > 0 {
            let doubled = Duration::from_millis(125).saturating_mul(1 << self.0.min(10));
            std::thread::sleep(doubled.min(Self::LONGEST));
        }
        self.0 += 1;
        Ok(())
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
    /// What the coordinator is told of it: nothing that depends on a row.
    pub fn departure(&self) -> Departure {
        match self.exit_kind() {
            ExitKind::BudgetExhausted => Departure::Budget,
            ExitKind::Policy => Departure::Policy,
            ExitKind::Ledger => Departure::Ledger,
            ExitKind::Model => Departure::Model,
            _ => Departure::Unsaid,
        }
    }

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
