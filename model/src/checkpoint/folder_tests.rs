//! Against what transformers and PyTorch made: see `examples/make_folder_fixtures.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::Dtype;
use serde::Deserialize;
use serde_json::Value;

use super::folder::Folder;
use super::pytorch;
use super::read::numbers;
use super::tokenizer_files::tokenizer;
use crate::tokenizer::Tokenizer;

#[derive(Deserialize)]
struct Expected {
    texts: Vec<String>,
    folders: Vec<ExpectedFolder>,
}

#[derive(Deserialize)]
struct ExpectedFolder {
    name: String,
    files: BTreeMap<String, String>,
    ids: Vec<Vec<u32>>,
}

fn fixture(name: &str) -> PathBuf {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/folder_fixtures");
    home.join(name)
}

#[test]
fn every_layout_of_a_tokeniser_gives_the_ids_that_transformers_gives() {
    let json = std::fs::read(fixture("tokenizers.json")).expect("the fixture");
    let expected: Expected = serde_json::from_slice(&json).expect("the format");
    assert!(expected.folders.len() > 20);
    for ExpectedFolder { name, files, ids } in expected.folders {
        let home = tempfile::tempdir().expect("a folder");
        for (file, content) in &files {
            std::fs::write(home.path().join(file), content).expect("a file");
        }
        let config: Value = serde_json::from_str(&files["config.json"]).expect("JSON");
        let folder = Folder::open(home.path()).expect("a folder");
        let config = config.as_object().expect("an object");
        let made = tokenizer(&folder, config).unwrap_or_else(|e| panic!("{name}: {e}"));
        let made = Tokenizer::from_json(&made.bytes, 512, 1000).expect("a tokeniser");
        // transformers makes a special token that the vocabulary lacks, and its model then fails.
        let embeddings = config.get("vocab_size").and_then(Value::as_u64);
        let has_all = |ids: &[u32]| {
            let lacks = |id: &u32| embeddings.is_some_and(|count| u64::from(*id) >= count);
            !ids.iter().any(lacks)
        };
        for (text, ids) in expected.texts.iter().zip(ids) {
            // A model can't read nothing, here or there.
            if ids.is_empty() {
                assert!(made.encode(text).is_err(), "{name}: {text:?}");
                continue;
            }
            let found = made.encode(text).expect("ids");
            assert!(has_all(&found), "{name}: {text:?}");
            if has_all(&ids) {
                assert_eq!(found, ids, "{name}: {text:?}");
            }
        }
    }
}

#[test]
fn a_tokeniser_that_says_everything_is_left_byte_for_byte() {
    let json = std::fs::read(fixture("tokenizers.json")).expect("the fixture");
    let expected: Expected = serde_json::from_slice(&json).expect("the format");
    for name in ["tokenizer.json alone", "tokenizer.json as it is"] {
        let mut folders = expected.folders.iter();
        let of = folders
            .find(|folder| folder.name == name)
            .expect("a folder");
        let home = tempfile::tempdir().expect("a folder");
        for (file, content) in &of.files {
            std::fs::write(home.path().join(file), content).expect("a file");
        }
        let folder = Folder::open(home.path()).expect("a folder");
        let config: Value = serde_json::from_str(&of.files["config.json"]).expect("JSON");
        let made = tokenizer(&folder, config.as_object().expect("an object"));
        let made = made.expect("a tokeniser");
        assert_eq!(made.bytes, of.files["tokenizer.json"].as_bytes(), "{name}");
        assert!(made.notes.is_empty(), "{name}: {:?}", made.notes);
    }
}

#[test]
fn pytorch_files_of_every_age_hold_the_tensors_that_were_saved() {
    for file in ["zip.bin", "stream.bin"] {
        let tensors = pytorch::tensors(&fixture(file)).expect("tensors");
        assert_eq!(tensors.len(), 9, "{file}");
        let of = |name: &str| {
            let tensor = tensors.iter().find(|tensor| tensor.name == name);
            tensor.unwrap_or_else(|| panic!("{file}: {name}"))
        };
        for (name, shape, values) in [
            ("whole", &[2, 3][..], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0][..]),
            ("again", &[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
            ("turned", &[3, 2], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
            ("part", &[1, 3], &[3.0, 4.0, 5.0]),
            ("half", &[2], &[0.5, -2.0]),
            ("brain", &[2], &[0.5, -2.0]),
            ("double", &[2], &[0.5, -2.0]),
            ("parameter", &[2], &[1.0, 1.0]),
        ] {
            let tensor = of(name);
            assert_eq!(tensor.shape, shape, "{file}: {name}");
            let found = numbers(file, name, tensor.dtype, &tensor.data).expect("numbers");
            assert_eq!(found, values, "{file}: {name}");
        }
        assert_eq!(of("position_ids").dtype, Dtype::I64, "{file}");
    }
}

#[test]
fn what_a_pickle_asks_to_be_run_is_not_run() {
    let ran = Path::new("/tmp/a-pickle-was-run");
    assert!(!ran.exists(), "left there by someone else: remove it");
    let names = |file: &str| {
        let tensors = pytorch::tensors(&fixture(file)).ok()?;
        Some(tensors.into_iter().map(|t| t.name).collect::<Vec<_>>())
    };
    if let Some(names) = names("asks.bin") {
        assert!(!names.contains(&"asks".to_owned()), "{names:?}");
    }
    assert!(names("asks_alone.bin").is_none_or(|names| names.is_empty()));
    assert!(!ran.exists());
}

#[test]
fn a_file_that_is_cut_short_or_something_else_is_refused_by_its_name() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("pytorch_model.bin");
    for name in ["zip.bin", "stream.bin"] {
        let whole = std::fs::read(fixture(name)).expect("the fixture");
        for length in (0..whole.len()).step_by(61) {
            std::fs::write(&path, &whole[..length]).expect("a file");
            let error = pytorch::tensors(&path).expect_err("refused").to_string();
            assert!(error.contains("pytorch_model.bin"), "{error}");
        }
    }
    std::fs::write(&path, "<!DOCTYPE html><p>404").expect("a file");
    let error = pytorch::tensors(&path).expect_err("refused").to_string();
    assert!(error.contains("pytorch_model.bin"), "{error}");
}
