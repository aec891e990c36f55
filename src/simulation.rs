//! A whole federation in one process.
//!
//! Clients call the coordinator's [`Federation`] directly, and a few workers run them
//! (`virtual_clients`); everything else is what runs between buildings: the same engine,
//! driver, sites and ledgers.

use std::fmt;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use umbel_client::transport::THREAD;
use umbel_coordinator::config::RunConfig;
use umbel_coordinator::lobby::Lobby;
use umbel_coordinator::observe::recorder::Metric;
use umbel_coordinator::report::run_report::RunReport;
use umbel_coordinator::run::clock::{Clock, SystemClock};
use umbel_coordinator::run::conduct::{Conduct, Conducted, Naming, Opened, Sites, conduct};
use umbel_coordinator::run::place::{Place, PlaceError, Unfinished};
use umbel_coordinator::run::prepare::{Prepared, prepare};
use umbel_coordinator::store::Spool;
use umbel_coordinator::store::run_folder::{RunFolder, SITE_LEDGERS};
use umbel_model::{ComputePrecision, DeviceChoice};
use umbel_privacy::certificate::key_file;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::federation::Federation;
use umbel_proto::message::{Hello, PROTOCOL_VERSION};

use crate::failure::Failure;
use crate::population::Population;
use crate::simulated_sites::{check_sites, sites};
use crate::simulated_tables::SimulatedTables;
use crate::virtual_clients::{SitesDisk, VirtualClients};
use crate::virtual_time::{self, VirtualTime};

/// How a simulation uses the machine.
#[derive(Clone, Debug)]
pub struct SimulationOptions {
    /// Where clients train.
    pub device: DeviceChoice,
    /// In what they multiply matrices there.
    pub precision: ComputePrecision,
    /// Clients that train at a time; one for each core if `None`.
    pub parallel: Option<NonZero<usize>>,
    /// Bytes of memory that the clients that train at a time may take together; no limit if
    /// `None`.
    pub memory: Option<u64>,
    /// The folder of a run that was cut off, to go on with it.
    pub resume: Option<PathBuf>,
    /// Whether a ledger that is kept over runs may get a data set that it doesn't know yet.
    pub new_data_set: bool,
}

impl SimulationOptions {
    pub(crate) fn workers(&self) -> NonZero<usize> {
        let cores = || thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        self.parallel.unwrap_or_else(cores)
    }
}

/// Something worth showing while a simulation runs.
#[derive(Debug)]
pub enum SimulationProgress<'a> {
    /// Something about the configuration and its tables that is worth a look.
    Warning(String),
    /// Everything is read; rounds begin.
    Ready {
        /// The run's folder.
        folder: PathBuf,
        /// What was made of the base model's files, in words.
        base: String,
        /// The device, in words.
        device: String,
        /// Noise multiplier, unless there is no privacy.
        noise_multiplier: Option<f64>,
        /// Ends the run early.
        stop: Stop,
    },
    /// A round is done.
    Round(&'a Metric),
}

/// Ends a simulation early, from any thread: after the round that is open, if one is, with model,
/// report and certificate.
#[derive(Clone)]
pub struct Stop(Arc<Lobby>);

impl Stop {
    /// Does so. Once the run is over, this changes nothing.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stop")
    }
}

