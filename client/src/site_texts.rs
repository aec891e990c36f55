//! A site's texts: its table, as the plan wants it.

use std::num::NonZeroUsize;
use std::path::Path;

use umbel_model::data::{LabelSet, LabelledTexts, Table, clean, read_table};
use umbel_model::{ModelError, tokenise};
use umbel_privacy::unit::PrivacyUnit;
use umbel_proto::message::ClientId;
use umbel_proto::plan::{AgreedPlan, Plan};

use crate::compute::TrainingModels;
use crate::site::{SiteError, SiteSettings};
use crate::site_report::SiteReport;
use crate::site_table::{SiteRows, SiteTable};

/// Looks whether a site's table is one that the plan can use, and keeps nothing of it.
///
/// # Errors
/// [`SiteError`] where it can't be read, or doesn't fit the plan.
pub fn check_table(settings: &SiteSettings, plan: &Plan) -> Result<(), SiteError> {
    let labels = LabelSet::new(plan.classifier.options.labels.clone())?;
    SiteTexts::read(settings, plan, &labels).map(drop)
}

/// A site's texts, as a plan wants them.
pub(crate) struct SiteTexts {
    /// The texts with their labels.
    pub(crate) texts: LabelledTexts,
    /// Rows of each unit.
    pub(crate) units: Vec<Vec<usize>>,
}

impl SiteTexts {
    /// Reads the table and divides it into units.
    ///
    /// # Errors
    /// [`SiteError`] where it can't be read, or doesn't fit the plan.
    pub(crate) fn read(
        settings: &SiteSettings,
        plan: &Plan,
        labels: &LabelSet,
    ) -> Result<Self, SiteError> {
        let table = match &settings.table {
            SiteTable::File(file) => read_file(file, settings, plan)?,
            SiteTable::Held(held) => held.table(),
        };
        Self::of(table, &settings.name, plan, labels)
    }

    /// Divides a table's rows into units.
    ///
    /// # Errors
    /// [`SiteError`] where it doesn't fit the plan.
    pub(crate) fn of(
        mut table: Table,
        site: &ClientId,
        plan: &Plan,
        labels: &LabelSet,
    ) -> Result<Self, SiteError> {
        if plan.local.clean && !table.cleaned {
            let (cleaned, report) = clean(table);
            tracing::info!(%site, "{report}");
            table = cleaned;
        }
        let options = &plan.classifier.options;
        let texts = LabelledTexts::for_task(&table, options.task.kind(), labels)?;
        texts.check(options.task, options.labels.len())?;
        let units = match &plan.protection {
            Some(protection) if protection.unit == PrivacyUnit::Group => {
                texts.rows_by_group(protection.rows_per_group.map(NonZeroUsize::get))?
            }
            _ => texts.rows_by_record(),
        };
        if units.len() as u64 > plan.local.max_units.get() {
            return Err(SiteError::Plan(format!(
                "this site has more units than the run's training.max_units, {}; the run must \
                 raise it, or the site offer a smaller table",
                plan.local.max_units
            )));
        }
        Ok(Self { texts, units })
    }
}

/// Whether the site names a second text exactly where the run reads two.
fn check_pairs(pairs: bool, second: Option<&str>) -> Result<(), SiteError> {
    match (pairs, second) {
        (true, None) => Err(SiteError::Plan(
            "the run reads two texts together; name the column of this site's second texts under \
             data.text_pair"
                .into(),
        )),
        (false, Some(column)) => Err(SiteError::Plan(format!(
            "the run reads one text a row, and this site names {column:?} under data.text_pair; \
             remove that"
        ))),
        (true, Some(_)) | (false, None) => Ok(()),
    }
}

fn read_file(file: &Path, settings: &SiteSettings, plan: &Plan) -> Result<Table, SiteError> {
    let options = &plan.classifier.options;
    check_pairs(options.pairs, settings.schema.text_pair.as_deref())?;
    let schema = settings.schema.clone();
    let schema = schema.for_task(options.task.kind(), &options.labels);
    Ok(read_table(file, &schema)?)
}

/// Reads a site's rows for a whole run, and tells its log about them.
///
/// # Errors
/// [`SiteError`] where the table can't be read, or doesn't fit the plan.
pub(crate) fn read_rows(
    file: &Path,
    settings: &SiteSettings,
    plan: &AgreedPlan,
    models: &TrainingModels,
) -> Result<SiteRows, SiteError> {
    let labels = LabelSet::new(plan.classifier.options.labels.clone())?;
    let SiteTexts { texts, units } = SiteTexts::read(settings, plan, &labels)?;
    let (rows, lengths) = models.with(|model| {
        let (examples, lengths) = tokenise(&texts, model)?;
        Ok::<_, ModelError>((SiteRows::new(examples, units, model), lengths))
    })?;
    let count = rows.units.len();
    let report = SiteReport::new(file.to_owned(), &texts, &labels, count, lengths);
    tracing::info!(site = %settings.name, "{report}");
    for warning in report.warnings(plan) {
        tracing::warn!(site = %settings.name, "{warning}");
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use umbel_proto::exit_code::ExitKind;

    use super::*;

    #[test]
    fn a_site_names_a_second_text_exactly_where_the_run_reads_two() {
        assert!(check_pairs(true, Some("answer")).is_ok() && check_pairs(false, None).is_ok());
        for (pairs, second) in [(true, None), (false, Some("answer"))] {
            let error = check_pairs(pairs, second).expect_err("a mismatch");
            assert_eq!(error.exit_kind(), ExitKind::Configuration);
            assert!(error.to_string().contains("data.text_pair"), "{error}");
        }
    }
}
