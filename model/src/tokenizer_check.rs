//! What is refused of a `tokenizer.json` before it is used, and what the tokenizers library panics at.
//!
//! A site is given its tokeniser by a coordinator, so that nothing in one may end the site's process or
//! take its memory.

use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::charsmap;
use crate::error::ModelError;

/// How much longer a tokeniser's replacements may make a text in all. SentencePiece's are a blank's
/// three bytes.
const LONGEST_REPLACEMENT: usize = 64;

/// Numbers that a token may have end below this. The largest vocabularies have a million words.
const TOKEN_NUMBERS: u64 = 1 << 24;

/// What the library says, or an error where it panics at what isn't known here.
pub(crate) fn caught<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, ModelError> {
    // Nothing outlives a caught panic but the error.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(found) => found.map_err(|e| ModelError::Tokenizer(e.to_string())),
        Err(_) => {
            refuse("can't be used, as it is damaged in a way that isn't known; fetch it again")
        }
    }
}

/// Refuses what the library would panic at, and what makes texts many times longer.
pub(crate) fn check(json: &[u8]) -> Result<(), ModelError> {
    let file: Value =
        serde_json::from_slice(json).map_err(|e| ModelError::Tokenizer(e.to_string()))?;
    check_merges(&file["model"])?;
    check_added(&file["added_tokens"])?;
    each(&file["pre_tokenizer"], &mut check_length)?;
    each(&file["post_processor"], &mut check_template)?;
    each(&file["normalizer"], &mut check_table)?;
    let mut growth = 1_usize;
    each(&file["normalizer"], &mut |keys| {
        let text = ["content", "prepend"]
            .iter()
            .find_map(|key| keys.get(*key)?.as_str());
        growth = growth.saturating_mul(text.map_or(1, str::len).max(1));
        match growth <= LONGEST_REPLACEMENT {
            true => Ok(()),
            false => refuse("has replacements that would make a text many times longer"),
        }
    })
}

fn refuse<T>(reason: &str) -> Result<T, ModelError> {
    Err(ModelError::Tokenizer(reason.into()))
}

type Keys = serde_json::Map<String, Value>;

/// Every object in a value, itself included.
fn each(
    value: &Value,
    check: &mut dyn FnMut(&Keys) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    match value {
        Value::Array(values) => values.iter().try_for_each(|value| each(value, check)),
        Value::Object(keys) => {
            check(keys)?;
            keys.values().try_for_each(|value| each(value, check))
        }
        _ => Ok(()),
    }
}

fn is(keys: &Keys, kind: &str) -> bool {
    keys.get("type").and_then(Value::as_str) == Some(kind)
}

/// Texts are cut into pieces of so many letters, of which there must be one.
fn check_length(keys: &Keys) -> Result<(), ModelError> {
    match is(keys, "FixedLength") && keys.get("length") == Some(&Value::from(0)) {
        true => refuse("cuts texts into pieces of length 0 (`FixedLength`)"),
        false => Ok(()),
    }
}

/// A template may only name special tokens that it lists.
fn check_template(keys: &Keys) -> Result<(), ModelError> {
    if !is(keys, "TemplateProcessing") {
        return Ok(());
    }
    let listed = keys.get("special_tokens").and_then(Value::as_object);
    let pieces = ["single", "pair"]
        .iter()
        .filter_map(|key| keys.get(*key)?.as_array());
    let mut named = pieces
        .flatten()
        .filter_map(|piece| piece.get("SpecialToken")?.get("id")?.as_str());
    match named.find(|name| !listed.is_some_and(|listed| listed.contains_key(*name))) {
        Some(name) => refuse(&format!(
            "has a template with a token `{name}` that it doesn't list"
        )),
        None => Ok(()),
    }
}

/// The library takes as many bytes off a merge's second part as the prefix has letters.
fn check_merges(model: &Value) -> Result<(), ModelError> {
    let prefix = model
        .get("continuing_subword_prefix")
        .and_then(Value::as_str);
    let length = prefix.map_or(0, |prefix| prefix.chars().count());
    let merges = model.get("merges").and_then(Value::as_array);
    let second = |merge: &Value| match merge {
        Value::String(pair) => pair.split_once(' ').map(|(_, second)| second.to_owned()),
        pair => Some(pair.get(1)?.as_str()?.to_owned()),
    };
    let mut merges = merges.into_iter().flatten().filter_map(second);
    match merges.find(|second| !second.is_char_boundary(length)) {
        Some(second) => refuse(&format!(
            "has a merge with `{second}`, which doesn't begin with the prefix of continued words"
        )),
        None => Ok(()),
    }
}

