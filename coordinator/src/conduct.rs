//! A run from its first round to its report: what the simulation and the service share.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use umbel_model::{Classifier, ModelError, Precision};
use umbel_privacy::certificate::InvalidLineage;
use umbel_privacy::ledger::LedgerError;
use umbel_privacy::ledger::file::OpenError;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::{BlobDigest, Ending};
use umbel_proto::spending::SpendingError;

use crate::base_model::BASE_CERTIFICATE;
use crate::books::Books;
use crate::certify::{CertifyError, Ended, certify};
use crate::clock::Clock;
use crate::config::RunConfig;
use crate::evaluation::{Evaluation, PublicData};
use crate::hall::Traffic;
use crate::prepare::{Prepared, weights_digest};
use crate::recorder::{Metric, Scorer, Watch, write_metrics};
use crate::report;
use crate::round::Event;
use crate::run::{Driver, Outcome, RunError};
use crate::run_folder::{RunFolder, RunFolderError, readable_time};
use crate::run_report::{Facts, RunReport, summarise};
use crate::signing_key::{self, SigningKeyError};

/// What a run is conducted with.
pub struct Conduct<'a> {
    /// The configuration.
    pub config: &'a RunConfig,
    /// Model, plan and hall.
    pub prepared: Prepared,
    /// Where its results go.
    pub folder: &'a mut RunFolder,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The run's ledger: this file, or `ledger.jsonl` in the run's folder.
    pub ledger: Option<PathBuf>,
    /// The key that signs the run's certificate; made where there is none.
    pub signing_key: &'a std::path::Path,
    /// How connections are secured, a sentence each, for the report.
    pub connections: Vec<String>,
    /// Bytes moved, where the transport knows better than the hall.
    pub traffic: Option<&'a dyn Fn() -> Traffic>,
}

