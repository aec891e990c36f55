//! Labelled texts, and which of them belong to one privacy unit.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::error::{DataError, Place};
use super::group_ids::GroupColumn;
use umbel_proto::task::{Task, TaskKind};

use super::label_form::is_missing;
use super::label_lookup::LabelLookup;
use super::labels::LabelSet;
use super::table::{Row, Table};
use super::target_error::TargetError;
use crate::target::Target;

/// Texts with their labels as indices into a [`LabelSet`]: at least one, none blank.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledTexts {
    /// The texts.
    pub texts: Vec<String>,
    /// The second text of each, where rows are pairs; none blank either.
    pub seconds: Option<Vec<String>>,
    /// What is right for each text.
    pub targets: Vec<Target>,
    /// The group of each text, where the table has a group column.
    pub groups: Option<Vec<Option<String>>>,
    /// What was found out about the table, in sentences for whoever reads it.
    pub notes: Vec<String>,
    /// The row of each text in its file.
    rows: Vec<usize>,
    group_column: Option<GroupColumn>,
    file: PathBuf,
}

impl LabelledTexts {
    /// Looks up every label of a table whose rows have one each.
    ///
    /// # Errors
    /// As [`Self::for_task`].
    pub fn from_table(table: &Table, labels: &LabelSet) -> Result<Self, DataError> {
        Self::for_task(table, TaskKind::SingleLabel, labels)
    }

    /// Finds out what is right for every row of a table. The labels of a regression, which has none,
    /// are left alone.
    ///
    /// # Errors
    /// [`DataError::UnknownLabel`], [`DataError::SeveralLabels`], [`DataError::Target`] or
    /// [`DataError::EmptyText`] naming the row, or [`DataError::NoRows`].
    pub fn for_task(table: &Table, task: TaskKind, labels: &LabelSet) -> Result<Self, DataError> {
        if table.rows.is_empty() {
            return Err(DataError::NoRows {
                file: table.file.clone(),
                cleaned: table.cleaned,
            });
        }
        let mut lookup = LabelLookup::of(table, labels);
        let mut targets = Vec::with_capacity(table.rows.len());
        for row in &table.rows {
            let blank = |text: &str| text.trim().is_empty();
            if blank(&row.text) || row.second.as_deref().is_some_and(blank) {
                return Err(DataError::EmptyText {
                    place: table.place(row),
                    second: !blank(&row.text),
                    asked: table.asked,
                });
            }
            targets.push(target(table, row, task, &mut lookup)?);
        }
        let mut notes = table.notes.clone();
        notes.extend(lookup.note());
        Ok(Self {
            texts: table.rows.iter().map(|row| row.text.clone()).collect(),
            // Rows of one table all have a second text, or none has.
            seconds: table.rows.iter().map(|row| row.second.clone()).collect(),
            targets,
            groups: table
                .group
                .as_ref()
                .map(|_| table.rows.iter().map(|row| row.group.clone()).collect()),
            notes,
            group_column: table.group.clone(),
            rows: table.rows.iter().map(|row| row.row).collect(),
            file: table.file.clone(),
        })
    }

    /// How many different groups there are; `None` for a table without a group column. Counted as
    /// they are written.
    pub fn group_count(&self) -> Option<usize> {
        let groups = self.groups.as_ref()?;
        let different: HashSet<&str> = groups.iter().flatten().map(String::as_str).collect();
        Some(different.len())
    }

    /// Checks that a run of this task and so many outputs can learn from every row.
    ///
    /// # Errors
    /// [`DataError::Target`] for the first from which it can't, such as a value that is infinite in the
    /// run's scale.
    pub fn check(&self, task: Task, outputs: usize) -> Result<(), DataError> {
        let mistakes = self.targets.iter().zip(&self.rows);
        let first = mistakes
            .filter_map(|(target, row)| Some((target.mistake(task, outputs)?, *row)))
            .next();
        match first {
            None => Ok(()),
            Some((problem, row)) => {
                let file = self.file.clone();
                let place = Place { file, row };
                Err(TargetError::Unfit { place, problem }.into())
            }
        }
    }

