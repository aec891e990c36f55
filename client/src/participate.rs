//! A client's part in a run, from introduction to end. The same for every transport.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use umbel_privacy::certificate::{CoordinatorSeen, Countersignature};
use umbel_proto::departure::Departure;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::{
    Ending, Hello, ModelFile, PROTOCOL_VERSION, Receipt, Task, Update, Welcome,
};
use umbel_proto::plan::{AgreedPlan, PlanError};

use crate::part::AtSite;
use crate::policy::PolicyViolation;
use crate::results::{Known, ResultsError, ResultsPlace, take_home};
use crate::site::{Site, SiteError, SiteSettings};
use crate::site_ledger::{LedgerPlace, Owed};
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
    /// What the coordinator gives as the run's results isn't what this site took part in.
    #[error(transparent)]
    Results(#[from] ResultsError),
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
#[derive(Clone, Debug, PartialEq)]
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
    /// The round's update is handed in, and counts.
    Submitted {
        /// The round.
        round: u32,
        /// What the site's ledger comes to by now; `None` without privacy.
        epsilon: Option<f64>,
    },
    /// The coordinator didn't know this client any more, and let it in again.
    Rejoined,
    /// The model and its certificate are here, and hold against what the site knows.
    TookHome {
        /// Where they are.
        folder: PathBuf,
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
    let invitation = Invitation {
        ledger: settings.ledger.clone(),
        labels: settings.labels.clone(),
        results: settings.results.clone(),
    };
    let mut open = |plan: AgreedPlan, files: &[(String, Arc<[u8]>)]| {
        let site = Site::open(settings.clone(), plan, files)?;
        Ok(Box::new(site) as Box<dyn AtSite>)
    };
    let policy = settings.policy.as_ref();
    let accepts = |plan: &AgreedPlan, files: &[ModelFile]| match policy {
        Some(policy) => policy.accept(plan, files),
        None => Ok(()),
    };
    participate_with(transport, &invitation, (&accepts, &mut open), progress)
}

/// What a client shows when it joins.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Its ledger.
    pub ledger: LedgerPlace,
    /// Its own label set; empty to take the run's.
    pub labels: Vec<String>,
    /// Where it takes the model and the certificate; `None` if it doesn't, as in a simulation.
    pub results: Option<ResultsPlace>,
}

/// Whether the site's own rules allow a plan and the base model.
pub type Accepts<'a> = &'a dyn Fn(&AgreedPlan, &[ModelFile]) -> Result<(), PolicyViolation>;

/// Makes a site ready for a plan that it accepted, with the base model's files.
pub type OpenSite<'a> =
    &'a mut dyn FnMut(AgreedPlan, &[(String, Arc<[u8]>)]) -> Result<Box<dyn AtSite>, SiteError>;