/// Why a run couldn't be conducted.
#[derive(Debug, thiserror::Error)]
pub enum ConductError {
    /// The run folder.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// The model can't be evaluated or saved.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The ledger file can't be opened.
    #[error(transparent)]
    LedgerFile(#[from] OpenError),
    /// The ledger is damaged.
    #[error("ledger {}: {source}", path.display())]
    LedgerDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: LedgerError,
    },
    /// The base model's lineage doesn't add up with this run.
    #[error(transparent)]
    Lineage(#[from] InvalidLineage),
    /// The ledger doesn't fit the plan.
    #[error(transparent)]
    Spending(#[from] SpendingError),
    /// The accounting failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The key that signs.
    #[error(transparent)]
    SigningKey(#[from] SigningKeyError),
    /// The certificate.
    #[error(transparent)]
    Certify(#[from] CertifyError),
}

impl ConductError {
    /// The exit code that tells this kind of failure.
    pub fn exit_kind(&self) -> ExitKind {
        match self {
            Self::Folder(_) | Self::Certify(_) => ExitKind::RunFailed,
            Self::SigningKey(_) => ExitKind::Configuration,
            Self::Model(_) => ExitKind::Model,
            Self::LedgerFile(_)
            | Self::LedgerDamaged { .. }
            | Self::Lineage(_)
            | Self::Spending(_) => ExitKind::Ledger,
            Self::Run(_) => ExitKind::Internal,
        }
    }
}

/// Drives a run to its end and writes its folder: `model/` (and `adapter/`, where adapters
/// were trained), `metrics.jsonl`, `ledger.jsonl`, `plan.json`, `result.json`, `report.html`,
/// `certificate.json` and `certificate.html`. A run that is left without a model (no round was
/// released, or the first one diverged) has no `model/`, and no certificate: there is nothing to
/// certify. `watch` is called for every round, from a thread of its own.
///
/// # Errors
/// [`ConductError`]. The run's ending, whatever it is, is no error.
pub fn conduct(conduct: Conduct<'_>, watch: Watch<'_>) -> Result<RunReport, ConductError> {
    let hall = std::sync::Arc::clone(&conduct.prepared.hall);
    let report = conduct_open(conduct, watch);
    if let Err(error) = &report {
        // Clients that wait for a task must not wait for ever.
        hall.tell(Event::Broken(error.to_string()));
    }
    report
}

fn conduct_open(conduct: Conduct<'_>, watch: Watch<'_>) -> Result<RunReport, ConductError> {
    let Conduct {
        config,
        prepared,
        folder,
        clock,
        ledger,
        signing_key,
        connections,
        traffic,
    } = conduct;
    let signing_key = signing_key::load_or_make(signing_key)?;
    let Prepared {
        plan,
        hall,
        mut classifier,
        base,
        public,
        device,
    } = prepared;
    let (began, started) = (clock.elapsed(), clock.unix_seconds());
    let plan_bytes = plan.to_json();
    let digest = BlobDigest::of(&plan_bytes);
    folder.write("plan.json", &plan_bytes)?;
    let own_ledger = folder.path().join("ledger.jsonl");
    let ledger_path = ledger.unwrap_or_else(|| own_ledger.clone());
    let mut ledger = Books::open(config, &ledger_path)?;
    let lineage = ledger.inherit(&base, &plan)?;
    if let Some(certificate) = &base.certificate {
        folder.write(BASE_CERTIFICATE, certificate.bytes())?;
    }
    let data_set_named = ledger.data_set_named;
    let (spending, mut marked) = ledger.begin((&plan, digest), started)?;
    let initial = classifier.parameters();
    let driver = Driver::new(
        plan.clone(),
        config.clone(),
        hall.clone(),
        spending,
        initial,
        clock,
    )?;
    let folder: &RunFolder = folder;
    let recording = Recording {
        folder,
        config,
        public: &public,
        began,
    };
    let (mut outcome, metrics, last) = recording.drive(driver, &mut classifier, watch)?;
    if let Some(marked) = &mut marked {
        outcome.ledger = Some(marked.snapshot().map_err(SpendingError::Ledger)?);
    }
    let evaluation = evaluate_kept(&mut outcome, last, &public, &mut classifier)?;
    if outcome.kept.is_some() {
        save(config, folder, &classifier)?;
    }
    folder.forget_latest_round()?;
    if let Some(ledger) = &outcome.ledger
        && ledger_path != own_ledger
    {
        folder.write("ledger.jsonl", &ledger.bytes)?;
    }
    let ended = clock.unix_seconds();
    let attendance = hall.attendance();
    let facts = Facts {
        config,
        plan: &plan,
        outcome: &outcome,
        evaluation: evaluation.as_ref(),
        metrics: &metrics,
        attendance: &attendance,
        traffic: traffic.map_or_else(|| hall.traffic(), |traffic| traffic()),
        device,
        connections,
        started: readable_time(started),
        finished: readable_time(ended),
        seconds: (clock.elapsed() - began).as_secs_f64(),
        model_hash: weights_digest(&folder.model())
            .ok()
            .map(|digest| digest.to_string()),
        signing_key: signing_key.public_key().to_string(),
    };
    let summary = summarise(&facts);
    folder.write("report.html", report::render(&summary).as_bytes())?;
    let report = RunReport::new(summary, folder.path().to_owned());
    folder.write_json("result.json", &report.as_json())?;
    if outcome.kept.is_none() {
        tracing::warn!("no model is left, so that there is nothing to certify");
        return Ok(report);
    }
    if outcome.ledger.is_none() {
        tracing::error!("no certificate is written: the ledger's end isn't known");
        return Ok(report);
    }
    let ended = Ended {
        plan: &plan,
        lineage: &lineage,
        data_set_named,
        outcome: &outcome,
        attendance: &attendance,
        summary: report.summary(),
        began: started,
        ended,
    };
    certify(folder, &ended, &signing_key)?;
    Ok(report)
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
        watch: Watch<'_>,
    ) -> Result<(Outcome, Vec<Metric>, Option<Evaluation>), ConductError> {
        let Self { folder, config, .. } = *self;
        let (sent, lines) = mpsc::channel();
        let rounds = config.run.rounds;
        let (outcome, (metrics, last), written) = thread::scope(|scope| {
            let writer = scope.spawn(move || write_metrics(folder, lines, watch));
            let mut scorer = Scorer::new(
                &config.evaluation,
                rounds,
                self.public,
                classifier,
                self.began,
                sent,
            );
            let outcome = driver.drive(&mut { folder }, &mut scorer);
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

/// Evaluates the model that is kept on all public rows, and leaves its parameters in the
/// classifier. `last` is that evaluation, where the run came to its last round. A model whose
/// scores turn out not to be finite isn't kept.
fn evaluate_kept(
    outcome: &mut Outcome,
    last: Option<Evaluation>,
    public: &PublicData,
    classifier: &mut Classifier,
) -> Result<Option<Evaluation>, ModelError> {
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
    match public.evaluate(classifier, 0) {
        Err(ModelError::Scores) => {
            // On rows that the run's own evaluations left out.
            if !matches!(outcome.ending, Ending::Diverged { .. }) {
                outcome.ending = Ending::Diverged { round: *round };
            }
            outcome.kept = None;
            Ok(None)
        }
        Ok(evaluation) => Ok(Some(evaluation)),
        // The model is paid for, whether or not it can be scored here.
        Err(error) => {
            tracing::error!("the model can't be evaluated: {error}");
            Ok(None)
        }
    }
}

fn save(config: &RunConfig, folder: &RunFolder, classifier: &Classifier) -> Result<(), ModelError> {
    classifier.save(&folder.model(), Precision::F32)?;
    if classifier.options().train.lora().is_some() {
        let base = config.model.base.display().to_string();
        classifier.save_adapter(&folder.adapter(), &base)?;
    }
    Ok(())
}
