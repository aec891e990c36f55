//! The book has all of its pages, and the README is short.

use crate::pages::{Page, pages_below};

#[test]
fn every_page_of_the_book_is_in_its_summary() {
    let summary = Page::read("docs/src/SUMMARY.md");
    for page in pages_below("docs/src") {
        let name = page.strip_prefix("docs/src").expect("a page of the book");
        let link = format!("({})", name.display());
        assert!(
            name.ends_with("SUMMARY.md") || summary.text.contains(&link),
            "{} isn't in SUMMARY.md",
            name.display()
        );
    }
}

#[test]
fn the_readme_is_read_in_a_few_minutes() {
    let lines = Page::read("README.md").text.lines().count();
    assert!(
        lines <= 150,
        "README.md has {lines} lines: the book has room"
    );
}
