//! A run from its first round to its report: what the simulation and the service share.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use umbel_model::{Classifier, ModelError, Precision};
use umbel_privacy::certificate::key_file::{self, SigningKeyError};
use umbel_privacy::certificate::{SignedCertificate, SigningKey};
use umbel_privacy::disk::RealDisk;
use umbel_privacy::ledger::file::OpenError;
use umbel_privacy::ledger::{LedgerPoint, SeenLedgers, chain};
use umbel_proto::message::{BlobDigest, Ending};
use umbel_proto::spending::SpendingError;

use crate::certificate::base_model::BASE_CERTIFICATE;
use crate::certificate::certify::{Ended, certify};
use crate::certificate::witness::WitnessTerms;
use crate::config::RunConfig;
use crate::lobby::{Halt, Lobby, Released, Traffic};
use crate::observe::evaluation::Answers;
use crate::observe::judgement::{Calibrate, Judgement};
use crate::observe::public_data::PublicData;
use crate::observe::recorder::{Metric, Scorer, Watch, write_metrics};
use crate::report;
use crate::report::run_report::{Facts, RunReport, summarise};
use crate::round::Event;
use crate::run::books::Books;
pub use crate::run::books::Naming;
use crate::run::clock::Clock;
pub use crate::run::conduct_error::ConductError;
use crate::run::place::{Place, Unfinished};
use crate::run::prepare::{Prepared, weights_digest};
use crate::run::{Driven, Driver, Outcome};
use crate::store::run_folder::{RunFolder, readable_time};

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
}

/// The ledger of a run, locked, and the key that will sign its certificate. Sites can join as
/// soon as there are these.
pub struct Opened {
    ledger: PathBuf,
    books: Books,
    signing_key: SigningKey,
}

/// Whether the coordinator has seen its sites before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sites {
    /// They begin anew with the run, as simulated ones do.
    New,
    /// They have ledgers of their own, and where these stood is remembered beside this ledger.
    Lasting,
}

impl Opened {
    /// Looks whether [`Opened::new`] could open them, and makes nothing.
    ///
    /// # Errors
    /// [`ConductError`] as there, and where the base model's lineage doesn't add up.
    pub fn check(
        (config, prepared): (&RunConfig, &Prepared),
        ledger: &Path,
        signing_key: &Path,
        naming: Naming,
        unfinished: Option<&Unfinished>,
    ) -> Result<(), ConductError> {
        // The folder of runs is made with the run, where there is none.
        let has_a_folder = |file: &Path| match folder_of(file) {
            Some(folder) if folder != config.run.out => folder.metadata().map(drop),
            _ => Ok(()),
        };
        key_file::load(signing_key)?;
        let path = signing_key.to_owned();
        has_a_folder(signing_key).map_err(|source| SigningKeyError::Io { path, source })?;
        let path = ledger.to_owned();
        has_a_folder(ledger).map_err(|source| OpenError::Io { path, source })?;
        let mut books = Books::rehearse(config, ledger, naming)?;
        if let Some(unfinished) = unfinished {
            books.go_on(unfinished.history())?;
        }
        books.inherit(&prepared.base, &prepared.plan)?;
        books.begin(&prepared.plan, 0)?;
        Ok(())
    }

    /// Opens the ledger at `ledger` and the key at `signing_key`, making them where there are
    /// none, and lets the lobby's sites in: to a new run, or to one that was cut off.
    ///
    /// # Errors
    /// [`ConductError`] where they can't be used.
    pub fn new(
        (config, prepared): (&RunConfig, &Prepared),
        ledger: PathBuf,
        signing_key: &Path,
        (sites, naming): (Sites, Naming),
        unfinished: Option<&Unfinished>,
    ) -> Result<Self, ConductError> {
        let signing_key = key_file::load_or_make(signing_key)?;
        let mut books = Books::open(config, &ledger, naming)?;
        if let Some(unfinished) = unfinished {
            let history = unfinished.history();
            books.go_on(history)?;
            let store = unfinished.store();
            prepared.lobby.take_up(history, store)?;
        }
        let plan = &prepared.plan;
        let seen = match sites {
            Sites::New => None,
            Sites::Lasting => Some(SeenLedgers::beside(&ledger, Arc::new(RealDisk))?),
        };
        let public_key = signing_key.public_key();
        let terms = WitnessTerms::new(plan, public_key, books.as_it_was()?, seen);
        prepared.lobby.open(terms);
        Ok(Self {
            ledger,
            books,
            signing_key,
        })
    }

    /// Where the ledger stood when the run began.
    pub fn ledger_point(&self) -> LedgerPoint {
        self.books.began_at()
    }
}

