//! A run from its first round to its report: what the simulation and the service share.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use umbel_model::Classifier;
use umbel_proto::spending::SpendingError;

use super::finish::Finish;
use crate::certificate::base_model::BASE_CERTIFICATE;
use crate::config::RunConfig;
use crate::lobby::{Halt, Traffic};
use crate::observe::evaluation::Answers;
use crate::observe::public_data::PublicData;
use crate::observe::recorder::{Metric, Scorer, Watch, write_metrics};
use crate::observe::tensorboard::{EventFile, TENSORBOARD};
use crate::observe::virtual_time::Timeline;
use crate::report::run_report::RunReport;
use crate::round::Event;
pub use crate::run::books::Naming;
use crate::run::clock::Clock;
pub use crate::run::conduct_error::ConductError;
pub use crate::run::opened::{Opened, Sites};
use crate::run::place::Place;
use crate::run::prepare::Prepared;
use crate::run::{Driven, Driver};
use crate::store::run_folder::RunFolder;

/// What a run is conducted with.
pub struct Conduct<'a> {
    /// The configuration.
    pub config: &'a RunConfig,
    /// Model, plan and lobby.
    pub prepared: Prepared,
    /// Where its results go, and what an earlier process left there.
    pub place: Place,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The run's ledger and its key, already open.
    pub opened: Opened,
    /// How connections are secured, a sentence each, for the report.
    pub connections: Vec<String>,
    /// Bytes moved, where the transport knows better than the lobby.
    pub traffic: Option<&'a dyn Fn() -> Traffic>,
    /// What is known of virtual time, where the run is in it.
    pub timeline: Option<Timeline<'a>>,
}

/// What became of a run that was conducted.
#[derive(Debug)]
pub enum Conducted {
    /// It is over.
    Ended(Box<RunReport>),
    /// It stopped, and can be gone on with.
    Paused {
        /// The run's folder.
        folder: PathBuf,
        /// Rounds whose result is out.
        rounds: u32,
        /// Rounds planned.
        planned: u32,
    },
}

/// Drives a run to its end and writes its folder: `model/` (and `adapter/`, where adapters
/// were trained), `metrics.jsonl`, `ledger.jsonl`, `plan.json`, `result.json`, `report.html`,
/// `certificate.json` and `certificate.html`. A run that is left without a model (no round was
/// released, or the first one diverged) has no `model/`, and no certificate: there is nothing to
/// certify. `watch` is called for every round, from a thread of its own.
///
/// # Errors
/// [`ConductError`]. The run's ending, whatever it is, is no error.
pub fn conduct(conduct: Conduct<'_>, watch: Watch<'_>) -> Result<Conducted, ConductError> {
    let lobby = std::sync::Arc::clone(&conduct.prepared.lobby);
    let conducted = conduct_open(conduct, watch);
    match &conducted {
        Ok(_) => {}
        // Clients wait for whoever goes on with the run.
        Err(error) if error.leaves_the_run_unfinished() => {
            lobby.halt(Halt::Store(error.to_string()));
            tracing::error!("the run stops here; start it again to go on with it");
        }
        Err(error) => {
            // Clients that wait for a task must not wait for ever.
            lobby.tell(Event::Broken(error.to_string()));
            lobby.witness().close(None);
            lobby.offer_results(None);
        }
    }
    conducted
}

