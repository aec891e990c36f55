//! Links within the repository lead to something that is there.

use std::path::{Component, Path, PathBuf};

use crate::pages::{self, Page, repository};

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let wrong: Vec<String> = pages::all().iter().flat_map(wrong_links).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// mdBook turns `x.md` into `x.html`, also where the book has no such page.
#[test]
fn the_book_leads_out_of_itself_to_folders_and_code_only() {
    for path in pages::pages_below("docs/src") {
        let page = Page::read(path);
        for (line, target) in links(&page) {
            let file = target.split('#').next().expect("a first part");
            let path = plain(&page.folder().join(file));
            let inside = path.starts_with("docs/src");
            assert!(
                inside || !file.ends_with(".md"),
                "{}:{line}: {target} isn't in the book: link its folder",
                page.path.display()
            );
        }
    }
}

fn wrong_links(page: &Page) -> Vec<String> {
    let wrong = |(line, target): (usize, String)| {
        let place = format!("{}:{line}", page.path.display());
        let (file, heading) = match target.split_once('#') {
            Some((file, heading)) => (file, Some(heading)),
            None => (target.as_str(), None),
        };
        let path = match file {
            "" => page.path.clone(),
            file => plain(&page.folder().join(file)),
        };
        if !repository().join(&path).exists() {
            return Some(format!("{place}: there is no {}", path.display()));
        }
        let heading = heading?;
        let found = Page::read(&path).anchors().iter().any(|a| a == heading);
        (!found).then(|| format!("{place}: {} has no heading #{heading}", path.display()))
    };
    links(page).into_iter().filter_map(wrong).collect()
}

/// The targets of all links that don't leave the repository.
fn links(page: &Page) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in page.prose() {
        // A code span has no links.
        let text: String = line.split('`').step_by(2).collect();
        for rest in text.split("](").skip(1) {
            let target = rest.split(')').next().expect("a first part");
            if !target.contains("://") {
                found.push((number, target.to_owned()));
            }
        }
    }
    found
}

/// The path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                assert!(plain.pop(), "{} leaves the repository", path.display())
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}
