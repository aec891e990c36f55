//! The table of known mistakes in the README names tests that exist.

use std::collections::BTreeSet;
use std::path::Path;

/// All Rust sources of the workspace, but for what was built.
fn sources(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if entry.file_type().unwrap().is_dir() {
            if name != "target" && !name.starts_with('.') {
                sources(&path, all);
            }
        } else if name.ends_with(".rs") {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_mistake_of_the_catalogue_has_a_row_and_every_test_it_names_exists() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(package.join("README.md")).unwrap();
    let (_, table) = readme
        .split_once("## Known ways to lose a guarantee")
        .unwrap();
    // Later sections have tables of their own.
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| #"))
        .collect();
    let numbers: Vec<String> = rows
        .iter()
        .map(|row| row.split('|').nth(1).unwrap().trim().to_owned())
        .collect();
    let expected: Vec<String> = (1..=24).map(|number: u32| number.to_string()).collect();
    assert_eq!(numbers, expected);
    let mut all = String::new();
    sources(package.parent().unwrap(), &mut all);
    let words = rows
        .iter()
        .flat_map(|row| row.split('`').skip(1).step_by(2));
    // Names of tests are sentences; those of functions and types are shorter.
    let tests: BTreeSet<&str> = words
        .filter(|word| word.matches('_').count() >= 3)
        .collect();
    assert!(tests.len() >= 25, "{}", tests.len());
    let missing: Vec<&&str> = tests
        .iter()
        .filter(|name| !all.contains(&format!("fn {name}(")))
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}
