//! Real tables: the example's four sites, and one data set in all three formats.

use std::path::{Path, PathBuf};

use umbel_model::data::{LabelSet, LabelledTexts, Row, TableSchema, clean, read_table};

fn rows(path: &Path) -> Vec<Row> {
    read_table(path, &TableSchema::default())
        .expect("a well-formed table")
        .rows
}

fn counted(rows: &[Row], label: &str) -> usize {
    rows.iter().filter(|row| row.label == label).count()
}

#[test]
fn the_four_sites_of_the_example_have_the_rows_that_their_source_note_lists() {
    let sites = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/sentiment/data/sites");
    let labels = LabelSet::new(vec!["negative".into(), "positive".into()]).expect("labels");
    for (site, negative, positive, test) in [
        ("amazon", 986, 1395, 596),
        ("movie", 4060, 3996, 2014),
        ("nyt", 1405, 940, 586),
        ("twitter", 870, 1876, 686),
    ] {
        let path = sites.join(site).join("train.csv");
        let train = read_table(&path, &TableSchema::default()).expect("a well-formed table");
        assert_eq!(counted(&train.rows, "negative"), negative, "{site}");
        assert_eq!(counted(&train.rows, "positive"), positive, "{site}");
        assert_eq!(train.rows.len(), negative + positive, "{site}");
        assert_eq!(
            rows(&sites.join(site).join("test.csv")).len(),
            test,
            "{site}"
        );
        let (cleaned, _) = clean(train);
        let texts = LabelledTexts::from_table(&cleaned, &labels).expect("known labels");
        assert_eq!(texts.rows_by_record().len(), texts.len(), "{site}");
    }
}

/// The folder of shared data sets beside the repository, where there is one.
fn shared(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(name);
    if folder.is_dir() {
        Some(folder)
    } else {
        println!("skipped: {} isn't there", folder.display());
        None
    }
}

#[test]
fn one_data_set_reads_alike_from_csv_json_lines_and_parquet() {
    let Some(folder) = shared("sms_spam") else {
        return;
    };
    for (split, expected, spam) in [("train", 4136, 522), ("test", 1035, 131)] {
        let of = |extension| rows(&folder.join(format!("{split}.{extension}")));
        let csv = of("csv");
        assert_eq!((csv.len(), counted(&csv, "spam")), (expected, spam));
        assert_eq!(csv, of("jsonl"));
        assert_eq!(csv, of("parquet"));
    }
}

#[test]
fn tables_with_authors_divide_into_as_many_groups_as_there_are_authors() {
    let Some(folder) = shared("airline_sentiment") else {
        return;
    };
    let schema = TableSchema {
        group: Some("user".into()),
        ..TableSchema::default()
    };
    let table = read_table(&folder.join("train_users.csv"), &schema).expect("a well-formed table");
    let labels = LabelSet::union([&table]).expect("labels");
    assert_eq!(labels.names(), ["negative", "neutral", "positive"]);
    let texts = LabelledTexts::from_table(&table, &labels).expect("known labels");
    let units = texts.rows_by_group(None).expect("groups");
    assert_eq!((texts.len(), units.len()), (11_548, 6_154));
    assert_eq!(units.iter().map(Vec::len).max(), Some(63));
}
