//! The end of a run: its model, the sites' signatures, its report and its certificate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use umbel_model::Classifier;
use umbel_privacy::certificate::{SignedCertificate, SigningKey, lineage};
use umbel_privacy::ledger::{LedgerPoint, chain};
use umbel_proto::message::ClientId;
use umbel_proto::plan::AgreedPlan;

use super::conduct_error::ConductError;
use super::released_model::{calibrate, evaluate_kept, save, score_kept};
use crate::certificate::certify::{Ended, certify};
use crate::config::RunConfig;
use crate::lobby::{Attendance, Lobby, Released, Traffic};
use crate::observe::evaluation::Answers;
use crate::observe::public_data::PublicData;
use crate::observe::recorder::Metric;
use crate::observe::tensorboard::{EventFile, TENSORBOARD};
use crate::report;
use crate::report::run_report::RunReport;
use crate::report::summarise::{Facts, summarise};
use crate::run::Outcome;
use crate::run::clock::Clock;
use crate::run::place::Place;
use crate::run::prepare::weights_digest;
use crate::store::run_folder::readable_time;

/// How long a run waits for its sites' signatures.
const SIGNING: Duration = Duration::from_secs(30);
/// How long it waits when all of them know that it is over.
const SIGNING_ONCE_TOLD: Duration = Duration::from_secs(5);

/// What the end of a run takes.
pub(super) struct Finish<'a> {
    pub(super) config: &'a RunConfig,
    pub(super) plan: AgreedPlan,
    pub(super) lobby: Arc<Lobby>,
    pub(super) place: Place,
    pub(super) clock: &'a dyn Clock,
    pub(super) lineage: Vec<lineage::Ancestor>,
    /// Whether a person named the data set.
    pub(super) data_set_named: bool,
    pub(super) ledger_path: PathBuf,
    pub(super) signing_key: SigningKey,
    pub(super) device: String,
    pub(super) connections: Vec<String>,
    pub(super) traffic: Option<&'a dyn Fn() -> Traffic>,
    /// When this process began to drive the run, by the clock.
    pub(super) began: Duration,
    /// When the run began, in seconds since 1970.
    pub(super) started: u64,
    /// Seconds that earlier processes drove it.
    pub(super) seconds_before: f64,
}

