//! `umbel evaluate`: how good a model is on a labelled file.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use umbel::failure::Failure;
use umbel_coordinator::config::EvaluationFile;
use umbel_coordinator::observe::evaluation::{EvaluationError, PublicData, Scores};
use umbel_model::data::{LabelSet, TableSchema};
use umbel_model::{Classifier, DeviceChoice};
use umbel_proto::exit_code::ExitKind;

use super::print_json;

/// Measure a model's accuracy on a labelled file
///
/// Reads a model folder that a run left (Hugging Face layout) and a CSV, JSON Lines or
/// Parquet file, and prints accuracy, macro-F1 and loss. What is measured on private rows
/// is private, too: no budget is charged here, so don't publish it.
#[derive(Args)]
#[command(after_help = "\
Example:
  umbel evaluate --model runs/sentiment-20260101-120000/model --data test.csv")]
pub struct Evaluate {
    /// Folder of the model.
    #[arg(long)]
    model: PathBuf,
    /// Labelled file.
    #[arg(long)]
    data: PathBuf,
    /// Column with the text.
    #[arg(long, default_value = "text")]
    text: String,
    /// Column with the label.
    #[arg(long, default_value = "label")]
    label: String,
    /// Where to compute: auto, cpu, gpu or gpu:N.
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    scores: Scores,
    model: PathBuf,
    data: PathBuf,
    device: String,
}

/// Runs the command.
pub fn run(command: &Evaluate) -> Result<ExitKind, Failure> {
    let (device, device_name) = command.device.resolve()?;
    let classifier = Classifier::open(&command.model, &device)?;
    classifier.task().require_single_label("`umbel evaluate`")?;
    let schema = TableSchema {
        text: command.text.clone(),
        label: command.label.clone(),
        ..TableSchema::default()
    };
    let labels = LabelSet::new(classifier.labels().to_vec())?;
    let file = EvaluationFile {
        name: command.data.display().to_string(),
        path: command.data.clone(),
    };
    let data = PublicData::read(&[file], &schema, &labels, false, &classifier).map_err(failure)?;
    let scores = data.evaluate(&classifier, 0)?.overall;
    if command.json {
        print_json(&Answer {
            scores,
            model: command.model.clone(),
            data: command.data.clone(),
            device: device_name,
        })?;
    } else {
        println!(
            "accuracy {:.4}\nmacro-F1 {:.4}\nloss     {:.4}\nexamples {}\ndevice   {device_name}",
            scores.accuracy, scores.macro_f1, scores.loss, scores.examples
        );
    }
    Ok(ExitKind::Success)
}

fn failure(error: EvaluationError) -> Failure {
    match error {
        EvaluationError::Data(e) => e.into(),
        EvaluationError::Model(e) => e.into(),
    }
}