/// The folder that a file is to be in.
fn folder_of(file: &Path) -> Option<&Path> {
    file.parent().map(|folder| match folder.as_os_str() {
        empty if empty.is_empty() => Path::new("."),
        _ => folder,
    })
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

/// How long a run waits for its sites' signatures.
const SIGNING: Duration = Duration::from_secs(30);
/// How long it waits when all of them know that it is over.
const SIGNING_ONCE_TOLD: Duration = Duration::from_secs(5);

/// Waits until every site that is still here has signed what it was told.
fn await_signatures(lobby: &Lobby, clock: &dyn Clock) {
    let until = clock.elapsed() + SIGNING;
    let mut told = None;
    while !lobby.everyone_left() && clock.elapsed() < until {
        if lobby.everyone_told() {
            let since = *told.get_or_insert(clock.elapsed());
            if clock.elapsed() >= since + SIGNING_ONCE_TOLD {
                tracing::warn!("a site that was here at the end hasn't signed what it was told");
                return;
            }
        }
        lobby.wait_for_change(Duration::from_millis(200));
    }
}

/// Where a ledger with these bytes stands.
fn end_of(ledger: &[u8]) -> Option<LedgerPoint> {
    let chain = chain::verify(ledger).ok()?;
    Some(LedgerPoint::after(&chain.entries))
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
    let place = place;
    let folder = &place.folder;
    let earlier = before.map(|before| (before.history.begun.unix_time, before.metrics));
    let (began, now) = (clock.elapsed(), clock.unix_seconds());
    let (started, earlier) = earlier.unwrap_or_else(|| (now, Vec::new()));
    let seconds_before = earlier.last().map_or(0.0, |metric| metric.seconds);
    folder.write("plan.json", plan.bytes())?;
    let own_ledger = folder.path().join("ledger.jsonl");
    let lineage = ledger.inherit(&base, &plan)?;
    if let Some(certificate) = &base.certificate {
        folder.write(BASE_CERTIFICATE, certificate.bytes())?;
    }
    let data_set_named = ledger.data_set_named;
    let (spending, mut marked) = ledger.begin(&plan, started)?;
    let initial = classifier.parameters();
    let driver = Driver::new(
        plan.clone(),
        config.clone(),
        lobby.clone(),
        spending,
        initial,
        (clock, patience),
        place.store.clone(),
    )?;
    let recording = Recording {
        folder,
        config,
        public: &public,
        began,
    };
    let (driven, mut metrics, last) = recording.drive(driver, &mut classifier, earlier, watch)?;
    let mut outcome = match driven {
        Driven::Over(outcome) => *outcome,
        Driven::Paused { rounds } => {
            return Ok(Conducted::Paused {
                folder: folder.path().to_owned(),
                rounds,
                planned: plan.rounds.get(),
            });
        }
    };
    if let Some(marked) = &mut marked {
        outcome.ledger = Some(marked.snapshot().map_err(SpendingError::Ledger)?);
    }
    let ledger = outcome.ledger.as_ref();
    lobby
        .witness()
        .close(ledger.and_then(|ledger| end_of(&ledger.bytes)));
    let answers = evaluate_kept(&mut outcome, last, &public, &mut classifier)?;
    if let Some(answers) = &answers
        && score_kept(&outcome, answers, &mut metrics, config)
    {
        folder.rewrite_metrics(&metrics)?;
    }
    let results = answers.map(|answers| calibrate(config, answers, &public, &mut classifier));
    if outcome.kept.is_some() {
        save(config, folder, &classifier).map_err(ConductError::Unsaved)?;
    }
    if let Some(ledger) = &outcome.ledger
        && ledger_path != own_ledger
    {
        folder.write("ledger.jsonl", &ledger.bytes)?;
    }
    await_signatures(&lobby, clock);
    let signed = lobby.witness().signed();
    if plan.hides_clients() {
        folder.keep_receipts(&signed)?;
    }
    let ended = clock.unix_seconds();
    let attendance = lobby.attendance();
    let facts = Facts {
        config,
        plan: &plan,
        outcome: &outcome,
        results,
        metrics: &metrics,
        attendance: &attendance,
        traffic: traffic.map_or_else(|| lobby.traffic(), |traffic| traffic()),
        device,
        connections,
        started: readable_time(started),
        finished: readable_time(ended),
        seconds: (clock.elapsed() - began).as_secs_f64() + seconds_before,
        model_hash: weights_digest(&folder.model())
            .ok()
            .map(|digest| digest.to_string()),
        signing_key: signing_key.public_key().to_string(),
        lineage: &lineage,
    };
    let summary = summarise(&facts);
    folder.write("report.html", report::render(&summary).as_bytes())?;
    let report = RunReport::new(summary, folder.path().to_owned());
    folder.write_json("result.json", &report.as_json())?;
    if plan.rehearsal.is_some() {
        lobby.offer_results(None);
        return ended_in(&place, report);
    }
    if outcome.kept.is_none() {
        tracing::warn!("no model is left, so there is nothing to certify");
        lobby.offer_results(None);
        return ended_in(&place, report);
    }
    if outcome.ledger.is_none() {
        tracing::error!("no certificate is written: the ledger's end isn't known");
        lobby.offer_results(None);
        return ended_in(&place, report);
    }
    let ended = Ended {
        plan: &plan,
        lineage: &lineage,
        data_set_named,
        outcome: &outcome,
        attendance: &attendance,
        signed: &signed,
        summary: report.summary(),
        began: started,
        ended,
    };
    let certificate = certify(folder, &ended, &signing_key)?;
    lobby.offer_results(Some(released(folder.path(), &certificate)));
    ended_in(&place, report)
}

/// What sites take home: the certificate, and the released files that it names.
fn released(folder: &Path, certificate: &SignedCertificate) -> Released {
    let files = certificate.certificate().files.iter();
    let files = files.filter(|file| file.is_released()).map(|file| {
        let digest = BlobDigest::from(*file.sha256.as_bytes());
        (digest, folder.join(&file.path))
    });
    Released {
        certificate: certificate.bytes().into(),
        files: files.collect(),
    }
}

/// The folder is complete: nobody needs to go on with this run.
fn ended_in(place: &Place, report: RunReport) -> Result<Conducted, ConductError> {
    place.close()?;
    Ok(Conducted::Ended(Box::new(report)))
}

/// What watching a run takes.
struct Recording<'a> {
    folder: &'a RunFolder,
    config: &'a RunConfig,
    public: &'a PublicData,
    began: Duration,
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
        let (outcome, (metrics, last), written) = thread::scope(|scope| {
            let writer = scope.spawn(move || write_metrics(folder, lines, watch));
            let mut scorer = Scorer::new(
                &config.evaluation,
                rounds,
                self.public,
                classifier,
                self.began,
                sent,
            )
            .after(earlier);
            let outcome = driver.drive(&mut scorer);
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
}

/// What the model that is kept answers on all public rows. Its parameters are left in the
/// classifier. `last` are these answers, where the run came to its last round. A model whose
/// scores turn out not to be finite isn't kept.
fn evaluate_kept(
    outcome: &mut Outcome,
    last: Option<Answers>,
    public: &PublicData,
    classifier: &mut Classifier,
) -> Result<Option<Answers>, ModelError> {
    let Some((round, parameters)) = &outcome.kept else {
        return Ok(None);
    };
    classifier.set_parameters(parameters)?;
    if public.is_empty() {
        return Ok(None);
    }
    if last.is_some() && outcome.ending == Ending::Complete {
        return Ok(last);
    }
    match public.answers(classifier) {
        Err(ModelError::Scores) => {
            // On rows that the run's own evaluations left out.
            if !matches!(outcome.ending, Ending::Diverged { .. }) {
                outcome.ending = Ending::Diverged { round: *round };
            }
            outcome.kept = None;
            Ok(None)
        }
        Ok(answers) => Ok(Some(answers)),
        // The model is paid for, whether or not it can be scored here.
        Err(error) => {
            tracing::error!("the model can't be evaluated: {error}");
            Ok(None)
        }
    }
}

/// Gives the line of the round whose model is kept its scores, where it has none; tells whether it
/// did.
fn score_kept(
    outcome: &Outcome,
    answers: &Answers,
    metrics: &mut [Metric],
    config: &RunConfig,
) -> bool {
    let kept = outcome.kept.as_ref().map(|(round, _)| *round);
    let mut lines = metrics.iter_mut();
    let line = lines.rfind(|metric| Some(metric.round) == kept && metric.loss.is_none());
    let Some(line) = line else { return false };
    line.score(&answers.sample(config.evaluation.rows), &config.evaluation);
    true
}

/// Judges the model that is kept, and divides its last layer by the temperature that was fitted, or
/// gives it the thresholds that were. That is done to what is released, with public rows alone, so it costs no privacy. The
/// parameters in the run's journal stay as they were trained; the certificate names the files
/// that are written after this.
fn calibrate(
    config: &RunConfig,
    answers: Answers,
    public: &PublicData,
    classifier: &mut Classifier,
) -> report::Results {
    let wanted = match config.evaluation.calibrate && !config.task.has_thresholds() {
        true => Calibrate::Fit,
        false => Calibrate::Off,
    };
    let labels = classifier.labels().to_vec();
    let (judgement, adjustment) = Judgement::of(&answers, public, &labels, wanted);
    let answers = match adjustment {
        Some(adjustment) => {
            adjustment.apply(classifier);
            adjustment.of_answers(answers)
        }
        None => answers,
    };
    report::Results::new(&answers.evaluation(), judgement)
}

fn save(config: &RunConfig, folder: &RunFolder, classifier: &Classifier) -> Result<(), ModelError> {
    classifier.save(&folder.model(), Precision::F32)?;
    if classifier.options().train.lora().is_some() {
        let base = config.model.base.display().to_string();
        classifier.save_adapter(&folder.adapter(), &base)?;
    }
    Ok(())
}
