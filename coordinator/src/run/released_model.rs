//! The model that a run leaves: scored, calibrated and saved.

use umbel_model::{Classifier, ModelError, Precision};
use umbel_proto::message::Ending;

use crate::config::RunConfig;
use crate::observe::evaluation::{Answers, PublicData};
use crate::observe::judgement::{Calibrate, Judgement};
use crate::observe::recorder::Metric;
use crate::report;
use crate::run::Outcome;
use crate::store::run_folder::RunFolder;

/// What the model that is kept answers on all public rows. Its parameters are left in the
/// classifier. `last` are these answers, where the run came to its last round. A model whose
/// scores turn out not to be finite isn't kept.
pub(super) fn evaluate_kept(
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
pub(super) fn score_kept(
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

/// Judges the model that is kept, and divides its last layer by the temperature that was fitted.
/// That is done to what is released, with public rows alone, so it costs no privacy. The
/// parameters in the run's journal stay as they were trained; the certificate names the files
/// that are written after this.
pub(super) fn calibrate(
    config: &RunConfig,
    answers: Answers,
    public: &PublicData,
    classifier: &mut Classifier,
) -> report::Results {
    let wanted = match config.evaluation.calibrate {
        true => Calibrate::Fit,
        false => Calibrate::Off,
    };
    let labels = classifier.labels().to_vec();
    let (judgement, temperature) = Judgement::of(&answers, public, &labels, wanted);
    let answers = match temperature {
        Some(temperature) => {
            classifier.divide_scores(temperature);
            answers.at(temperature)
        }
        None => answers,
    };
    report::Results::new(&answers.evaluation(), judgement)
}

pub(super) fn save(
    config: &RunConfig,
    folder: &RunFolder,
    classifier: &Classifier,
) -> Result<(), ModelError> {
    classifier.save(&folder.model(), Precision::F32)?;
    if classifier.options().train.lora().is_some() {
        let base = config.model.base.display().to_string();
        classifier.save_adapter(&folder.adapter(), &base)?;
    }
    Ok(())
}
