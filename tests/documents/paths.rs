//! Files that the documents for contributors name are there.

use std::path::Path;

use crate::pages::{Page, repository};

const PAGES: [&str; 7] = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "client/README.md",
    "coordinator/README.md",
    "model/README.md",
    "privacy/README.md",
    "proto/README.md",
];

#[test]
fn every_file_that_is_named_is_there() {
    let mut named = 0;
    let mut wrong = Vec::new();
    for page in PAGES.map(Page::read) {
        let folder = repository().join(page.folder());
        // A crate's README names files from its own folder or its sources.
        let roots = [repository().to_owned(), folder.clone(), folder.join("src")];
        for (line, text) in page.prose() {
            for span in text.split('`').skip(1).step_by(2).filter(|s| is_path(s)) {
                named += 1;
                if !roots.iter().any(|root| root.join(span).exists()) {
                    wrong.push(format!("{}:{line}: {span}", page.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "not there: {}", wrong.join(", "));
    assert!(named > 100, "only {named} files were found");
}

/// Whether a span of code is a path in the repository: a folder, or a file of source.
fn is_path(span: &str) -> bool {
    let plain = span
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let source = ["rs", "md", "py", "proto", "json"];
    let extension = Path::new(span).extension().and_then(|e| e.to_str());
    let made_by_a_run = span.contains("NAME") || span.ends_with(".jsonl");
    let file = extension.is_some_and(|e| source.contains(&e));
    plain && !made_by_a_run && span.contains('/') && (file || span.ends_with('/'))
}
