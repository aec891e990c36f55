//! Label sets, labelled texts and the rows of each privacy unit.

use proptest::prelude::*;
use umbel_model::data::{DataError, GroupColumn, LabelSet, LabelledTexts, Row, Table};

use crate::{classes, row};

fn table(grouped: bool, rows: Vec<Row>) -> Table {
    Table {
        file: "visits.csv".into(),
        group: grouped.then(patients),
        rows,
        ..Table::default()
    }
}

fn patients() -> GroupColumn {
    GroupColumn {
        name: "patient".into(),
        real_ids: Vec::new(),
    }
}

fn labels(names: &[&str]) -> Result<LabelSet, DataError> {
    LabelSet::new(names.iter().map(|n| (*n).to_owned()).collect())
}

fn texts(grouped: bool, rows: Vec<Row>) -> Result<LabelledTexts, DataError> {
    LabelledTexts::from_table(&table(grouped, rows), &labels(&["neg", "pos"])?)
}

fn in_groups(groups: &[&str]) -> LabelledTexts {
    let rows = groups
        .iter()
        .zip(1..)
        .map(|(g, i)| row(i, "t", "pos", Some(g)));
    texts(true, rows.collect()).expect("well-formed")
}

#[test]
fn a_label_set_keeps_its_order_and_refuses_what_is_ambiguous() {
    let set = labels(&["b", "a"]).expect("a label set");
    assert_eq!(
        (set.index_of("b"), set.index_of("a"), set.index_of("c")),
        (Some(0), Some(1), None)
    );
    assert_eq!(
        (set.names(), set.len()),
        (&["b".to_owned(), "a".to_owned()][..], 2)
    );
    assert!(matches!(labels(&[]), Err(DataError::NoLabels)));
    assert!(matches!(labels(&["a", " "]), Err(DataError::BlankLabel)));
    assert_eq!(
        labels(&["a", "b", "a"]).expect_err("twice").to_string(),
        "label \"a\" is listed twice; list it once"
    );
}

#[test]
fn the_union_of_tables_is_sorted_and_needs_every_label() {
    let one = table(false, vec![row(1, "t", "b", None), row(2, "t", "a", None)]);
    let other = table(false, vec![row(1, "t", "c", None), row(2, "t", "a", None)]);
    let set = LabelSet::union([&one, &other]).expect("a label set");
    assert_eq!(set.names(), ["a", "b", "c"]);
    let blank = table(false, vec![row(7, "t", "", None)]);
    assert_eq!(
        LabelSet::union([&one, &blank])
            .expect_err("blank")
            .to_string(),
        "row 7 of visits.csv: the label is missing; fill it in, or delete the row"
    );
    assert!(matches!(LabelSet::union([]), Err(DataError::NoLabels)));
}

#[test]
fn labels_that_are_numbers_come_in_their_order_whatever_wrote_them() {
    let integers = (0..12).map(|i| row(i, "t", &i.to_string(), None));
    let floats = (0..12).map(|i| row(i, "t", &format!("{i}.0"), None));
    let set = LabelSet::union([
        &table(false, floats.collect()),
        &table(false, integers.collect()),
    ]);
    let numbers: Vec<String> = (0..12).map(|i| i.to_string()).collect();
    assert_eq!(set.expect("a label set").names(), numbers);
}

#[test]
fn a_word_for_nothing_is_no_class_unless_it_is_listed() {
    let rows = || {
        table(
            false,
            vec![row(1, "t", "a", None), row(4, "t", "nan", None)],
        )
    };
    let message = LabelSet::union([&rows()]).expect_err("nan").to_string();
    assert_eq!(
        message,
        "row 4 of visits.csv: the label is missing, \"nan\" stands there; fill it in, or delete \
         the row. (If it is a class of its own, list all labels under data.labels.)"
    );
    let listed = labels(&["a", "nan"]).expect("a label set");
    let found = LabelledTexts::from_table(&rows(), &listed).expect("listed");
    assert_eq!(classes(&found), [0, 1]);
    let unlisted = labels(&["a", "b"]).expect("a label set");
    let error = LabelledTexts::from_table(&rows(), &unlisted).expect_err("unlisted");
    assert!(error.to_string().contains("the label is missing, \"nan\""));
}

