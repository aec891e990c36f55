//! A run over the network: the service in the background, the driver in front.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use umbel_model::DeviceChoice;
use umbel_model::data::{DataError, LabelSet};
use umbel_privacy::certificate::key_file;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::federation::Federation;
use umbel_proto::plan::Plan;

use crate::config::{self, ConfigError, RunConfig, ServeSection};
use crate::control::Listening;
use crate::grpc::{
    self, ClientDirectory, Security, ServeError, ServiceLimits, TlsSettings, TrafficMeter,
};
use crate::lobby::{Lobby, Traffic};
use crate::round::Phase;
use crate::run::absence::Patience;
use crate::run::clock::{Clock, SystemClock};
use crate::run::conduct::{Conduct, ConductError, Conducted, Naming, Opened, Sites, conduct};
use crate::run::place::{Beginning, Place, PlaceError, Unfinished};
use crate::run::prepare::{PrepareError, prepare_with};
use crate::run::rehearsal::{self, Rehearsed, Stage};
use crate::run::signals::Signals;
use crate::startup::certificates::{self, NotGood, Watch};
use crate::startup::connections;
use crate::startup::disk::{self, TooLittle};
use crate::store::Spool;

/// What `umbel-coordinator serve` was asked for.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The configuration file.
    pub config: PathBuf,
    /// `key=value` overrides.
    pub overrides: Vec<String>,
    /// A seed, for tests.
    pub seed: Option<u64>,
    /// Whether a run of this name that was cut off is gone on with.
    pub beginning: Beginning,
    /// Whether the run is only rehearsed, on rows that sites make up.
    pub rehearse: bool,
    /// Whether the ledger may get a data set that it doesn't know yet.
    pub new_data_set: bool,
    /// Where to evaluate.
    pub device: DeviceChoice,
}

