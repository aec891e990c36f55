//! `umbel evaluate`: how good a model is on a labelled file.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use umbel::failure::Failure;
use umbel_coordinator::config::EvaluationFile;
use umbel_coordinator::observe::evaluation::Evaluation;
use umbel_coordinator::observe::judgement::{
    Calibrate, Judgement, Majority, PerClass, ScoreIntervals,
};
use umbel_coordinator::observe::public_data::{EvaluationError, PublicData};
use umbel_coordinator::observe::scores::{Score, Scores};
use umbel_model::data::{Asked, LabelSet, Separator, TableSchema};
use umbel_model::{Classifier, DeviceChoice};
use umbel_proto::console;
use umbel_proto::exit_code::ExitKind;

use super::table_options::TableArguments;
use super::{print, print_json};

/// Measure a model's accuracy on a labelled file
///
/// Reads a model folder that a run left (Hugging Face layout) and a table (CSV, JSON, Parquet, Arrow, an
/// Excel workbook, or a folder of such files), and prints accuracy, macro-F1 and loss with
/// their intervals, precision, recall and F1 of each label, what little effort would give, and
/// whether probabilities are what they say. Of a model that gives any number of labels, it prints
/// micro-F1, macro-F1 and how many rows are all right; of a regression, RMSE, MAE and R². What is measured on private rows is private, too: no
/// budget is charged here, so don't publish it.
#[derive(Args)]
#[command(after_help = "\
Example:
  umbel evaluate --model runs/sentiment-20260101-120000/model --data test.csv")]
