//! `umbel predict`: the label of a text.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use umbel::failure::Failure;
use umbel_model::data::{Asked, TableSchema, read_texts};
use umbel_model::{Classifier, DeviceChoice, Task, predict, tokens_of};
use umbel_proto::console::{self, Reader};
use umbel_proto::exit_code::ExitKind;

use super::json;
use super::table_options::TableArguments;

/// Classify texts with a model that a run left
///
/// Prints each text's label and the probability of every label. A multi-label model gives every
/// label by itself, and names those that reach their threshold; a regression gives its value. Texts come
/// from --text (which may be repeated), from a column of a table (--data), or, one a line, from
/// standard input. A blank text has no label; its line is there all the same, so that answers and
/// texts stay side by side.
#[derive(Args)]
#[command(after_help = "\
Examples:
  umbel predict --model runs/sentiment-20260101-120000/model --text \"What a lovely film\"
  umbel predict --model model --data visits.csv --column note --json
  umbel predict --model model --json < texts.txt")]
pub struct Predict {
    /// Folder of the model.
    #[arg(long)]
    model: PathBuf,
    /// A text to classify.
    #[arg(long)]
    text: Vec<String>,
    /// The second text of each --text, for a model that reads two texts together.
    #[arg(long, value_name = "TEXT", requires = "text")]
    text_pair: Vec<String>,
    /// A table with the texts to classify. It needs no labels.
    #[arg(long, conflicts_with = "text")]
    data: Option<PathBuf>,
    /// The table's column with the text.
    #[arg(long, default_value = "text", requires = "data")]
    column: String,
    /// The table's column with the second text.
    #[arg(long, value_name = "COLUMN", requires = "data")]
    column_pair: Option<String>,
    #[command(flatten)]
    table: TableArguments,
    /// Where to compute: auto, cpu, gpu or gpu:N.
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// Print one JSON object a text.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_pair: Option<&'a str>,
    #[serde(flatten)]
    told: Told<'a>,
}