    /// The least and the largest value, where texts have values.
    pub fn value_range(&self) -> Option<(f64, f64)> {
        let values = self.targets.iter().filter_map(|target| match target {
            Target::Value(value) => Some((*value, *value)),
            Target::Class(_) | Target::Labels(_) => None,
        });
        values.reduce(|(least, most), (value, _)| (least.min(value), most.max(value)))
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are none; [`Self::from_table`] makes no such thing.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The indices of each unit's texts where the unit is the record: each by itself.
    pub fn rows_by_record(&self) -> Vec<Vec<usize>> {
        (0..self.texts.len()).map(|i| vec![i]).collect()
    }

    /// The indices of each unit's texts where the unit is the group: groups in the order in
    /// which they first appear, and of each the first `cap` texts, or all.
    ///
    /// A cap of 0 leaves no units.
    ///
    /// # Errors
    /// [`DataError::NoGroups`] for a table without a group column. [`DataError::MissingGroup`],
    /// [`DataError::RoundedGroup`] or [`DataError::GroupSpellings`] naming the rows whose ids
    /// don't tell people apart: leaving such rows out or lumping them together would protect
    /// nobody in particular, and to take one person for two would halve what is promised.
    pub fn rows_by_group(&self, cap: Option<usize>) -> Result<Vec<Vec<usize>>, DataError> {
        let (Some(groups), Some(column)) = (&self.groups, &self.group_column) else {
            return Err(DataError::NoGroups {
                file: self.file.clone(),
            });
        };
        let ids = groups.iter().map(Option::as_deref);
        column.check(ids.zip(self.rows.iter().copied()), &self.file)?;
        let cap = cap.unwrap_or(usize::MAX);
        let mut order: HashMap<&str, usize> = HashMap::new();
        let mut units: Vec<Vec<usize>> = Vec::new();
        for (i, group) in groups.iter().flatten().enumerate() {
            if cap == 0 {
                continue;
            }
            match order.entry(group) {
                Entry::Vacant(new) => {
                    new.insert(units.len());
                    units.push(vec![i]);
                }
                Entry::Occupied(known) => {
                    if let Some(unit) = units.get_mut(*known.get()).filter(|u| u.len() < cap) {
                        unit.push(i);
                    }
                }
            }
        }
        Ok(units)
    }
}

/// What is right for a row.
fn target<'a>(
    table: &Table,
    row: &'a Row,
    task: TaskKind,
    lookup: &mut LabelLookup<'a>,
) -> Result<Target, DataError> {
    match (task, row.label.names()) {
        (TaskKind::MultiLabel, _) => Ok(Target::labels(lookup.indices_of(row)?)),
        (TaskKind::SingleLabel, [_]) => {
            // One name has one index.
            let indices = lookup.indices_of(row)?;
            Ok(Target::Class(indices.first().copied().unwrap_or_default()))
        }
        (TaskKind::Regression, [written]) => value(table, row, written),
        (_, labels) => Err(DataError::SeveralLabels {
            place: table.place(row),
            column: "label".into(),
            count: labels.len(),
        }),
    }
}

/// The value of a regression: a finite number with a point.
fn value(table: &Table, row: &Row, written: &str) -> Result<Target, DataError> {
    if is_missing(written) {
        return Err(DataError::MissingLabel {
            place: table.place(row),
            word: written.to_owned(),
            asked: table.asked,
        });
    }
    let number: Option<f64> = written.parse().ok();
    match number.filter(|number| number.is_finite()) {
        Some(number) => Ok(Target::Value(number)),
        None => {
            let (place, found) = (table.place(row), written.to_owned());
            Err(TargetError::NotAValue { place, found }.into())
        }
    }
}