/// Why a run couldn't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeRunError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Model, data or plan.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The label set.
    #[error("data.labels: {0}")]
    Labels(#[from] DataError),
    /// The service can't be offered.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A certificate isn't good today.
    #[error(transparent)]
    Certificate(#[from] NotGood),
    /// The run doesn't fit onto the disk.
    #[error(transparent)]
    Disk(#[from] TooLittle),
    /// Nobody knows how much room there is.
    #[error("how much room is on the disk isn't known: {0}; check run.out and privacy.ledger")]
    Room(std::io::Error),
    /// The run's folder and journal.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The run itself.
    #[error(transparent)]
    Conduct(#[from] ConductError),
    /// A rehearsal has nowhere to write.
    #[error("a rehearsal's folder can't be made in run.out: {0}")]
    Stage(std::io::Error),
    /// The operating system gave no threads.
    #[error("can't start the service: {0}")]
    Runtime(std::io::Error),
}

impl ServeRunError {
    /// The exit code that tells this kind of failure.
    pub fn exit_kind(&self) -> ExitKind {
        match self {
            Self::Config(_) | Self::Labels(_) | Self::Certificate(_) => ExitKind::Configuration,
            Self::Prepare(error) => error.exit_kind(),
            Self::Serve(error) => error.exit_kind(),
            Self::Disk(_) | Self::Room(_) | Self::Stage(_) => ExitKind::RunFailed,
            Self::Place(error) if error.is_configuration() => ExitKind::Configuration,
            Self::Place(_) => ExitKind::RunFailed,
            Self::Conduct(error) => error.exit_kind(),
            Self::Runtime(_) => ExitKind::Internal,
        }
    }
}

/// How long the coordinator stays for clients to learn that the run is over.
const FAREWELL: Duration = Duration::from_secs(30);

/// Serves a run from its configuration to its report.
///
/// # Errors
/// [`ServeRunError`]. The run's ending, whatever it is, is no error.
pub fn serve(options: &ServeOptions) -> Result<Served, ServeRunError> {
    let mut config = config::load(&options.config, &options.overrides, options.seed)?.config;
    // It goes when the service has ended.
    let stage = match options.rehearse {
        true => Some(Stage::set_up(&mut config).map_err(ServeRunError::Stage)?),
        false => None,
    };
    let section = network_section(&config)?;
    let clock = SystemClock::new();
    let security = security(&config)?;
    let mut dated = Vec::new();
    if let Security::MutualTls { tls, .. } = &security {
        tls.check()?;
        dated = tls.dates()?;
        certificates::check(&dated, clock.unix_seconds())?;
    }
    let mut watch = Watch::new(dated);
    watch.say(clock.unix_seconds());
    let limits = ServiceLimits {
        connections: connections::limits(&config, &section)?,
        ..ServiceLimits::default()
    };
    let connections = vec![match &security {
        Security::MutualTls { .. } => {
            "Every connection used TLS with certificates on both sides.".to_owned()
        }
        Security::LoopbackOnly => {
            "Connections were not encrypted and stayed on one machine.".to_owned()
        }
    }];
    let prepared = prepare_with(
        &config,
        LabelSet::new(config.outputs())?,
        &options.device,
        patience(&config, stage.is_some()),
        |plan| match &stage {
            Some(_) => rehearsal::of(plan),
            None => Ok(plan),
        },
    )?;
    config.run.rounds = prepared.plan.rounds;
    for note in &prepared.notes {
        tracing::warn!("{note}");
    }
    let (ledger, signing_key) = own_files(&config, &options.config);
    let naming = Naming::new(options.new_data_set);
    let could_open = |unfinished: Option<&Unfinished>| {
        let run = (&config, &prepared);
        Opened::check(run, &ledger, &signing_key, naming, unfinished)
    };
    // All that can be refused is refused before anything is made, or an earlier run given up.
    could_open(None)?;
    let runtime = Runtime::new().map_err(ServeRunError::Runtime)?;
    let listener = runtime.block_on(grpc::bind(&section.listen, &security))?;
    let unfinished = match &stage {
        Some(_) => None,
        None => Unfinished::find(&config, &prepared.plan, options.beginning)?,
    };
    if unfinished.is_some() {
        could_open(unfinished.as_ref())?;
    }
    let room = room(&config, &prepared.plan, &ledger);
    // A run that was cut off has most of what it needs, and may be what fills the disk.
    match (room, &unfinished) {
        (Err(error), Some(_)) => tracing::warn!("{error}"),
        (room, _) => room?,
    }
    let opened = Opened::new(
        (&config, &prepared),
        ledger,
        &signing_key,
        (Sites::Lasting, naming),
        unfinished.as_ref(),
    )?;
    let place = match unfinished {
        Some(unfinished) => Place::again(unfinished)?,
        None => Place::make(
            (&config, &prepared.plan),
            Spool::Kept,
            opened.ledger_point(),
            clock.unix_seconds(),
        )?,
    };
    let (lobby, plan) = (Arc::clone(&prepared.lobby), prepared.plan.clone());
    let meter = Arc::new(TrafficMeter::default());
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, folder = %place.folder().path().display(), "waiting for clients");
    }
    runtime.spawn(heed_signals(Arc::clone(&lobby)));
    let listening = Listening::begin(&place.journal(), &lobby);
    runtime.spawn(watch.keep(clock));
    let (stop, stopped) = oneshot::channel::<()>();
    let federation: Arc<dyn Federation> = lobby.clone();
    let service = runtime.spawn(grpc::serve(
        federation,
        security,
        listener,
        limits,
        Arc::clone(&meter),
        async move { drop(stopped.await) },
    ));
    let mut seconds = Vec::new();
    let report = conduct(
        Conduct {
            config: &config,
            prepared,
            place,
            clock: &clock,
            opened,
            connections,
            traffic: Some(&|| Traffic {
                up: meter.received(),
                down: meter.sent(),
            }),
            timeline: None,
        },
        &mut |metric| {
            seconds.push(metric.seconds);
            let (loss, epsilon) = (metric.loss, metric.epsilon);
            tracing::info!(
                round = metric.round,
                loss,
                epsilon,
                clients = metric.clients,
                "round done"
            );
        },
    );
    // Clients of a run that only stops are told to wait, and there is no news of an end.
    if matches!(lobby.phase(), Phase::Done(_)) {
        farewell(&lobby, &clock, &meter);
    }
    drop(listening);
    drop(stop);
    if let Ok(Err(error)) = runtime.block_on(service) {
        tracing::error!("the service ended early: {error}");
    }
    let conducted = report?;
    match stage {
        Some(_) => Ok(Served::Rehearsed(Rehearsed::of(&plan, &lobby, &seconds))),
        None => Ok(Served::Run(conducted)),
    }
}

/// What was served.
#[derive(Debug)]
pub enum Served {
    /// A run.
    Run(Conducted),
    /// A rehearsal of one.
    Rehearsed(Rehearsed),
}

/// `[serve]` of a configuration that has all that a run over the network needs.
///
/// # Errors
/// [`ConfigError`] for a key that is missing.
pub fn network_section(config: &RunConfig) -> Result<ServeSection, ConfigError> {
    config.require_listed()?;
    let section = config.serve.clone().ok_or_else(|| {
        wrong(
            "serve",
            "is missing; over the network the coordinator needs [serve] listen",
        )
    })?;
    if config.outputs().is_empty() {
        let reason = "is missing; over the network it must be given, since sites don't tell theirs";
        return Err(wrong("data.labels", reason));
    }
    Ok(section)
}

/// At the first signal the run stops as soon as no result is in hand; at the second, at once.
async fn heed_signals(lobby: Arc<Lobby>) {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return tracing::warn!("signals can't be heeded: {error}"),
    };
    signals.next().await;
    tracing::info!("stopping after the result in hand; a second signal stops at once");
    lobby.shut_down();
    signals.next().await;
    tracing::warn!("stopped at once; start again to go on from what is stored");
    std::process::exit(ExitKind::RunFailed.code().into());
}