impl Finish<'_> {
    /// Completes the run's folder and hands out what sites take home.
    pub(super) fn run(
        &self,
        mut outcome: Outcome,
        mut metrics: Vec<Metric>,
        last: Option<Answers>,
        (public, classifier): (&PublicData, &mut Classifier),
    ) -> Result<RunReport, ConductError> {
        let (folder, config) = (&self.place.folder, self.config);
        let ledger = outcome.ledger.as_ref();
        let end = ledger.and_then(|ledger| end_of(&ledger.bytes));
        self.lobby.witness().close(end);
        let answers = evaluate_kept(&mut outcome, last, public, classifier)?;
        if let Some(answers) = &answers
            && score_kept(&outcome, answers, &mut metrics, config)
        {
            folder.rewrite_metrics(&metrics)?;
            let kept = outcome.kept.as_ref().map(|(round, _)| *round);
            self.add_to_curves(metrics.iter().rfind(|line| Some(line.round) == kept));
        }
        let results = answers.map(|answers| calibrate(config, answers, public, classifier));
        if outcome.kept.is_some() {
            save(config, folder, classifier).map_err(ConductError::Unsaved)?;
        }
        if let Some(ledger) = &outcome.ledger
            && self.ledger_path != folder.path().join("ledger.jsonl")
        {
            folder.write("ledger.jsonl", &ledger.bytes)?;
        }
        // What is waited for from here on is nothing of the run.
        let took = self.clock.elapsed().saturating_sub(self.began);
        self.await_signatures();
        let signed = self.lobby.witness().signed();
        if self.plan.hides_clients() {
            folder.keep_receipts(&signed)?;
        }
        let ended = self.clock.unix_seconds();
        let attendance = self.lobby.attendance();
        let report = self.report((&outcome, took), results, &metrics, &attendance, ended)?;
        let released = match self.certifiable(&outcome) {
            false => None,
            true => {
                let ended = Ended {
                    plan: &self.plan,
                    lineage: &self.lineage,
                    data_set_named: self.data_set_named,
                    outcome: &outcome,
                    attendance: &attendance,
                    signed: &signed,
                    summary: report.summary(),
                    began: self.started,
                    ended,
                };
                let certificate = certify(folder, &ended, &self.signing_key)?;
                Some(released(folder.path(), &certificate))
            }
        };
        self.lobby.offer_results(released);
        // The folder is complete: nobody needs to go on with this run.
        self.place.close()?;
        Ok(report)
    }

    /// Has TensorBoard know of scores that came after their round's line.
    fn add_to_curves(&self, metric: Option<&Metric>) {
        let (true, Some(metric)) = (self.config.run.tensorboard, metric) else {
            return;
        };
        let folder = self.place.folder.path().join(TENSORBOARD);
        let file = EventFile::begin(&folder, self.started);
        if let Err(error) = file.and_then(|mut file| file.write(metric)) {
            tracing::error!("the last scores aren't among the curves for TensorBoard: {error}");
        }
    }

    /// Waits until every site that is still here has signed what it was told.
    fn await_signatures(&self) {
        let (lobby, clock) = (&self.lobby, self.clock);
        let until = clock.elapsed() + SIGNING;
        let mut told = None;
        while !lobby.everyone_left() && clock.elapsed() < until {
            // Looking at everybody takes long where thousands sign, so it isn't done each time.
            let due = told.is_none_or(|since| clock.elapsed() >= since + SIGNING_ONCE_TOLD);
            if due && lobby.everyone_told() {
                if told.is_some() {
                    tracing::warn!(
                        "a site that was here at the end hasn't signed what it was told"
                    );
                    return;
                }
                told = Some(clock.elapsed());
            }
            clock.wait(Duration::from_millis(200), &mut |wait| {
                lobby.wait_for_change(wait);
                false
            });
        }
    }

    /// Writes the report, for people and for machines.
    fn report(
        &self,
        (outcome, took): (&Outcome, Duration),
        results: Option<report::Results>,
        metrics: &[Metric],
        attendance: &BTreeMap<ClientId, Attendance>,
        ended: u64,
    ) -> Result<RunReport, ConductError> {
        let folder = &self.place.folder;
        let traffic = self.traffic;
        let facts = Facts {
            config: self.config,
            plan: &self.plan,
            outcome,
            results,
            metrics,
            attendance,
            traffic: traffic.map_or_else(|| self.lobby.traffic(), |traffic| traffic()),
            device: self.device.clone(),
            connections: self.connections.clone(),
            started: readable_time(self.started),
            finished: readable_time(ended),
            seconds: took.as_secs_f64() + self.seconds_before,
            model_hash: weights_digest(&folder.model())
                .ok()
                .map(|digest| digest.to_string()),
            signing_key: self.signing_key.public_key().to_string(),
            lineage: &self.lineage,
        };
        let summary = summarise(&facts);
        folder.write("report.html", report::render(&summary).as_bytes())?;
        let report = RunReport::new(summary, folder.path().to_owned());
        folder.write_json("result.json", &report.as_json())?;
        Ok(report)
    }

    /// Whether there is something to certify.
    fn certifiable(&self, outcome: &Outcome) -> bool {
        if self.plan.rehearsal.is_some() {
            return false;
        }
        if outcome.kept.is_none() {
            tracing::warn!("no model is left, so there is nothing to certify");
            return false;
        }
        if outcome.ledger.is_none() {
            tracing::error!("no certificate is written: the ledger's end isn't known");
            return false;
        }
        true
    }
}

/// Where a ledger with these bytes stands.
fn end_of(ledger: &[u8]) -> Option<LedgerPoint> {
    let chain = chain::verify(ledger).ok()?;
    Some(LedgerPoint::after(&chain.entries))
}

/// What sites take home: the certificate, and the released files that it names.
fn released(folder: &Path, certificate: &SignedCertificate) -> Released {
    let files = certificate.certificate().files.iter();
    let files = files.filter(|file| file.is_released()).map(|file| {
        let digest = file.sha256;
        (digest, folder.join(&file.path))
    });
    Released {
        certificate: certificate.bytes().into(),
        files: files.collect(),
    }
}
