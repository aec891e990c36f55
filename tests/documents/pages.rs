//! The documents: which there are, and their parts.

use std::fs;
use std::path::{Path, PathBuf};

/// The top of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One document.
pub struct Page {
    /// Relative to the top of the repository.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

/// A block of code.
pub struct Block {
    /// Page and line, for messages.
    pub place: String,
    /// The words after the opening fence: the language, then what the block is.
    pub words: Vec<String>,
    /// What is between the fences.
    pub body: String,
}

impl Page {
    /// Reads a page.
    pub fn read(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = fs::read_to_string(repository().join(&path))
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { path, text }
    }

    /// The folder that the page's links are relative to.
    pub fn folder(&self) -> PathBuf {
        self.path.parent().expect("a file").to_owned()
    }

    /// Every line that isn't in a block of code, with its number.
    pub fn prose(&self) -> Vec<(usize, &str)> {
        let mut inside = false;
        let outside = |(_, line): &(usize, &str)| {
            let fence = line.trim_start().starts_with("```");
            let keep = !inside && !fence;
            inside ^= fence;
            keep
        };
        let lines = self.text.lines().enumerate();
        lines
            .map(|(i, line)| (i + 1, line))
            .filter(outside)
            .collect()
    }

    /// The blocks of code.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut inside = false;
        for (i, line) in self.text.lines().enumerate() {
            match line.trim_start().strip_prefix("```") {
                Some(words) if !inside => blocks.push(Block {
                    place: format!("{}:{}", self.path.display(), i + 1),
                    words: words.split_whitespace().map(str::to_owned).collect(),
                    body: String::new(),
                }),
                Some(_) => {}
                None if inside => {
                    let block = blocks.last_mut().expect("an open block");
                    block.body += line;
                    block.body.push('\n');
                }
                None => {}
            }
            inside ^= line.trim_start().starts_with("```");
        }
        assert!(!inside, "{}: a block isn't closed", self.path.display());
        blocks
    }

    /// The anchors of the headings, as forges and mdBook make them.
    pub fn anchors(&self) -> Vec<String> {
        let headings = self.prose().into_iter().filter(|(_, l)| l.starts_with('#'));
        headings
            .map(|(_, line)| anchor(line.trim_start_matches('#').trim()))
            .collect()
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

/// The README and the pages of the book: what users read.
pub fn for_users() -> Vec<Page> {
    let mut paths = vec![PathBuf::from("README.md")];
    paths.extend(pages_below("docs/src"));
    paths.into_iter().map(Page::read).collect()
}

/// Every document of the repository.
pub fn all() -> Vec<Page> {
    let mut paths = pages_below("docs/src");
    paths.extend(pages_below("examples"));
    paths.extend(pages_below("privacy/proofs"));
    for name in [
        "README",
        "ARCHITECTURE",
        "CONTRIBUTING",
        "SECURITY",
        "CHANGELOG",
    ] {
        paths.push(format!("{name}.md").into());
    }
    for name in ["client", "coordinator", "model", "privacy", "proto"] {
        paths.push(format!("{name}/README.md").into());
    }
    paths.into_iter().map(Page::read).collect()
}

/// Every page in a folder and the folders in it, in order.
pub fn pages_below(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(repository().join(&folder)).expect("a folder of documents") {
            let entry = entry.expect("an entry");
            let path = folder.join(entry.file_name());
            if entry.file_type().expect("a kind").is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