#[test]
fn labels_that_were_read_as_others_are_noted() {
    let rows = vec![row(1, "t", "1.0", None), row(2, "t", "LABEL_0", None)];
    let set = labels(&["0", "1"]).expect("a label set");
    let found = LabelledTexts::from_table(&table(false, rows), &set).expect("two spellings");
    assert_eq!(classes(&found), [1, 0]);
    assert_eq!(found.notes, ["its labels 1.0, LABEL_0 were taken for 1, 0"]);
}

#[test]
fn names_that_a_file_gives_to_numbers_are_found_by_either() {
    let named = Table {
        class_names: vec!["neg".into(), "pos".into()],
        ..table(false, vec![row(1, "t", "pos", None)])
    };
    let by_name = LabelledTexts::from_table(&named, &labels(&["pos", "neg"]).expect("labels"));
    assert_eq!(classes(&by_name.expect("names")), [0]);
    let by_number = LabelledTexts::from_table(&named, &labels(&["0", "1"]).expect("labels"));
    assert_eq!(classes(&by_number.expect("numbers")), [1]);
}

#[test]
fn labels_become_indices_and_errors_name_the_row_of_the_file() {
    let found = texts(
        false,
        vec![row(1, "a", "pos", None), row(2, "b", "neg", None)],
    )
    .expect("fine");
    assert_eq!(classes(&found), [1, 0]);
    assert_eq!(
        (found.groups.as_ref(), found.len(), found.is_empty()),
        (None, 2, false)
    );
    let unknown = texts(
        false,
        vec![row(1, "a", "pos", None), row(1204, "b", "other", None)],
    );
    assert_eq!(
        unknown.expect_err("unknown").to_string(),
        "row 1,204 of visits.csv: label \"other\" isn't one of neg, pos; correct it, or list it \
         under data.labels"
    );
    assert_eq!(
        texts(false, vec![row(3, " \n", "pos", None)])
            .expect_err("empty")
            .to_string(),
        "row 3 of visits.csv: the text is empty; fill it in, delete the row, or set data.clean to \
         drop such rows"
    );
}

#[test]
fn each_record_is_a_unit_of_its_own() {
    assert_eq!(
        in_groups(&["p", "p", "q"]).rows_by_record(),
        [[0], [1], [2]]
    );
}

#[test]
fn groups_come_in_the_order_of_their_first_row_and_a_cap_keeps_their_first_rows() {
    let found = in_groups(&["q", "p", "q", "q", "p", "r"]);
    assert_eq!(
        found.rows_by_group(None).expect("groups"),
        [vec![0, 2, 3], vec![1, 4], vec![5]]
    );
    assert_eq!(
        found.rows_by_group(Some(2)).expect("groups"),
        [vec![0, 2], vec![1, 4], vec![5]]
    );
    assert_eq!(
        found.rows_by_group(Some(0)).expect("groups"),
        Vec::<Vec<usize>>::new()
    );
}

#[test]
fn a_row_without_a_group_is_named_and_so_is_a_table_without_groups() {
    let rows = vec![row(1, "a", "pos", Some("p")), row(9, "b", "pos", None)];
    assert_eq!(
        texts(true, rows.clone())
            .expect("fine")
            .rows_by_group(Some(1))
            .expect_err("9")
            .to_string(),
        "row 9 of visits.csv: the group is missing: \"patient\" is blank there, and a row that is \
         about nobody in particular can't be protected; fill in the ids, or delete these rows"
    );
    assert_eq!(
        texts(false, rows)
            .expect("fine")
            .rows_by_group(None)
            .expect_err("none")
            .to_string(),
        "visits.csv was read without a group column; name one under data.group"
    );
}

proptest! {
    #[test]
    fn groups_divide_the_rows_and_caps_only_shorten_them(
        groups in prop::collection::vec(prop::sample::select(&["p", "q", "r", "s"][..]), 1..30),
        cap in 1_usize..6,
    ) {
        let texts = in_groups(&groups);
        let whole = texts.rows_by_group(None).expect("groups");
        let mut all: Vec<usize> = whole.concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..groups.len()).collect::<Vec<_>>());
        for unit in &whole {
            prop_assert!(unit.is_sorted());
            prop_assert!(unit.iter().all(|i| groups[*i] == groups[unit[0]]));
        }
        let capped = texts.rows_by_group(Some(cap)).expect("groups");
        let shortened: Vec<Vec<usize>> =
            whole.iter().map(|unit| unit.iter().copied().take(cap).collect()).collect();
        prop_assert_eq!(capped, shortened);
    }
}