/// Simulates a run and writes its folder. Whatever can be refused is refused before anything is
/// made.
///
/// An exhausted budget is no failure: the report's ending says so. Neither is a client that
/// fails while enough others go on.
///
/// # Errors
/// [`Failure`] with the exit code that fits.
pub fn simulate(
    config: &RunConfig,
    options: &SimulationOptions,
    watch: &mut (dyn FnMut(SimulationProgress<'_>) + Send),
) -> Result<RunReport, Failure> {
    let population = Population::read(config)?;
    let named = match config.clients.divided() {
        Some(_) => Some(config.with_clients(population.names().cloned())?),
        None => None,
    };
    let config = named.as_ref().unwrap_or(config);
    let tables = SimulatedTables(&population);
    let labels = tables.labels(config)?;
    let clock = SystemClock::new();
    options.precision.check(&options.device.resolve()?.0)?;
    for warning in tables.warnings(config, &labels) {
        watch(SimulationProgress::Warning(warning));
    }
    for note in population.notes() {
        watch(SimulationProgress::Warning(note.clone()));
    }
    let patience = virtual_time::patience(config, options.resume.is_some())?;
    let mut prepared = prepare(config, labels, &options.device, patience)?;
    for note in prepared.notes.drain(..) {
        watch(SimulationProgress::Warning(note));
    }
    prepared.device = options.precision.of_device(prepared.device);
    let run = (config, &prepared.plan);
    let unfinished = match &options.resume {
        Some(folder) => {
            let found = Unfinished::in_folder(folder, run, Spool::Elsewhere);
            Some(found.map_err(not_there)?)
        }
        None => None,
    };
    let signing_key = config.run.signing_key.clone();
    let signing_key = signing_key.unwrap_or_else(|| config.run.out.join(key_file::DEFAULT_NAME));
    let naming = Naming::new(options.new_data_set);
    let mut sites = sites(config, &population, options)?;
    drop(population);
    for refused in check_sites(config, (&mut sites, &prepared), options.workers())? {
        watch(SimulationProgress::Warning(refused));
    }
    check_books(
        (config, &prepared),
        (&signing_key, naming),
        unfinished.as_ref(),
    )?;
    let folder = match &unfinished {
        Some(unfinished) => unfinished.folder().to_owned(),
        None => {
            let name = config.run.name.as_str();
            let made = RunFolder::create(&config.run.out, name, clock.unix_seconds());
            let made = made.map_err(|e| not_there(e.into()))?;
            made.path().to_owned()
        }
    };
    watch(SimulationProgress::Ready {
        folder: folder.clone(),
        base: prepared.classifier.reading().to_string(),
        device: prepared.device.clone(),
        noise_multiplier: prepared
            .plan
            .protection
            .map(|promise| promise.noise_multiplier.get()),
        stop: Stop(Arc::clone(&prepared.lobby)),
    });
    let disk = SitesDisk::open(&folder.join(SITE_LEDGERS));
    let disk = disk.map_err(|e| Failure::new(ExitKind::Ledger, e))?;
    for site in &mut sites {
        site.ledger = disk.place(site.name.as_str());
    }
    let ledger = config.privacy.ledger.clone();
    let ledger = ledger.unwrap_or_else(|| folder.join("ledger.jsonl"));
    let opened = Opened::new(
        (config, &prepared),
        ledger,
        &signing_key,
        (Sites::New, naming),
        unfinished.as_ref(),
    )
    .map_err(|e| Failure::new(e.exit_kind(), e))?;
    let place = match unfinished {
        Some(unfinished) => Place::again(unfinished),
        None => Place::make_in(
            &folder,
            run,
            Spool::Elsewhere,
            (&opened, clock.unix_seconds()),
        ),
    };
    let place = place.map_err(not_there)?;
    join_all(&prepared.lobby, config)?;
    let lobby = Arc::clone(&prepared.lobby);
    let workers = options.workers();
    let time = VirtualTime::of(config, &lobby);
    let timeline = |round| time.as_ref().and_then(|time| time.timeline(round));
    thread::scope(|scope| {
        let common = (&lobby, time.as_ref());
        let clients = VirtualClients::start(scope, (sites, &disk), common, workers);
        let virtual_clock = time.as_ref().map(|time| clients.clock(time));
        let report = conduct(
            Conduct {
                config,
                prepared,
                place,
                clock: virtual_clock
                    .as_ref()
                    .map_or(&clock as _, |clock| clock as _),
                opened,
                connections: vec![
                    "Clients were threads of one process: nothing crossed a network.".into(),
                ],
                traffic: None,
                timeline: time.is_some().then_some(&timeline),
            },
            &mut |metric| watch(SimulationProgress::Round(metric)),
        )
        .map_err(|e| Failure::new(e.exit_kind(), e))
        .and_then(|conducted| match conducted {
            Conducted::Ended(report) => Ok(*report),
            Conducted::Paused { .. } => Err(Failure::internal("nobody stopped this simulation")),
        });
        // A client's own error says more than the run's "too few clients".
        let first = clients.first_failure();
        clients.end();
        match (report, first) {
            (Ok(report), Some((client, error))) if report.failed() => {
                let message = format!("client {client}: {error}");
                Err(Failure::new(error.exit_kind(), message).of_run(report))
            }
            (report, _) => report,
        }
    })
}

fn not_there(error: PlaceError) -> Failure {
    let kind = match error.is_configuration() {
        true => ExitKind::Configuration,
        false => ExitKind::RunFailed,
    };
    Failure::new(kind, error)
}

/// Everybody joins before anybody works, so that a client that fails at once is missed by a
/// round rather than waited for.
fn join_all(lobby: &Lobby, config: &RunConfig) -> Result<(), Failure> {
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        software: concat!("umbel ", env!("CARGO_PKG_VERSION")).into(),
        labels: Vec::new(),
        ledger: LedgerPoint::START,
        instance: THREAD,
    };
    for client in &config.clients {
        lobby
            .join(&client.name, &hello)
            .map_err(|e| Failure::new(ExitKind::Configuration, e))?;
    }
    Ok(())
}

/// Looks at the key and at a ledger that is kept over runs. A folder that isn't there yet has no
/// ledger to look at.
fn check_books(
    (config, prepared): (&RunConfig, &Prepared),
    (signing_key, naming): (&Path, Naming),
    unfinished: Option<&Unfinished>,
) -> Result<(), Failure> {
    let own = unfinished.map(|unfinished| unfinished.folder().join("ledger.jsonl"));
    let ledger = config.privacy.ledger.clone().or(own).unwrap_or_default();
    Opened::check((config, prepared), &ledger, signing_key, naming, unfinished)
        .map_err(|e| Failure::new(e.exit_kind(), e))
}
