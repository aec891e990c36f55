//! Follows a run: evaluates it on public data, writes its metrics, and tells who watches.
//!
//! None of that is on a round's path. The [`Scorer`] works in the run's background thread, and
//! [`write_metrics`] in another, so that neither a long evaluation nor a slow disk keeps
//! clients waiting.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use umbel_model::{Classifier, ModelError, check_scores};

use crate::config::EvaluationSection;
use crate::observe::evaluation::Answers;
use crate::observe::judgement::calibrated_loss;
use crate::observe::public_data::PublicData;
use crate::observe::scores::RoundScores;
use crate::observe::tensorboard::EventFile;
use crate::observe::virtual_time::{Timeline, VirtualRound};
use crate::run::{Health, Observer, RoundSummary};
use crate::store::run_folder::{RunFolder, RunFolderError};

/// One line of `metrics.jsonl`: nothing in it comes from private rows but through the
/// released model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The round, from 1.
    pub round: u32,
    /// Epsilon spent on the data set so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// Mean loss on public data, where it was evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// The same on half of these rows, at the temperature fitted on the other half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrated_loss: Option<f64>,
    /// The other scores there.
    #[serde(flatten)]
    pub scores: RoundScores,
    /// Learning rate of the round's step.
    pub learning_rate: f64,
    /// The noisy share of units that weren't clipped, with adaptive clipping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unclipped: Option<f64>,
    /// The next round's clipping threshold, with adaptive clipping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clipping_threshold: Option<f64>,
    /// Clients whose updates count; `None` where the client is the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<usize>,
    /// Who they are; `None` where the client is the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gave: Option<Vec<String>>,
    /// Clients of the cohort of which nothing counts, and why; `None` where the client is the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<BTreeMap<String, String>>,
    /// Whether the model's numbers stopped being finite in this round, which is the last then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub diverged: bool,
    /// Seconds from the beginning of the run until the round's result was there; virtual ones with
    /// `[simulation]`.
    pub seconds: f64,
    /// What virtual time came to in the round, with `[simulation]`.
    #[serde(default, rename = "virtual", skip_serializing_if = "Option::is_none")]
    pub virtual_time: Option<VirtualRound>,
}

impl Metric {
    /// Puts in the scores of a round's model: of as many rows as every evaluation before the end
    /// uses, so that all rounds' can be compared.
    pub fn score(&mut self, answers: &Answers, settings: &EvaluationSection) {
        let scores = answers.evaluation().overall;
        self.loss = Some(scores.loss());
        self.scores = RoundScores::of(&scores);
        if settings.calibrate {
            self.calibrated_loss = calibrated_loss(answers);
        }
    }
}

/// Called with each round's line of metrics.
pub type Watch<'a> = &'a mut (dyn FnMut(&Metric) + Send);

/// The observer of a run: looks at each round's model, and makes the round's line.
pub struct Scorer<'a> {
    settings: &'a EvaluationSection,
    rounds: u32,
    public: &'a PublicData,
    classifier: &'a mut Classifier,
    began: Duration,
    lines: Sender<Metric>,
    metrics: Vec<Metric>,
    /// The answers on all public rows after the last planned round.
    last: Option<Answers>,
    timeline: Option<Timeline<'a>>,
}

impl<'a> Scorer<'a> {
    /// A scorer of a run of so many `rounds` that evaluates `classifier` on `public` and sends
    /// what it finds to `lines`. The run `began` at this time of its clock.
    pub fn new(
        settings: &'a EvaluationSection,
        rounds: u32,
        public: &'a PublicData,
        classifier: &'a mut Classifier,
        began: Duration,
        lines: Sender<Metric>,
    ) -> Self {
        Self {
            settings,
            rounds,
            public,
            classifier,
            began,
            lines,
            metrics: Vec::new(),
            last: None,
            timeline: None,
        }
    }

    /// Goes on after these lines, which an earlier process wrote.
    #[must_use]
    pub fn after(mut self, earlier: Vec<Metric>) -> Self {
        self.metrics = earlier;
        self
    }

    /// Notes what virtual time came to in each round.
    #[must_use]
    pub fn timed_by(mut self, timeline: Option<Timeline<'a>>) -> Self {
        self.timeline = timeline;
        self
    }