/// What a model tells of a text.
#[derive(Serialize)]
#[serde(untagged)]
enum Told<'a> {
    /// The likeliest of the labels.
    One {
        label: &'a str,
        probabilities: BTreeMap<&'a str, f32>,
    },
    /// Those whose probability is at least their threshold.
    Several {
        labels: Vec<&'a str>,
        probabilities: BTreeMap<&'a str, f32>,
    },
    /// The outputs of a regression.
    Numbers { values: BTreeMap<&'a str, f32> },
    /// There is nothing to classify. `label` is always null and `blank` true.
    Blank { label: Option<&'a str>, blank: bool },
}

/// Texts that pass through the model at a time.
const BATCH: usize = 64;

/// Runs the command.
pub fn run(command: &Predict) -> Result<ExitKind, Failure> {
    let texts = texts(command)?;
    let blank = texts.iter().filter(|text| is_blank(text)).count();
    let (device, _) = command.device.resolve()?;
    let classifier = Classifier::open(&command.model, &device)?;
    if classifier.options().pairs && texts.iter().any(|(_, second)| second.is_none()) {
        let reason = "this model reads two texts together; give each --text its --text-pair, or name \
                      the columns of --data with --column and --column-pair";
        return Err(Failure::new(ExitKind::Configuration, reason));
    }
    let written: Vec<_> = texts
        .iter()
        .filter(|text| !is_blank(text))
        .map(|(text, second)| (text.as_str(), second.as_deref()))
        .collect();
    let (tokens, lengths) = tokens_of(&classifier, &written)?;
    if lengths.cut > 0 {
        console::remark(format_args!("note: {lengths}"));
    }
    if blank > 0 {
        console::remark(format_args!(
            "note: {blank} of {} texts are blank and get no label",
            texts.len()
        ));
    }
    let mut answers = predict(&classifier, &tokens, BATCH)?.into_iter();
    for text in &texts {
        let labels = classifier.labels().iter().map(String::as_str);
        let named: Vec<(&str, f32)> = match is_blank(text) {
            true => Vec::new(),
            false => labels.zip(answers.next().unwrap_or_default()).collect(),
        };
        let told = told(&classifier, &named);
        let (text, second) = (&text.0, text.1.as_deref());
        let line = if command.json {
            json(&Answer {
                text,
                text_pair: second,
                told,
            })?
        } else {
            let list: Vec<String> = named.iter().map(|(l, p)| format!("{l} {p:.4}")).collect();
            let second = second.map_or(String::new(), |second| format!("\t{second}"));
            format!("{}\t{}\t{text}{second}", told.short(), list.join("  "))
        };
        if console::answer(line)? == Reader::Gone {
            break;
        }
    }
    Ok(ExitKind::Success)
}

/// A text, and the second one where they are pairs.
type Text = (String, Option<String>);

/// Whether there is nothing to classify: a text without its second one is nothing either.
fn is_blank((text, second): &Text) -> bool {
    let blank = |text: &str| text.trim().is_empty();
    blank(text) || second.as_deref().is_some_and(blank)
}

/// The texts, from where they are said to be.
fn texts(command: &Predict) -> Result<Vec<Text>, Failure> {
    if let Some(data) = &command.data {
        let schema = TableSchema {
            text: command.column.clone(),
            text_pair: command.column_pair.clone(),
            options: command.table.options(),
            asked: Asked::Predict,
            ..TableSchema::default()
        };
        return Ok(read_texts(data, &schema)?);
    }
    let single = |texts: Vec<String>| texts.into_iter().map(|text| (text, None)).collect();
    match (command.text.as_slice(), command.text_pair.as_slice()) {
        ([], _) => from_standard_input().map(single),
        (texts, []) => Ok(single(texts.to_vec())),
        (texts, seconds) if texts.len() == seconds.len() => {
            let seconds = seconds.iter().cloned().map(Some);
            Ok(texts.iter().cloned().zip(seconds).collect())
        }
        (texts, seconds) => {
            let reason = format!(
                "there are {} --text and {} --text-pair; give each text its second one",
                texts.len(),
                seconds.len()
            );
            Err(Failure::new(ExitKind::Configuration, reason))
        }
    }
}

/// What the answers of a text mean. A blank text has none.
fn told<'a>(classifier: &Classifier, named: &[(&'a str, f32)]) -> Told<'a> {
    if named.is_empty() {
        return Told::Blank {
            label: None,
            blank: true,
        };
    }
    let all = || named.iter().copied().collect();
    match classifier.task() {
        Task::SingleLabel => Told::One {
            label: named
                .iter()
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .map_or("", |(label, _)| label),
            probabilities: all(),
        },
        Task::MultiLabel => Told::Several {
            labels: named
                .iter()
                .zip(classifier.thresholds())
                .filter(|((_, p), threshold)| f64::from(*p) >= threshold.get())
                .map(|((l, _), _)| *l)
                .collect(),
            probabilities: all(),
        },
        Task::Regression(_) => Told::Numbers { values: all() },
    }
}

impl Told<'_> {
    /// What comes first on a line.
    fn short(&self) -> String {
        match self {
            Self::One { label, .. } => (*label).to_owned(),
            Self::Several { labels, .. } => labels.join(","),
            Self::Blank { .. } => String::new(),
            Self::Numbers { values } => {
                let numbers = values.values().map(|value| format!("{value:.4}"));
                numbers.collect::<Vec<_>>().join(" ")
            }
        }
    }
}

fn from_standard_input() -> Result<Vec<String>, Failure> {
    let mut input = std::io::stdin();
    if input.is_terminal() {
        console::remark("Texts are read from the keyboard, one a line; Ctrl-D ends them.");
    }
    let mut text = String::new();
    input.read_to_string(&mut text).map_err(|e| {
        let reason = format!("standard input: {e}; give UTF-8 text, one a line, or use --text");
        Failure::new(ExitKind::Data, reason)
    })?;
    if text.is_empty() {
        let reason = "standard input is empty, so there is nothing to classify; give texts there, \
                      one a line, or use --text or --data";
        return Err(Failure::new(ExitKind::Data, reason));
    }
    Ok(text.lines().map(str::to_owned).collect())
}