/// The library counts on from the largest number of an added token.
fn check_added(added: &Value) -> Result<(), ModelError> {
    let ids = added
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|token| token.get("id")?.as_u64());
    match ids.max() {
        Some(id) if id >= TOKEN_NUMBERS => refuse(&format!(
            "has an added token with number {id}, which no model has"
        )),
        _ => Ok(()),
    }
}

/// Tables of SentencePiece's normalisation must not lead out of themselves.
fn check_table(keys: &Keys) -> Result<(), ModelError> {
    let table = keys.get("precompiled_charsmap");
    if !is(keys, "Precompiled") && table.is_none() {
        return Ok(());
    }
    let text = table.and_then(Value::as_str).unwrap_or_default();
    let table = STANDARD
        .decode(text)
        .map_err(|e| wrong_table(&e.to_string()))?;
    charsmap::check(&table).map_err(wrong_table)
}

fn wrong_table(reason: &str) -> ModelError {
    ModelError::Tokenizer(format!(
        "its `Precompiled` normaliser has a table that can't be used: {reason}; fetch the file again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(key: &str, value: Value) -> Result<(), String> {
        let mut file = json!({"model": {"type": "WordLevel"}});
        file[key] = value;
        check(file.to_string().as_bytes()).map_err(|e| e.to_string())
    }

    #[test]
    fn what_the_library_panics_at_is_refused() {
        let template = |listed: &str| {
            let single = json!([{"SpecialToken": {"id": "[CLS]", "type_id": 0}}]);
            json!({"type": "Sequence", "processors": [
                {"type": "TemplateProcessing", "single": single, "special_tokens": {listed: {}}},
            ]})
        };
        let merges = |prefix: &str, merge: Value| json!({"type": "BPE", "continuing_subword_prefix": prefix, "merges": [merge]});
        for (key, right, wrong, told) in [
            (
                "added_tokens",
                json!([{"id": 1_000_000, "content": "x"}]),
                json!([{"id": u32::MAX, "content": "x"}]),
                "number 4294967295",
            ),
            (
                "pre_tokenizer",
                json!({"type": "FixedLength", "length": 1}),
                json!({"type": "FixedLength", "length": 0}),
                "length 0",
            ),
            (
                "post_processor",
                template("[CLS]"),
                template("[SEP]"),
                "a token `[CLS]` that it doesn't list",
            ),
            (
                "model",
                merges("##", json!("a ##b")),
                merges("##", json!("a b")),
                "a merge with `b`",
            ),
            (
                "model",
                merges("#", json!(["a", "#b"])),
                merges("#", json!(["a", "é"])),
                "a merge with `é`",
            ),
            (
                "model",
                merges("", json!(["a", ""])),
                merges("#", json!(["a", ""])),
                "a merge with ``",
            ),
        ] {
            assert_eq!(checked(key, right), Ok(()));
            let error = checked(key, wrong).expect_err(told);
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn texts_are_not_made_many_times_longer() {
        let replaced = |content: &str, times: usize| {
            let one = json!({"type": "Replace", "pattern": {"Regex": "."}, "content": content});
            checked(
                "normalizer",
                json!({"type": "Sequence", "normalizers": vec![one; times]}),
            )
        };
        assert_eq!(replaced("\u{2581}", 3), Ok(()));
        assert_eq!(replaced("", 9), Ok(()));
        for (content, times) in [("\u{2581}", 4), ("x".repeat(65).as_str(), 1)] {
            let error = replaced(content, times).expect_err("longer");
            assert!(error.contains("many times longer"), "{error}");
        }
    }

    #[test]
    fn a_panic_of_the_library_is_an_error() {
        let error = caught(|| -> tokenizers::Result<()> { panic!("as it may") });
        let error = error.expect_err("it panicked").to_string();
        assert!(
            error.contains("damaged in a way that isn't known"),
            "{error}"
        );
        assert_eq!(caught(|| Ok(1)).expect("no panic"), 1);
    }
}