fn conduct_open(conduct: Conduct<'_>, watch: Watch<'_>) -> Result<Conducted, ConductError> {
    let Conduct {
        config,
        prepared,
        mut place,
        clock,
        opened,
        connections,
        traffic,
        timeline,
    } = conduct;
    let Opened {
        ledger: ledger_path,
        books: mut ledger,
        signing_key,
    } = opened;
    let Prepared {
        plan,
        lobby,
        patience,
        mut classifier,
        base,
        public,
        device,
        // Told before.
        notes: _,
    } = prepared;
    let before = place.before.take();
    let earlier = before.map(|before| (before.history.begun.unix_time, before.metrics));
    let (began, now) = (clock.elapsed(), clock.unix_seconds());
    let (started, earlier) = earlier.unwrap_or_else(|| (now, Vec::new()));
    let seconds_before = earlier.last().map_or(0.0, |metric| metric.seconds);
    place.folder.write("plan.json", plan.bytes())?;
    let lineage = ledger.inherit(&base, &plan)?;
    if let Some(certificate) = &base.certificate {
        place.folder.write(BASE_CERTIFICATE, certificate.bytes())?;
    }
    let data_set_named = ledger.data_set_named;
    let (spending, mut marked) = ledger.begin(&plan, started)?;
    let driver = Driver::new(
        plan.clone(),
        config.clone(),
        lobby.clone(),
        spending,
        classifier.parameters(),
        (clock, patience),
        place.store.clone(),
    )?;
    let recording = Recording {
        folder: &place.folder,
        config,
        public: &public,
        began,
        started,
        timeline,
    };
    let (driven, metrics, last) = recording.drive(driver, &mut classifier, earlier, watch)?;
    let mut outcome = match driven {
        Driven::Over(outcome) => *outcome,
        Driven::Paused { rounds } => {
            return Ok(Conducted::Paused {
                folder: place.folder.path().to_owned(),
                rounds,
                planned: plan.rounds.get(),
            });
        }
    };
    if let Some(marked) = &mut marked {
        outcome.ledger = Some(marked.snapshot().map_err(SpendingError::Ledger)?);
    }
    let finish = Finish {
        config,
        plan,
        lobby,
        place,
        clock,
        lineage,
        data_set_named,
        ledger_path,
        signing_key,
        device,
        connections,
        traffic,
        began,
        started,
        seconds_before,
    };
    let report = finish.run(outcome, metrics, last, (&public, &mut classifier))?;
    Ok(Conducted::Ended(Box::new(report)))
}

/// What watching a run takes.
struct Recording<'a> {
    folder: &'a RunFolder,
    config: &'a RunConfig,
    public: &'a PublicData,
    began: Duration,
    started: u64,
    timeline: Option<Timeline<'a>>,
}

impl Recording<'_> {
    /// Drives a run to its end, and waits for the scores and the metrics of its last round.
    fn drive(
        &self,
        driver: Driver<'_>,
        classifier: &mut Classifier,
        earlier: Vec<Metric>,
        watch: Watch<'_>,
    ) -> Result<(Driven, Vec<Metric>, Option<Answers>), ConductError> {
        let Self { folder, config, .. } = *self;
        let (sent, lines) = mpsc::channel();
        let rounds = config.run.rounds.get();
        let curves = self.curves();
        let (outcome, (metrics, last), written) = thread::scope(|scope| {
            let writer = scope.spawn(move || write_metrics(folder, lines, curves, watch));
            let mut scorer = Scorer::new(
                &config.evaluation,
                rounds,
                self.public,
                classifier,
                self.began,
                sent,
            )
            .after(earlier)
            .timed_by(self.timeline);
            let outcome = match self.timeline {
                None => driver.drive(&mut scorer),
                // When a verdict comes must not depend on how fast this machine is.
                Some(_) => driver.drive_in_one_thread(&mut scorer),
            };
            // This ends the writer's thread.
            let metrics = scorer.into_metrics();
            (outcome, metrics, writer.join())
        });
        let outcome = outcome?;
        if !matches!(written, Ok(Ok(()))) {
            // The certificate names this file, so that it has to be whole.
            folder.rewrite_metrics(&metrics)?;
        }
        Ok((outcome, metrics, last))
    }

    /// Where the curves for TensorBoard go, if they are wanted and there is room for them.
    fn curves(&self) -> Option<EventFile> {
        if !self.config.run.tensorboard {
            return None;
        }
        let folder = self.folder.path().join(TENSORBOARD);
        let file = EventFile::begin(&folder, self.started);
        file.inspect_err(|error| tracing::error!("no curves for TensorBoard: {error}"))
            .ok()
    }
}
