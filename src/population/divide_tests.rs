use std::path::PathBuf;

use umbel_model::data::Row;

use super::*;

fn table(rows: &[(&str, Option<&str>)]) -> Table {
    let row = |(i, (client, group)): (usize, &(&str, Option<&str>))| Row {
        text: format!("text {i}"),
        second: None,
        label: ["no", "yes"][i % 2].into(),
        group: group.map(str::to_owned),
        client: Some((*client).into()),
        row: i + 1,
    };
    Table {
        file: PathBuf::from("visits.csv"),
        rows: rows.iter().enumerate().map(row).collect(),
        ..Table::default()
    }
}

fn section(keys: &str) -> DividedTable {
    let text = format!(r#"{{"from": "visits.csv", {keys}}}"#);
    serde_json::from_str(&text).expect("a section")
}

fn divide(
    rows: &[(&str, Option<&str>)],
    keys: &str,
    unit: impl Into<Option<PrivacyUnit>>,
) -> Result<Division, String> {
    let divided = divided(table(rows), (&section(keys), &[]), unit.into());
    divided
        .map(|(_, division)| division)
        .map_err(|e| e.to_string())
}

fn of(division: &Division) -> Vec<(&str, &[u32])> {
    let clients = division.clients.iter();
    clients
        .map(|(name, rows)| (name.as_str(), &**rows))
        .collect()
}

#[test]
fn each_value_of_a_column_is_a_client_in_the_order_of_the_table() {
    let rows = [("oslo", None), ("bern", None), ("oslo", None)];
    let division = divide(&rows, r#""by": "town""#, PrivacyUnit::Client).expect("divided");
    assert_eq!(of(&division), [("oslo", &[0, 2][..]), ("bern", &[1][..])]);
    assert!(division.notes.is_empty());
}

#[test]
fn clients_that_are_nobody_or_one_in_two_spellings_are_refused_where_the_client_is_the_unit() {
    let by = r#""by": "town""#;
    for (value, why) in [
        (" oslo", "several spellings"),
        ("Oslo", "several spellings"),
        ("n/a", "nobody's id"),
        ("1.23457E+11", "rounded"),
    ] {
        let rows = [("oslo", None), (value, None)];
        let error = divide(&rows, by, PrivacyUnit::Client).err();
        let error = error.expect("refused");
        assert!(
            error.contains("town") && error.contains(why) && error.contains("visits.csv"),
            "{error}"
        );
        // Elsewhere rows are divided, and nobody's protection depends on among whom.
        let division = divide(&rows, by, PrivacyUnit::Record).expect("divided");
        assert_eq!(of(&division).len(), 2);
    }
    let (section, real) = (section(by), ["Oslo".into(), "oslo".into()]);
    let table = table(&[("oslo", None), ("Oslo", None)]);
    assert!(divided(table, (&section, &real), Some(PrivacyUnit::Client)).is_ok());
}

#[test]
fn clients_are_numbered_where_a_value_cant_be_a_name() {
    let rows = [("a@b.org", None), ("7", None), ("a@b.org", None)];
    let division = divide(&rows, r#""by": "mail""#, PrivacyUnit::Record).expect("divided");
    assert_eq!(
        of(&division),
        [("client-1", &[0, 2][..]), ("client-2", &[1][..])]
    );
    for said in ["\"mail\"", "\"a@b.org\""] {
        assert!(division.notes[0].contains(said), "{:?}", division.notes);
    }
}

#[test]
fn a_group_at_two_clients_is_refused_where_it_is_the_unit() {
    let rows = [("oslo", Some("ann")), ("bern", Some("ann"))];
    let keys = r#""by": "town""#;
    let error = divide(&rows, keys, PrivacyUnit::Group)
        .err()
        .expect("a torn group");
    assert!(error.contains("ann") && error.contains("oslo"), "{error}");
    assert!(divide(&rows, keys, PrivacyUnit::Record).is_ok());
}

#[test]
fn groups_are_dealt_whole_where_they_are_the_unit() {
    let people = ["ann", "bob", "cyd"];
    let rows: Vec<_> = (0..30).map(|i| ("x", Some(people[i % 3]))).collect();
    for kind in [
        r#""split": "iid""#,
        r#""split": "quantity", "alpha": 1.0"#,
        r#""split": "dirichlet", "alpha": 1.0"#,
    ] {
        let keys = format!(r#"{kind}, "clients": 3"#);
        let division = divide(&rows, &keys, PrivacyUnit::Group).expect("divided");
        for (_, rows) in of(&division) {
            assert_eq!(rows.len(), 10, "{kind}");
            assert!(rows.iter().all(|row| row % 3 == rows[0] % 3));
        }
        let keys = format!(r#"{kind}, "clients": 4"#);
        let error = divide(&rows, &keys, PrivacyUnit::Group)
            .err()
            .expect("too many");
        assert!(
            error.contains("number of groups in visits.csv is 3"),
            "{error}"
        );
    }
}

#[test]
fn the_same_seed_splits_alike_and_another_one_doesnt() {
    let rows: Vec<_> = (0..40).map(|_| ("x", None)).collect();
    let split = |seed: u32| {
        let keys = format!(r#""split": "iid", "clients": 4, "seed": {seed}"#);
        let division = divide(&rows, &keys, PrivacyUnit::Client).expect("divided");
        division.clients
    };
    assert_eq!(split(1), split(1));
    assert_ne!(split(1), split(2));
}

#[test]
fn a_table_with_fewer_rows_than_clients_is_refused() {
    let keys = r#""split": "iid", "clients": 2"#;
    let error = divide(&[("x", None)], keys, None).err().expect("too few");
    assert!(
        error.contains("number of rows in visits.csv is 1"),
        "{error}"
    );
}