/// [`participate`], with whatever trains at the site.
///
/// # Errors
/// As there.
pub fn participate_with(
    transport: &mut dyn Transport,
    invitation: &Invitation,
    (accepts, open): (Accepts<'_>, OpenSite<'_>),
    progress: &mut dyn FnMut(Progress),
) -> Result<Ending, ClientError> {
    loop {
        match take_part(transport, invitation, (accepts, open), progress) {
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

/// How long a client waits before it asks again whether its update can be taken.
const NOT_NOW: Duration = Duration::from_secs(1);

/// Why a client stops taking part in a run.
enum Parting {
    Ended(Ending),
    /// The coordinator follows another plan by now.
    AnotherRun,
}

fn take_part(
    transport: &mut dyn Transport,
    invitation: &Invitation,
    (accepts, open): (Accepts<'_>, OpenSite<'_>),
    progress: &mut dyn FnMut(Progress),
) -> Result<Parting, ClientError> {
    let mut joined = join(transport, invitation)?;
    let plan = joined.plan.clone();
    let digest = plan.digest();
    let files = &joined.welcome.files;
    accepts(&plan, files)?;
    let mut content = Vec::with_capacity(files.len());
    for file in files {
        content.push((file.name.clone(), transport.blob(&file.digest)?));
    }
    let mut site = open(plan.clone(), &content)?;
    drop(content);
    progress(Progress::Ready {
        rounds: site.plan().rounds.get(),
    });
    let mut rejoining = Rejoining::default();
    let mut refused_in = None;
    loop {
        match next_step(transport, &mut *site, &mut refused_in, progress) {
            Ok(Some(ending)) => {
                let Some(seen) = joined.coordinator else {
                    return end_rehearsal(transport, &mut *site, ending);
                };
                let signed = site.countersign(seen)?;
                site.close()?;
                hand_in(transport, &mut joined.witness, &signed);
                if let Some(place) = &invitation.results {
                    let known = Known {
                        plan: &plan,
                        signed: &signed,
                    };
                    bring_home(transport, place, &known, progress)?;
                    transport.leave(Departure::Done);
                }
                return Ok(Parting::Ended(ending));
            }
            Ok(None) => rejoining = Rejoining::default(),
            Err(ClientError::Transport(error)) if error.is_unknown() => {
                rejoining.pause(error, transport)?;
                joined = join(transport, invitation)?;
                if joined.plan.digest() != digest {
                    return Ok(Parting::AnotherRun);
                }
                refused_in = None;
                progress(Progress::Rejoined);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Leaves a rehearsal, of which nothing is signed, remembered or taken home.
fn end_rehearsal(
    transport: &mut dyn Transport,
    site: &mut dyn AtSite,
    ending: Ending,
) -> Result<Parting, ClientError> {
    site.close()?;
    transport.leave(Departure::Done);
    tracing::info!(
        "that was a rehearsal, on rows that this site made up: nothing was charged. Start this \
         client again for the run itself"
    );
    Ok(Parting::Ended(ending))
}

/// A client that was let in.
struct Joined {
    welcome: Welcome,
    plan: AgreedPlan,
    witness: Witness,
    /// `None` in a rehearsal, whose ledgers begin anew and are nobody's to remember.
    coordinator: Option<CoordinatorSeen>,
}

/// Introduces the site, and holds both ledgers against what was seen of them.
fn join(transport: &mut dyn Transport, invitation: &Invitation) -> Result<Joined, ClientError> {
    let mut witness = Witness::of(&invitation.ledger)?;
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        software: crate::SOFTWARE.into(),
        labels: invitation.labels.clone(),
        ledger: witness.point(),
        instance: transport.instance(),
    };
    let welcome = transport.join(&hello)?;
    let plan = AgreedPlan::from_bytes(&welcome.plan)?;
    let coordinator = match plan.rehearsal {
        Some(_) => None,
        None => Some(witness.meet(&welcome, |digest| transport.blob(digest))?),
    };
    Ok(Joined {
        welcome,
        plan,
        witness,
        coordinator,
    })
}

/// Does what the coordinator asks for next. `Some` when the run is over.
fn next_step(
    transport: &mut dyn Transport,
    site: &mut dyn AtSite,
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
            site.train(&open, &parameters)?
        }
    };
    match transport.submit(&Update { round, values })? {
        Receipt::Accepted | Receipt::Duplicate => progress(Progress::Submitted {
            round,
            epsilon: site.epsilon(),
        }),
        Receipt::NotNow { reason } => {
            tracing::warn!(round, reason, "the coordinator can't take the update now");
            transport.pause(NOT_NOW);
        }
        // If the round is tried again, the same update is sent again.
        Receipt::Late { reason } => progress(Progress::Refused { round, reason }),
        Receipt::Refused { reason } if *refused_in == Some(round) => {
            return Err(ClientError::UpdateRefused { round, reason });
        }
        // The same bytes would be refused again: should they be asked for once more, this ends.
        Receipt::Refused { reason } => {
            *refused_in = Some(round);
            progress(Progress::Refused { round, reason });
        }
    }
    Ok(None)
}

/// Takes home what came of the run. Only a contradiction is an error: what didn't arrive can be had
/// otherwise.
fn bring_home(
    transport: &mut dyn Transport,
    place: &ResultsPlace,
    known: &Known<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ClientError> {
    let mut again = |transport: &mut dyn Transport| {
        // It has it already, most likely.
        let _ = transport.countersign(known.signed);
    };
    match take_home(transport, place, known, &mut again) {
        Ok(Some(folder)) => progress(Progress::TookHome { folder }),
        Ok(None) => {}
        Err(error) if error.is_contradiction() => return Err(error.into()),
        Err(error) => tracing::warn!("{error}"),
    }
    Ok(())
}

/// How often a client joined again without getting anywhere.
#[derive(Default)]
struct Rejoining(u32);

impl Rejoining {
    /// Together the pauses last about ten minutes, which is a call's patience, too.
    const MOST: u32 = 25;
    const LONGEST: Duration = Duration::from_secs(30);

    /// Waits a little longer each time.
    fn pause(
        &mut self,
        error: TransportError,
        transport: &mut dyn Transport,
    ) -> Result<(), TransportError> {
        if self.0 == Self::MOST {
            return Err(error);
        }
        tracing::warn!("{error}; joining again");
        if self.0 > 0 {
            let doubled = Duration::from_millis(125).saturating_mul(1 << self.0.min(10));
            transport.pause(doubled.min(Self::LONGEST));
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
            Self::Results(_) => ExitKind::NotVerified,
            Self::Site(error) => error.exit_kind(),
        }
    }
}