pub struct Evaluate {
    /// Folder of the model.
    #[arg(long)]
    model: PathBuf,
    /// Labelled file; may be repeated.
    #[arg(long, required = true)]
    data: Vec<PathBuf>,
    /// Column with the text.
    #[arg(long, default_value = "text")]
    text: String,
    /// Column with the second text, for a model that reads two texts together.
    #[arg(long, value_name = "COLUMN")]
    text_pair: Option<String>,
    /// Column with the label, the labels (a list, or a text with a separator) or the value.
    #[arg(long, default_value = "label")]
    label: String,
    /// What stands between the labels of a text, for a model that gives any number of them.
    #[arg(long, value_name = "TEXT")]
    label_separator: Option<Separator>,
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
struct Answer {
    #[serde(flatten)]
    scores: Scores,
    #[serde(flatten)]
    judgement: Judgement,
    /// The scores of each file.
    files: Vec<FileScores>,
    model: String,
    data: Vec<String>,
    device: String,
}

#[derive(Serialize)]
struct FileScores {
    name: String,
    #[serde(flatten)]
    scores: Scores,
}

/// Runs the command.
pub fn run(command: &Evaluate) -> Result<ExitKind, Failure> {
    let (device, device_name) = command.device.resolve()?;
    let classifier = Classifier::open(&command.model, &device)?;
    if classifier.options().pairs && command.text_pair.is_none() {
        let reason = "this model reads two texts together; name the column of the second ones with \
                      --text-pair";
        return Err(Failure::new(ExitKind::Configuration, reason));
    }
    let schema = TableSchema {
        text: command.text.clone(),
        text_pair: command.text_pair.clone(),
        label: command.label.clone(),
        options: command.table.options(),
        label_separator: command.label_separator.clone(),
        asked: Asked::Evaluate,
        ..TableSchema::default()
    }
    .for_task(classifier.task().kind(), classifier.labels());
    let labels = LabelSet::new(classifier.labels().to_vec())
        .map_err(|e| Failure::new(ExitKind::Model, format!("the model's labels: {e}")))?;
    let names: Vec<String> = command
        .data
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let files: Vec<EvaluationFile> = command.data.iter().map(|path| file(path)).collect();
    let data = PublicData::read(&files, &schema, &labels, false, &classifier).map_err(failure)?;
    for note in data.notes() {
        console::remark(format_args!("note: {note}"));
    }
    let answers = data.answers(&classifier)?;
    let already = Calibrate::Already(classifier.temperature());
    let (judgement, _) = Judgement::of(&answers, &data, labels.names(), already);
    let evaluation = answers.evaluation();
    if command.json {
        let files = evaluation.files.into_iter();
        print_json(&Answer {
            scores: evaluation.overall,
            judgement,
            files: files
                .map(|(name, scores)| FileScores { name, scores })
                .collect(),
            model: command.model.display().to_string(),
            data: names,
            device: device_name,
        })?;
    } else {
        let scores = scores_table(&evaluation, &judgement, &device_name);
        print(scores + &labels_table(&judgement.per_class))?;
    }
    Ok(ExitKind::Success)
}

fn file(path: &Path) -> EvaluationFile {
    EvaluationFile {
        name: path.display().to_string(),
        path: path.to_owned(),
    }
}

/// Labels whose scores are shown where nobody asked for JSON.
const SHOWN: usize = 40;

fn scores_table(evaluation: &Evaluation, judgement: &Judgement, device: &str) -> String {
    let scores = &evaluation.overall;
    let mut text = String::new();
    if let Some(verdict) = &judgement.verdict {
        text += &format!("{verdict}\n\n");
    }
    let interval = |of: fn(&ScoreIntervals) -> (f64, f64)| {
        let interval = judgement.intervals.as_ref().map(of);
        interval.map_or(String::new(), |(low, high)| {
            format!("  (95 % interval {low:.4} to {high:.4})")
        })
    };
    for score in scores.all() {
        let name = score.name;
        let interval = match score.key {
            "accuracy" => interval(|of| of.accuracy),
            "macro_f1" => interval(|of| of.macro_f1),
            _ => String::new(),
        };
        text += &match score.value {
            Some(value) => format!("{name:<9}{value:.4}{interval}\n"),
            None => format!("{name:<9}none: all values are alike\n"),
        };
    }
    text += &format!(
        "loss     {:.4}\nexamples {}\ndevice   {device}\n",
        scores.loss(),
        scores.examples()
    );
    if let Some(area) = judgement.auc {
        text += &format!("AUC      {area:.4}\n");
    }
    if let Some(majority) = &judgement.majority {
        let Majority { label, share } = majority;
        text += &format!("always answering {label:?}: accuracy {share:.4}\n");
    }
    text += &match &judgement.bag_of_words {
        Some(words) => format!(
            "bag of words, trained on {} of these rows: accuracy {:.4} on the other {}, where \
             this model has {:.4}\n",
            words.trained_on, words.accuracy, words.examples, words.model_accuracy
        ),
        // Only labels that exclude each other have a simpler model to be beside.
        None if judgement.calibration.is_none() => String::new(),
        None => "bag of words: missing, there are too few rows to train one on\n".into(),
    };
    if let Some(calibration) = &judgement.calibration {
        let before = calibration.before.as_ref();
        let before = before.map_or(String::new(), |b| format!(" (as trained {:.4})", b.ece));
        text += &format!("calibration error {:.4}{before}\n", calibration.now.ece);
    }
    if evaluation.files.len() > 1 {
        let names: String = scores
            .all()
            .iter()
            .map(|s| format!("{:<10}", s.name))
            .collect();
        text += &format!("\n{names}loss    examples  file\n");
        for (name, s) in &evaluation.files {
            let number = |score: Score| match score.value {
                Some(value) => format!("{value:<10.4}"),
                None => format!("{:<10}", "none"),
            };
            let numbers: String = s.all().into_iter().map(number).collect();
            text += &format!("{numbers}{:<8.4}{:<10}{name}\n", s.loss(), s.examples());
        }
    }
    text
}

fn labels_table(per_class: &[PerClass]) -> String {
    if per_class.is_empty() {
        return String::new();
    }
    if per_class.len() > SHOWN {
        let labels = per_class.len();
        return format!("({labels} labels; --json has the scores of each)\n");
    }
    let width = per_class.iter().map(|class| class.label.chars().count());
    let width = width.max().unwrap_or_default().clamp(5, 40);
    let mut text = format!(
        "\n{:width$}  precision  recall  F1      examples\n",
        "label"
    );
    for class in per_class {
        text += &format!(
            "{:width$}  {:.4}     {:.4}  {:.4}  {}\n",
            class.label, class.precision, class.recall, class.f1, class.examples
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
