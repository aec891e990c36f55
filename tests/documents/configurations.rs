//! Blocks of code in documents are read by the programs that they are for.

use std::fs;
use std::path::Path;
use std::process::Command;

use umbel::client::config::ClientConfig;
use umbel::coordinator::config;

use crate::pages::{self, Block, Page};

fn blocks(language: &str) -> Vec<Block> {
    let blocks = pages::for_users()
        .into_iter()
        .flat_map(|page| page.blocks());
    let spoken = |b: &Block| b.words.first().is_some_and(|w| w == language);
    blocks.filter(spoken).collect()
}

/// `toml run` and `toml site` are whole; `toml part-of-run` and `toml part-of-site` go into a whole
/// one.
#[test]
fn every_configuration_is_read() {
    for block in blocks("toml") {
        let kind = block.words.get(1).map(String::as_str);
        let (text, site) = match kind {
            Some("run") => (block.body.clone(), false),
            Some("site") => (block.body.clone(), true),
            Some("part-of-run") => (filled(&block, "run"), false),
            Some("part-of-site") => (filled(&block, "site"), true),
            _ => panic!(
                "{}: say what it is: toml run, site, part-of-run",
                block.place
            ),
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("read.toml");
        fs::write(&path, text).expect("a writable folder");
        if let Err(reason) = read(&path, site) {
            panic!("{}: {reason}", block.place);
        }
    }
}

fn read(path: &Path, site: bool) -> Result<(), String> {
    if site {
        ClientConfig::load(path).map_err(|e| e.to_string())?;
    } else {
        config::load(path, &[], None).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// The first whole configuration of that kind in the book, with this part put in.
fn filled(part: &Block, kind: &str) -> String {
    let whole = blocks("toml")
        .into_iter()
        .find(|block| block.words.get(1).is_some_and(|w| w == kind))
        .expect("a whole configuration in the book");
    let mut whole: toml::Table = whole.body.parse().expect("TOML");
    let part: toml::Table = match part.body.parse() {
        Ok(table) => table,
        Err(e) => panic!("{}: {e}", part.place),
    };
    put_in(&mut whole, part);
    whole.to_string()
}

fn put_in(whole: &mut toml::Table, part: toml::Table) {
    for (key, value) in part {
        match (whole.get_mut(&key), value) {
            (Some(toml::Value::Table(whole)), toml::Value::Table(part)) => put_in(whole, part),
            (_, value) => {
                whole.insert(key, value);
            }
        }
    }
}

#[test]
fn every_block_of_json_is_json() {
    for block in blocks("json") {
        if let Err(e) = serde_json::from_str::<serde_json::Value>(&block.body) {
            panic!("{}: {e}", block.place);
        }
    }
}

#[test]
fn every_block_of_python_is_python() {
    let read_it = "import ast, sys; ast.parse(sys.argv[1])";
    let pages = pages::all();
    let blocks = pages.iter().flat_map(Page::blocks);
    for block in blocks.filter(|b| b.words.first().is_some_and(|w| w == "python")) {
        let python = Command::new("python3")
            .args(["-c", read_it, &block.body])
            .output();
        let Ok(done) = python else {
            println!("skipped: there is no python3");
            return;
        };
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{}: {errors}", block.place);
    }
}
