//! The inputs that are kept, for tests.

use std::fs;
use std::path::{Path, PathBuf};

fn folder(target: &str) -> PathBuf {
    // Of the crate at the top, or of one below it.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = [package.join("fuzz"), package.join("../fuzz")];
    let home = beside.iter().find(|home| home.is_dir());
    home.expect("it is part of the repository")
        .join("seeds")
        .join(target)
}

/// One input of a target.
#[allow(dead_code, reason = "not every test asks for single ones")]
pub fn one(target: &str, name: &str) -> Vec<u8> {
    fs::read(folder(target).join(name)).expect("it is kept")
}

/// Checks every input of a target.
pub fn each(target: &str, check: impl Fn(&[u8])) {
    let mut seen = 0;
    for entry in fs::read_dir(folder(target)).expect("there are seeds") {
        let path = entry.expect("it is a file").path();
        // Named where the check fails.
        println!("{}", path.display());
        check(&fs::read(&path).expect("it can be read"));
        seen += 1;
    }
    assert!(seen > 0, "no seeds of {target}");
}