/// Lets clients fetch the news that the run is over, and what came of it, before the service
/// closes.
fn farewell(lobby: &Lobby, clock: &dyn Clock, meter: &TrafficMeter) {
    let mut until = clock.elapsed() + FAREWELL;
    let mut sent = meter.sent();
    while !(lobby.everyone_told() && lobby.everyone_is_home()) && clock.elapsed() < until {
        lobby.wait_for_change(Duration::from_millis(200));
        // A model takes its time. As long as something moves, somebody gets it.
        if meter.sent() > sent + 10_000 {
            sent = meter.sent();
            until = clock.elapsed() + FAREWELL;
        }
    }
}

/// How long sites are waited for. A rehearsal tells at once who isn't ready.
fn patience(config: &RunConfig, rehearses: bool) -> Patience {
    let federation = &config.federation;
    Patience {
        pause: match rehearses {
            true => Duration::ZERO,
            false => Duration::from_secs(federation.patience_seconds),
        },
        silence: Some(Duration::from_secs(federation.silence_seconds.get())),
    }
}

/// Where the coordinator's ledger and its signing key are, by a configuration in `file`.
pub fn own_files(config: &RunConfig, file: &Path) -> (PathBuf, PathBuf) {
    let beside = file.parent().unwrap_or(Path::new(""));
    let at = |given: &Option<PathBuf>, name| given.clone().unwrap_or_else(|| beside.join(name));
    (
        at(&config.privacy.ledger, "ledger.jsonl"),
        at(&config.run.signing_key, key_file::DEFAULT_NAME),
    )
}

/// Makes sure that a run fits onto the disk.
fn room(config: &RunConfig, plan: &Plan, ledger: &Path) -> Result<(), ServeRunError> {
    let rooms = disk::rooms(config, plan, ledger).map_err(ServeRunError::Room)?;
    disk::check(&rooms)?;
    for room in rooms.iter().filter(|room| room.is_tight()) {
        tracing::warn!("{room}: little more than the run needs");
    }
    Ok(())
}

fn wrong(key: &str, reason: &str) -> ConfigError {
    ConfigError::Check {
        key: key.into(),
        reason: reason.into(),
    }
}

/// Who may call, by the certificates that `[serve]` and `[[clients]]` name.
///
/// # Errors
/// [`ServeRunError`] for a client without a fingerprint, and for files that can't be used.
pub fn security(config: &RunConfig) -> Result<Security, ServeRunError> {
    let Some(section) = config.serve.as_ref().filter(|section| section.tls) else {
        return Ok(Security::LoopbackOnly);
    };
    let mut clients = Vec::new();
    for client in &config.clients {
        let fingerprint = client.fingerprint.ok_or_else(|| {
            wrong(
                "clients",
                &format!(
                    "client {} has no `fingerprint`; over the network its certificate is its \
                     identity (umbel-coordinator init writes it)",
                    client.name
                ),
            )
        })?;
        clients.push((fingerprint, client.name.clone()));
    }
    let clients = ClientDirectory::new(clients).map_err(|e| wrong("clients", &e.to_string()))?;
    Ok(Security::MutualTls {
        tls: TlsSettings::read(&section.certificate, &section.key, &section.ca)?,
        clients,
    })
}
