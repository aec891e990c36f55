//! Follows a run: evaluates it on public data, writes its metrics, and tells who watches.

use std::time::Duration;

use serde::Serialize;
use umbel_model::{Classifier, ModelError, check_scores};

use crate::clock::Clock;
use crate::config::EvaluationSection;
use crate::evaluation::{Evaluation, PublicData};
use crate::latest_round::LatestRound;
use crate::run::{Health, Observer, RoundSummary};
use crate::run_folder::RunFolder;

/// One line of `metrics.jsonl`: nothing in it comes from private rows but through the
/// released model.
#[derive(Clone, Debug, Serialize)]
pub struct Metric {
    /// The round, from 1.
    pub round: u32,
    /// Epsilon spent on the data set so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// Mean cross-entropy on public data, where it was evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Accuracy there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Macro-F1 there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
    /// Learning rate of the round's step.
    pub learning_rate: f64,
    /// The noisy share of units that weren't clipped, with adaptive clipping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unclipped: Option<f64>,
    /// The next round's clipping threshold, with adaptive clipping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clipping_threshold: Option<f64>,
    /// Clients whose updates count; `None` where the client is the unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<usize>,
    /// Clients that were waited for in vain; `None` where the client is the unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vec<String>>,
    /// Whether the model's numbers stopped being finite in this round, which is the last then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub diverged: bool,
    /// Seconds since the run began.
    pub seconds: f64,
}

/// The observer of a run.
pub struct Recorder<'a> {
    folder: &'a mut RunFolder,
    clock: &'a dyn Clock,
    settings: &'a EvaluationSection,
    rounds: u32,
    public: &'a PublicData,
    classifier: &'a mut Classifier,
    watch: &'a mut dyn FnMut(&Metric),
    metrics: Vec<Metric>,
    /// The evaluation on all public rows after the last planned round.
    last: Option<Evaluation>,
    began: Duration,
}

impl<'a> Recorder<'a> {
    /// A recorder that writes into `folder`, evaluates `classifier` on `public` and calls
    /// `watch` after every round.
    pub fn new(
        folder: &'a mut RunFolder,
        clock: &'a dyn Clock,
        settings: &'a EvaluationSection,
        rounds: u32,
        public: &'a PublicData,
        classifier: &'a mut Classifier,
        watch: &'a mut dyn FnMut(&Metric),
    ) -> Self {
        Self {
            began: clock.elapsed(),
            folder,
            clock,
            settings,
            rounds,
            public,
            classifier,
            watch,
            metrics: Vec::new(),
            last: None,
        }
    }

    /// All metrics so far, and the evaluation on all public rows after the last planned round,
    /// if the run came that far.
    pub fn into_metrics(self) -> (Vec<Metric>, Option<Evaluation>) {
        (self.metrics, self.last)
    }

    /// Looks at a round's model: at its numbers always, at its scores on public rows every so
    /// many rounds, and on all of them after the last. All of that is post-processing of what
    /// is released, and costs no privacy.
    fn examine(&mut self, summary: &RoundSummary) -> Result<(Health, Option<Evaluation>), String> {
        if !summary.is_finite() {
            return Ok((Health::Diverged, None));
        }
        match self.evaluate(summary) {
            Ok(evaluation) => Ok((Health::Sound, evaluation)),
            Err(ModelError::Scores) => Ok((Health::Diverged, None)),
            Err(e) => Err(format!("the model can't be evaluated: {e}")),
        }
    }

    fn evaluate(&mut self, summary: &RoundSummary) -> Result<Option<Evaluation>, ModelError> {
        let (every, round) = (self.settings.every, summary.round);
        self.classifier.set_parameters(&summary.parameters)?;
        if self.public.is_empty() {
            check_scores(self.classifier)?;
            return Ok(None);
        }
        if round == self.rounds {
            self.last = Some(self.public.evaluate(self.classifier, 0)?);
            return Ok(self.last.clone());
        }
        if every > 0 && (round.is_multiple_of(every) || round == 1) {
            let rows = self.settings.rows;
            return self.public.evaluate(self.classifier, rows).map(Some);
        }
        check_scores(self.classifier)?;
        Ok(None)
    }
}

impl Observer for Recorder<'_> {
    fn store(&mut self, summary: &RoundSummary) -> Result<(), String> {
        let round = LatestRound {
            round: summary.round,
            parameters: &summary.parameters,
            ledger_head: summary.ledger_head.as_deref(),
        };
        self.folder.store(&round).map_err(|e| e.to_string())
    }

    fn round_done(&mut self, summary: &RoundSummary) -> Result<Health, String> {
        let (health, evaluation) = self.examine(summary)?;
        let scores = evaluation.map(|e| e.overall);
        let participation = summary.participation.as_ref();
        let metric = Metric {
            round: summary.round,
            epsilon: summary.epsilon,
            loss: scores.as_ref().map(|s| s.loss),
            accuracy: scores.as_ref().map(|s| s.accuracy),
            macro_f1: scores.as_ref().map(|s| s.macro_f1),
            learning_rate: summary.learning_rate,
            unclipped: summary.adaptive.map(|adapted| adapted.unclipped),
            clipping_threshold: summary.adaptive.map(|adapted| adapted.threshold),
            clients: participation.map(|participation| participation.counted.len()),
            missing: participation.map(|participation| {
                let missing = participation.missing.iter();
                missing.map(ToString::to_string).collect()
            }),
            diverged: health == Health::Diverged,
            seconds: (self.clock.elapsed() - self.began).as_secs_f64(),
        };
        self.folder.metric(&metric).map_err(|e| e.to_string())?;
        (self.watch)(&metric);
        self.metrics.push(metric);
        Ok(health)
    }
}