    /// All metrics so far, and the answers on all public rows after the last planned round, if the
    /// run came that far.
    pub fn into_metrics(self) -> (Vec<Metric>, Option<Answers>) {
        (self.metrics, self.last)
    }

    /// Looks at a round's model: at its numbers always, at its scores on public rows every so
    /// many rounds, and on all of them after the last. All of that is post-processing of what
    /// is released, and costs no privacy. A device that fails is no fault of the model's, which
    /// goes without scores then.
    fn examine(&mut self, summary: &RoundSummary) -> (Health, Option<Answers>) {
        if !summary.is_finite() {
            return (Health::Diverged, None);
        }
        let round = summary.round;
        match catch_unwind(AssertUnwindSafe(|| self.evaluate(summary))) {
            Ok(Ok(answers)) => return (Health::Sound, answers),
            Ok(Err(ModelError::Scores)) => return (Health::Diverged, None),
            Ok(Err(error)) => tracing::error!(round, "the model can't be evaluated: {error}"),
            Err(_) => tracing::error!(round, "the model can't be evaluated: that panicked"),
        }
        (Health::Sound, None)
    }

    fn evaluate(&mut self, summary: &RoundSummary) -> Result<Option<Answers>, ModelError> {
        let (every, round) = (self.settings.every, summary.round);
        self.classifier.set_parameters(&summary.parameters)?;
        if self.public.is_empty() {
            check_scores(self.classifier)?;
            return Ok(None);
        }
        if round == self.rounds {
            let answers = self.public.answers(self.classifier)?;
            let sample = answers.sample(self.settings.rows);
            self.last = Some(answers);
            return Ok(Some(sample));
        }
        if every > 0 && (round.is_multiple_of(every) || round == 1) {
            let rows = self.settings.rows;
            return self.public.sample(self.classifier, rows).map(Some);
        }
        check_scores(self.classifier)?;
        Ok(None)
    }
}

impl Scorer<'_> {
    /// Whether the evaluations up to this round were in vain for as long as the run is to try.
    fn has_settled(&self, round: u32) -> bool {
        let Some(patience) = self.settings.stop_after else {
            return false;
        };
        let so_far = self.metrics.iter().filter(|metric| metric.round <= round);
        have_settled(so_far.filter_map(|metric| metric.loss), patience)
    }
}

/// Whether the last `patience` losses, or more, weren't below the least before them.
fn have_settled(losses: impl Iterator<Item = f64>, patience: u32) -> bool {
    let (mut least, mut in_vain) = (f64::INFINITY, 0);
    for loss in losses {
        if loss < least {
            (least, in_vain) = (loss, 0);
        } else {
            in_vain += 1;
        }
    }
    in_vain >= patience
}

impl Observer for Scorer<'_> {
    fn round_done(&mut self, summary: &RoundSummary) -> Health {
        let (health, answers) = self.examine(summary);
        let took_part = summary.took_part.as_ref();
        let mut metric = Metric {
            round: summary.round,
            epsilon: summary.epsilon,
            loss: None,
            calibrated_loss: None,
            scores: RoundScores::default(),
            learning_rate: summary.learning_rate,
            unclipped: summary.adaptive.map(|adapted| adapted.unclipped),
            clipping_threshold: summary.adaptive.map(|adapted| adapted.threshold),
            clients: took_part.map(|took_part| took_part.gave.len()),
            gave: took_part.map(|took_part| {
                let gave = took_part.gave.iter();
                gave.map(ToString::to_string).collect()
            }),
            missing: took_part.map(|took_part| {
                let missing = took_part.missing.iter();
                missing
                    .map(|(client, why)| (client.to_string(), why.to_string()))
                    .collect()
            }),
            diverged: health == Health::Diverged,
            seconds: summary.at.saturating_sub(self.began).as_secs_f64(),
            virtual_time: self.timeline.and_then(|timeline| timeline(summary.round)),
        };
        if let Some(answers) = &answers {
            metric.score(answers, self.settings);
        }
        // If the writer is gone, the whole file is written at the end.
        let _ = self.lines.send(metric.clone());
        self.metrics.push(metric);
        match health {
            Health::Sound if self.has_settled(summary.round) => Health::Settled,
            health => health,
        }
    }

    fn found(&self, round: u32) -> Option<Health> {
        let line = self.metrics.iter().rfind(|metric| metric.round == round)?;
        Some(match line.diverged {
            true => Health::Diverged,
            false if self.has_settled(round) => Health::Settled,
            false => Health::Sound,
        })
    }
}

