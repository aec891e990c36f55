//! Cleaning: regular white space, no empty or repeated rows, and never one row's doing
//! undoing another's.

use proptest::prelude::*;
use umbel_model::data::{
    CleaningReport, DataError, GroupColumn, LabelSet, LabelledTexts, Row, Table, clean,
};

use crate::row;

fn table(rows: Vec<Row>) -> Table {
    Table {
        file: "visits.csv".into(),
        group: Some(GroupColumn::default()),
        rows,
        ..Table::default()
    }
}

#[test]
fn white_space_is_made_regular_and_empty_and_repeated_rows_go() {
    let (cleaned, report) = clean(table(vec![
        row(1, "  so\t\ngood ", "pos ", None),
        row(2, " \u{a0}\n", "pos", None),
        row(3, "so good", "pos", None),
        row(4, "so good", "neg", None),
        row(5, "so good", "pos", Some("p")),
        row(6, "fine", "pos", None),
    ]));
    assert_eq!(
        cleaned.rows,
        [
            row(1, "so good", "pos", None),
            row(4, "so good", "neg", None),
            row(5, "so good", "pos", Some("p")),
            row(6, "fine", "pos", None),
        ]
    );
    let expected = CleaningReport {
        file: "visits.csv".into(),
        read: 6,
        empty: 1,
        duplicate: 1,
        respaced: 1,
        contradicting: 1,
        kept: 4,
    };
    assert_eq!(report, expected);
    assert_eq!(
        report.to_string(),
        "cleaned visits.csv: 6 rows read, 1 empty and 1 duplicate ones dropped, white space \
         changed in 1, 4 kept (1 texts have more than one label)"
    );
}

#[test]
fn a_table_that_cleaning_empties_is_refused_afterwards() {
    let (cleaned, _) = clean(table(vec![row(1, " ", "x", None)]));
    let labels = LabelSet::new(vec!["x".into()]).expect("a label set");
    let error = LabelledTexts::from_table(&cleaned, &labels).expect_err("no rows");
    assert!(matches!(error, DataError::NoRows { cleaned: true, .. }));
    assert_eq!(
        error.to_string(),
        "visits.csv has no rows left after cleaning; give it at least one labelled text"
    );
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let cell = || prop::sample::select(&["", " ", "a", " a", "b", "a  b", "a b"][..]);
    let group = prop::option::of(prop::sample::select(&["p", "q"][..]));
    prop::collection::vec((cell(), cell(), group), 0..12).prop_map(|cells| {
        let numbered = cells.into_iter().zip(1..);
        numbered
            .map(|((text, label, group), i)| row(i, text, label, group))
            .collect()
    })
}

/// What the rows say, whatever their order.
fn contents(rows: Vec<Row>) -> Vec<(String, String, Option<String>)> {
    let mut contents: Vec<_> = clean(table(rows))
        .0
        .rows
        .into_iter()
        .map(|r| (r.text, crate::one(&r.label), r.group))
        .collect();
    contents.sort();
    contents
}

proptest! {
    #[test]
    fn a_second_cleaning_changes_nothing(rows in rows()) {
        let (once, _) = clean(table(rows));
        let (twice, report) = clean(once.clone());
        prop_assert_eq!(&twice, &once);
        prop_assert_eq!((report.empty, report.duplicate, report.respaced), (0, 0, 0));
    }

    #[test]
    fn removing_a_row_removes_at_most_one_row_of_the_result(
        rows in rows().prop_filter("needs a row", |r| !r.is_empty()),
        which in any::<prop::sample::Index>(),
    ) {
        let mut fewer = rows.clone();
        fewer.remove(which.index(rows.len()));
        let (all, fewer) = (contents(rows), contents(fewer));
        prop_assert!(all.len() - fewer.len() <= 1);
        let mut left = fewer.iter();
        let mut next = left.next();
        let gone = all.iter().filter(|row| {
            let stays = next == Some(row);
            if stays { next = left.next(); }
            !stays
        }).count();
        prop_assert_eq!(gone, all.len() - fewer.len());
    }
}
