//! What a site is told of its own table, in its own log. Counts of private rows are private: none
//! of this leaves the site.

use std::fmt;
use std::path::PathBuf;

use umbel_model::data::{LabelSet, LabelledTexts};
use umbel_model::{Target, TextLengths};
use umbel_privacy::unit::PrivacyUnit;
use umbel_proto::plan::Plan;

/// A site's table as the site uses it.
#[derive(Clone, Debug)]
pub(crate) struct SiteReport {
    table: PathBuf,
    rows: usize,
    units: usize,
    groups: Option<usize>,
    /// Each label of the run, and how many rows have it.
    labels: Vec<(String, usize)>,
    /// The least and the largest value, where rows have values.
    values: Option<(f64, f64)>,
    lengths: TextLengths,
    notes: Vec<String>,
}

impl SiteReport {
    /// Of a table whose rows were divided into so many units.
    pub(crate) fn new(
        table: PathBuf,
        texts: &LabelledTexts,
        labels: &LabelSet,
        units: usize,
        lengths: TextLengths,
    ) -> Self {
        let mut counts = vec![0; labels.len()];
        for label in texts.targets.iter().flat_map(Target::classes) {
            if let Some(count) = counts.get_mut(*label) {
                *count += 1;
            }
        }
        Self {
            table,
            rows: texts.len(),
            units,
            groups: texts.group_count(),
            labels: labels.names().iter().cloned().zip(counts).collect(),
            values: texts.value_range(),
            lengths,
            notes: texts.notes.clone(),
        }
    }

    /// What the site's owner should look at before the run goes on.
    pub(crate) fn warnings(&self, plan: &Plan) -> Vec<String> {
        let own = |unit| matches!(unit, PrivacyUnit::Record | PrivacyUnit::Group);
        let (delta, units) = match &plan.protection {
            Some(promise) if own(promise.unit) => (promise.budget.delta().get(), self.units.max(1)),
            _ => return Vec::new(),
        };
        let large = (delta > 1.0 / units as f64).then(|| {
            format!(
                "the run's delta, {delta}, is more than 1/{units}, one over this site's units: so \
                 large a delta allows that one of them leaks whole"
            )
        });
        large.into_iter().collect()
    }
}

impl fmt::Display for SiteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} rows", self.table.display(), self.rows)?;
        if let Some(groups) = self.groups {
            write!(f, " of {groups} groups")?;
        }
        write!(f, ", {} units; ", self.units)?;
        // The commonest labels of a long list are enough to see whether it is the right table.
        const SHOWN: usize = 20;
        let mut labels: Vec<&(String, usize)> = self.labels.iter().collect();
        if labels.len() > SHOWN {
            labels.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        }
        let shown: Vec<String> = labels
            .iter()
            .take(SHOWN)
            .map(|(label, count)| format!("{label} {count}"))
            .collect();
        match self.values {
            Some((least, most)) => write!(f, "values from {least} to {most}")?,
            None => write!(f, "labels: {}", shown.join(", "))?,
        }
        if labels.len() > SHOWN {
            write!(f, " and {} more", labels.len() - SHOWN)?;
        }
        write!(f, "; {}", self.lengths)?;
        for note in &self.notes {
            write!(f, "; {note}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use umbel_model::data::{Row, Table};
    use umbel_proto::plan::Plan;

    use super::*;

    fn report() -> SiteReport {
        let row = |i: usize, label: &str| Row {
            text: format!("text {i}"),
            second: None,
            label: label.into(),
            group: None,
            client: None,
            row: i,
        };
        let table = Table {
            file: "visits.csv".into(),
            notes: vec!["its columns are separated by semicolons".into()],
            rows: vec![row(1, "pos"), row(2, "neg"), row(3, "pos")],
            ..Table::default()
        };
        let labels = LabelSet::new(vec!["neg".into(), "pos".into()]).expect("labels");
        let texts = LabelledTexts::from_table(&table, &labels).expect("a table");
        let mut lengths = TextLengths::most(8);
        for tokens in [3, 9, 4] {
            lengths.count(tokens);
        }
        SiteReport::new("visits.csv".into(), &texts, &labels, 3, lengths)
    }

    #[test]
    fn a_site_is_told_its_rows_labels_and_what_is_cut() {
        assert_eq!(
            report().to_string(),
            "visits.csv: 3 rows, 3 units; labels: neg 1, pos 2; 1 of 3 texts are cut to 8 tokens; \
             the longest has 9; its columns are separated by semicolons"
        );
    }

    #[test]
    fn a_site_with_values_is_told_from_where_to_where_they_go() {
        let row = |i: usize, value: &str| Row {
            text: format!("text {i}"),
            second: None,
            label: value.into(),
            group: None,
            client: None,
            row: i,
        };
        let table = Table {
            file: "visits.csv".into(),
            rows: vec![row(1, "36.5"), row(2, "-1"), row(3, "41")],
            ..Table::default()
        };
        let value = LabelSet::new(vec!["degrees".into()]).expect("a name");
        let task = umbel_model::TaskKind::Regression;
        let texts = LabelledTexts::for_task(&table, task, &value).expect("values");
        let lengths = TextLengths::most(8);
        let told = SiteReport::new("visits.csv".into(), &texts, &value, 3, lengths).to_string();
        assert!(told.contains("3 units; values from -1 to 41;"), "{told}");
    }

    #[test]
    fn a_delta_above_one_over_the_units_is_told() {
        let plan = Plan::from_json(include_bytes!("../../proto/plan.example.json"));
        let plan = plan.expect("a plan");
        assert!(report().warnings(&plan).is_empty());
        let loose = plan.changed(|plan| {
            let promise = plan.protection.as_mut().expect("the example promises");
            promise.budget = umbel_privacy::budget::Budget::new(8.0, 0.5).expect("a budget");
        });
        let told = report().warnings(&loose.expect("a plan"));
        assert!(told.iter().any(|told| told.contains("1/3")), "{told:?}");
    }
}