/// Writes each line into the folder's `metrics.jsonl` as it comes, and shows it to `watch`,
/// until no more can come. `curves` get each, too; if they can't be written, the run goes on
/// without them.
///
/// # Errors
/// [`RunFolderError`] of the first line that couldn't be written. None is written after it, so
/// that the file never has a gap; `watch` sees all of them.
pub fn write_metrics(
    folder: &RunFolder,
    lines: Receiver<Metric>,
    mut curves: Option<EventFile>,
    watch: Watch<'_>,
) -> Result<(), RunFolderError> {
    let mut written = Ok(());
    for metric in lines {
        if written.is_ok() {
            written = folder.metric(&metric);
            if let Err(error) = &written {
                tracing::error!("{error}");
            }
        }
        if let Some(events) = &mut curves
            && let Err(error) = events.write(&metric)
        {
            tracing::error!("no more curves for TensorBoard: {error}");
            curves = None;
        }
        watch(&metric);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn losses_have_settled_once_enough_of_them_were_no_better_than_the_best() {
        let settled = |losses: &[f64], patience| have_settled(losses.iter().copied(), patience);
        assert!(!settled(&[], 1));
        assert!(!settled(&[1.0, 0.9, 0.8], 1));
        assert!(settled(&[1.0, 0.9, 0.9], 1));
        assert!(!settled(&[1.0, 0.9, 0.95], 2));
        assert!(settled(&[1.0, 0.9, 0.95, 0.91], 2));
        assert!(!settled(&[1.0, 0.9, 0.95, 0.89, 0.9], 2));
        // What is no number is no better either.
        assert!(settled(&[1.0, f64::NAN, f64::NAN], 2));
    }

    fn metric(round: u32) -> Metric {
        Metric {
            round,
            epsilon: None,
            loss: None,
            calibrated_loss: None,
            scores: RoundScores::default(),
            learning_rate: 0.1,
            unclipped: None,
            clipping_threshold: None,
            clients: None,
            gave: None,
            missing: None,
            diverged: false,
            seconds: 0.0,
            virtual_time: None,
        }
    }

    /// Writes the lines of three rounds: what came of it, and the rounds that were shown.
    fn write(folder: &RunFolder) -> (Result<(), RunFolderError>, Vec<u32>) {
        let (sent, lines) = mpsc::channel();
        for round in 1..=3 {
            sent.send(metric(round)).unwrap();
        }
        drop(sent);
        let mut shown = Vec::new();
        let written = write_metrics(folder, lines, None, &mut |metric| shown.push(metric.round));
        (written, shown)
    }

    fn rounds_in_file(folder: &RunFolder) -> Vec<u64> {
        let text = fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
        let parse = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let lines = text.lines().map(parse);
        lines.map(|line| line["round"].as_u64().unwrap()).collect()
    }

    #[test]
    fn every_round_has_its_line_in_order() {
        let out = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(out.path(), "test", 0).unwrap();
        let (written, shown) = write(&folder);
        written.unwrap();
        assert_eq!(shown, [1, 2, 3]);
        assert_eq!(rounds_in_file(&folder), [1, 2, 3]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_hides_no_round_and_its_lines_can_be_written_later() {
        let out = tempfile::tempdir().unwrap();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let folder = RunFolder::with_metrics(out.path().to_owned(), full);
        let (written, shown) = write(&folder);
        assert!(written.unwrap_err().to_string().contains("metrics.jsonl"));
        assert_eq!(shown, [1, 2, 3]);
        let metrics: Vec<Metric> = (1..=3).map(metric).collect();
        folder.rewrite_metrics(&metrics).unwrap();
        assert_eq!(rounds_in_file(&folder), [1, 2, 3]);
    }
}
