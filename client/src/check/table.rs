//! The site's table: rows, labels, units, and texts that are longer than what is read. Counts of
//! private rows: they are told to the site's own operator, and to nobody else.

use std::collections::BTreeMap;

use umbel_model::data::{LabelSet, LabelledTexts, read_table};
use umbel_model::{Classifier, ModelError, Target, TaskKind};
use umbel_privacy::unit::PrivacyUnit;
use umbel_privacy::unit_word::UnitWord;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::findings::{Finding, Findings};
use umbel_proto::plan::Plan;

use crate::config::ClientConfig;
use crate::site::SiteSettings;
use crate::site_texts::SiteTexts;

/// Labels of a table that are listed in a sentence.
const LISTED: usize = 20;

/// The table by itself, with the labels that the configuration or the table names.
pub(super) fn by_itself(found: &mut Findings, config: &ClientConfig) {
    let read = |task: TaskKind| {
        let schema = config.schema().for_task(task, &config.data.labels);
        let table = read_table(&config.data.path, &schema)?;
        let labels = match config.data.labels.as_slice() {
            [] => LabelSet::union([&table])?,
            given => LabelSet::new(given.to_vec())?,
        };
        let texts = LabelledTexts::for_task(&table, task, &labels)?;
        let groups = match config.data.group {
            Some(_) => Some(texts.rows_by_group(None)?),
            None => None,
        };
        Ok::<_, umbel_model::data::DataError>((texts, labels, groups))
    };
    // Whether a row has one label or any number, only a plan says.
    let one = match config.data.label_separator {
        Some(_) => read(TaskKind::MultiLabel),
        None => read(TaskKind::SingleLabel),
    };
    let read = one.or_else(|error| read(TaskKind::MultiLabel).map_err(|_| error));
    match read {
        Ok((texts, labels, groups)) => {
            found.note(rows(&texts, &labels));
            if let Some(groups) = groups {
                found.note(units(UnitWord(Some(PrivacyUnit::Group)), &groups));
            }
        }
        Err(error) => found.fail("table", ExitKind::Data, error),
    }
}

/// The table as a plan wants it.
pub(super) fn for_plan(
    found: &mut Findings,
    settings: &SiteSettings,
    plan: &Plan,
) -> Option<SiteTexts> {
    let labels = LabelSet::new(plan.classifier.options.labels.clone());
    let read = labels
        .map_err(Into::into)
        .and_then(|labels| Ok((SiteTexts::read(settings, plan, &labels)?, labels)));
    match read {
        Ok((site, labels)) => {
            found.note(rows(&site.texts, &labels));
            found.note(units(UnitWord(plan.unit()), &site.units));
            Some(site)
        }
        Err(error) => {
            let error: crate::site::SiteError = error;
            found.fail("table", error.exit_kind(), error);
            None
        }
    }
}

fn rows(texts: &LabelledTexts, labels: &LabelSet) -> Finding {
    if let Some((least, most)) = texts.value_range() {
        let said = format!("{} rows: values from {least} to {most}", texts.len());
        let finding = Finding::good("table", said).with("rows", texts.len());
        return finding
            .with("least_value", least)
            .with("largest_value", most);
    }
    let mut counts = vec![0usize; labels.len()];
    for label in texts.targets.iter().flat_map(Target::classes) {
        if let Some(count) = counts.get_mut(*label) {
            *count += 1;
        }
    }
    let by_label: BTreeMap<&str, usize> = labels
        .names()
        .iter()
        .map(String::as_str)
        .zip(counts.iter().copied())
        .collect();
    let named = labels.names().iter().zip(&counts);
    let mut listed: Vec<String> = named
        .take(LISTED)
        .map(|(label, count)| format!("{label} {count}"))
        .collect();
    if labels.len() > LISTED {
        listed.push(format!("and {} more labels", labels.len() - LISTED));
    }
    let said = format!("{} rows: {}", texts.len(), listed.join(", "));
    let finding = match counts.contains(&0) {
        true => Finding::warning("table", format!("{said}; a label has no row")),
        false => Finding::good("table", said),
    };
    finding.with("rows", texts.len()).with("labels", by_label)
}

fn units(unit: UnitWord, units: &[Vec<usize>]) -> Finding {
    let largest = units.iter().map(Vec::len).max().unwrap_or(0);
    let said = format!("{} of unit {unit}, of {largest} rows at most", units.len());
    Finding::good("units", said)
        .with("units", units.len())
        .with("largest_unit", largest)
}

/// How many texts have more tokens than the run reads.
pub(super) fn cut_texts(
    found: &mut Findings,
    site: &SiteTexts,
    model: &Classifier,
) -> Result<(), ModelError> {
    let mut cut = 0usize;
    let seconds = site.texts.seconds.as_ref();
    for (row, text) in site.texts.texts.iter().enumerate() {
        let second = seconds.and_then(|seconds| seconds.get(row));
        let (tokens, whole) = model.tokens(text, second.map(String::as_str))?;
        cut += usize::from(whole > tokens.len());
    }
    let (all, most) = (site.texts.len(), model.options().max_tokens);
    let said = format!("{cut} of {all} have more than {most} tokens, and are cut there");
    // A tenth of all texts is more than a few odd ones.
    let finding = match cut.saturating_mul(10) > all {
        true => Finding::warning(
            "texts",
            format!("{said}: the run may raise model.max_tokens"),
        ),
        false => Finding::good("texts", said),
    };
    found.note(finding.with("texts_cut", cut));
    Ok(())
}
