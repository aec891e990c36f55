//! `umbel predict`: the label of a text.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use umbel::failure::Failure;
use umbel_model::data::{Asked, TableSchema, read_texts};
use umbel_model::{Classifier, DeviceChoice, TextLengths, predict};
use umbel_proto::exit_code::ExitKind;

use super::print_json;
use super::table_options::TableArguments;

/// Classify texts with a model that a run left
///
/// Prints each text's label and the probability of every label. Texts come from --text
/// (which may be repeated), from a column of a table (--data), or, one a line, from standard
/// input.
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
    /// A table with the texts to classify. It needs no labels.
    #[arg(long, conflicts_with = "text")]
    data: Option<PathBuf>,
    /// The table's column with the text.
    #[arg(long, default_value = "text", requires = "data")]
    column: String,
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
    label: &'a str,
    probabilities: BTreeMap<&'a str, f32>,
}

/// Texts that pass through the model at a time.
const BATCH: usize = 64;

/// Runs the command.
pub fn run(command: &Predict) -> Result<ExitKind, Failure> {
    let texts = texts(command)?;
    let (device, _) = command.device.resolve()?;
    let classifier = Classifier::open(&command.model, &device)?;
    let mut lengths = TextLengths::most(classifier.most_tokens());
    let mut tokens = Vec::with_capacity(texts.len());
    for text in &texts {
        let (ids, whole) = classifier.encode_counting(text)?;
        lengths.count(whole);
        tokens.push(ids);
    }
    if lengths.cut > 0 {
        eprintln!("note: {lengths}");
    }
    for (text, probabilities) in texts.iter().zip(predict(&classifier, &tokens, BATCH)?) {
        let labels = classifier.labels().iter().map(String::as_str);
        let named: Vec<(&str, f32)> = labels.zip(probabilities).collect();
        let best = named.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let label = best.map_or("", |(label, _)| label);
        if command.json {
            print_json(&Answer {
                text,
                label,
                probabilities: named.iter().copied().collect(),
            })?;
        } else {
            let list: Vec<String> = named.iter().map(|(l, p)| format!("{l} {p:.4}")).collect();
            println!("{label}\t{}\t{text}", list.join("  "));
        }
    }
    Ok(ExitKind::Success)
}

/// The texts, from where they are said to be.
fn texts(command: &Predict) -> Result<Vec<String>, Failure> {
    if let Some(data) = &command.data {
        let schema = TableSchema {
            text: command.column.clone(),
            options: command.table.options(),
            asked: Asked::Predict,
            ..TableSchema::default()
        };
        return Ok(read_texts(data, &schema)?);
    }
    match command.text.is_empty() {
        true => from_standard_input(),
        false => Ok(command.text.clone()),
    }
}

fn from_standard_input() -> Result<Vec<String>, Failure> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|e| {
        let reason = format!("standard input: {e}; give UTF-8 text, one a line, or use --text");
        Failure::new(ExitKind::Data, reason)
    })?;
    Ok(text.lines().map(str::to_owned).collect())
}
