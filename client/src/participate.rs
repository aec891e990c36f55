//! A client's part in a run, from introduction to end. The same for every transport.

use std::path::PathBuf;
use std::sync::Arc;

use umbel_proto::departure::Departure;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::{Ending, ModelFile};
use umbel_proto::plan::{AgreedPlan, PlanError};

use crate::known_plan::KnownPlan;
use crate::member::{Followed, Member};
use crate::part::AtSite;
use crate::policy::PolicyViolation;
use crate::results::{ResultsError, ResultsPlace};
use crate::site::{Site, SiteError, SiteSettings};
use crate::site_ledger::LedgerPlace;
use crate::transport::{Transport, TransportError};
use crate::witness::WitnessError;

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
    with_site(&settings, |invitation, site| {
        participate_with(transport, invitation, site, progress)
    })
}

/// Joins a run as this site, for whoever asks for its tasks itself.
///
/// # Errors
/// [`ClientError`]; the coordinator isn't told of it.
pub fn enter(
    transport: &mut dyn Transport,
    settings: &SiteSettings,
    progress: &mut dyn FnMut(Progress),
) -> Result<Member, ClientError> {
    with_site(settings, |invitation, site| {
        Member::enter(transport, invitation, site, progress)
    })
}

/// What a site with a model and rows shows, accepts and opens.
fn with_site<T>(
    settings: &SiteSettings,
    work: impl FnOnce(&Invitation, (Accepts<'_>, OpenSite<'_>)) -> T,
) -> T {
    let invitation = Invitation {
        ledger: settings.ledger.clone(),
        labels: settings.labels.clone(),
        results: settings.results.clone(),
        known_plan: settings.compute.known_plan(),
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
    work(&invitation, (&accepts, &mut open))
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
    /// By what it reads the plan, as other clients of its process do.
    pub known_plan: Arc<KnownPlan>,
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

/// Why a client stops taking part in a run.
enum Parting {
    Ended(Ending),
    /// The coordinator follows another plan by now.
    AnotherRun,
}

fn take_part(
    transport: &mut dyn Transport,
    invitation: &Invitation,
    site: (Accepts<'_>, OpenSite<'_>),
    progress: &mut dyn FnMut(Progress),
) -> Result<Parting, ClientError> {
    let mut member = Member::enter(transport, invitation, site, progress)?;
    loop {
        let next = transport.next_task();
        match member.follow(next, transport, progress)? {
            Followed::Done => {}
            Followed::Ended(ending) => return Ok(Parting::Ended(ending)),
            Followed::AnotherRun => return Ok(Parting::AnotherRun),
        }
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
