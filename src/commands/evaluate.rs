//! `umbel evaluate`: how good a model is on a labelled file.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use umbel::failure::Failure;
use umbel_coordinator::config::EvaluationFile;
use umbel_coordinator::observe::evaluation::{ByLabel, EvaluationError, PublicData, Scores};
use umbel_model::data::{Asked, LabelSet, TableSchema};
use umbel_model::metrics::ClassScores;
use umbel_model::{Classifier, DeviceChoice};
use umbel_proto::console;
use umbel_proto::exit_code::ExitKind;

use super::table_options::TableArguments;
use super::{print, print_json};

/// Measure a model's accuracy on a labelled file
///
/// Reads a model folder that a run left (Hugging Face layout) and a table (CSV, JSON, Parquet, an
/// Excel workbook, or a folder of such files), and prints accuracy, macro-F1 and loss, and
/// precision, recall and F1 of each label. What is measured on private rows is private, too: no
/// budget is charged here, so don't publish it.
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
    #[command(flatten)]
    table: TableArguments,
    /// Where to compute: auto, cpu, gpu or gpu:N.
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    scores: Scores,
    /// The area under the ROC curve of the second of two labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    auc: Option<f64>,
    per_class: Vec<PerClass<'a>>,
    /// How often each label (the row) was taken for each (the column), in the order of
    /// `per_class`.
    #[serde(skip_serializing_if = "Option::is_none")]
    confusion: Option<Vec<Vec<usize>>>,
    model: String,
    data: String,
    device: String,
}

#[derive(Serialize)]
struct PerClass<'a> {
    label: &'a str,
    precision: f64,
    recall: f64,
    f1: f64,
    /// Rows with this label.
    examples: usize,
    /// Rows that were taken for it.
    predicted: usize,
}

impl<'a> PerClass<'a> {
    fn new((label, scores): (&'a String, &ClassScores)) -> Self {
        Self {
            label,
            precision: scores.precision,
            recall: scores.recall,
            f1: scores.f1,
            examples: scores.support,
            predicted: scores.predicted,
        }
    }
}

/// Runs the command.
pub fn run(command: &Evaluate) -> Result<ExitKind, Failure> {
    let (device, device_name) = command.device.resolve()?;
    let classifier = Classifier::open(&command.model, &device)?;
    classifier.task().require_single_label("`umbel evaluate`")?;
    let schema = TableSchema {
        text: command.text.clone(),
        label: command.label.clone(),
        options: command.table.options(),
        asked: Asked::Evaluate,
        ..TableSchema::default()
    };
    let labels = LabelSet::new(classifier.labels().to_vec())
        .map_err(|e| Failure::new(ExitKind::Model, format!("the model's labels: {e}")))?;
    let file = EvaluationFile {
        name: command.data.display().to_string(),
        path: command.data.clone(),
    };
    let data = PublicData::read(&[file], &schema, &labels, false, &classifier).map_err(failure)?;
    for note in data.notes() {
        console::remark(format_args!("note: {note}"));
    }
    let (scores, by_label) = data.evaluate_by_label(&classifier)?;
    if command.json {
        let per_class = labels.names().iter().zip(&by_label.scores);
        print_json(&Answer {
            scores,
            auc: by_label.area_under_roc,
            per_class: per_class.map(PerClass::new).collect(),
            confusion: by_label.confusion,
            model: command.model.display().to_string(),
            data: command.data.display().to_string(),
            device: device_name,
        })?;
    } else {
        print(table(&scores, &by_label, labels.names(), &device_name))?;
    }
    Ok(ExitKind::Success)
}

/// Labels whose scores are shown where nobody asked for JSON.
const SHOWN: usize = 40;

fn table(scores: &Scores, by_label: &ByLabel, labels: &[String], device: &str) -> String {
    let mut text = format!(
        "accuracy {:.4}\nmacro-F1 {:.4}\nloss     {:.4}\nexamples {}\ndevice   {device}\n",
        scores.accuracy, scores.macro_f1, scores.loss, scores.examples
    );
    if let Some(area) = by_label.area_under_roc {
        text += &format!("AUC      {area:.4}\n");
    }
    if labels.len() > SHOWN {
        text += &format!("({} labels; --json has the scores of each)\n", labels.len());
        return text;
    }
    let width = labels.iter().map(|label| label.chars().count()).max();
    let width = width.unwrap_or_default().clamp(5, 40);
    text += &format!(
        "\n{:width$}  precision  recall  F1      examples\n",
        "label"
    );
    for (label, scores) in labels.iter().zip(&by_label.scores) {
        text += &format!(
            "{label:width$}  {:.4}     {:.4}  {:.4}  {}\n",
            scores.precision, scores.recall, scores.f1, scores.support
        );
    }
    text
}

fn failure(error: EvaluationError) -> Failure {
    match error {
        EvaluationError::Data(e) => e.into(),
        EvaluationError::Model(e) => e.into(),
    }
}
