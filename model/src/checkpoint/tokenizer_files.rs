//! A folder's tokeniser as one `tokenizer.json` that says everything, whatever files it is in.
//!
//! What is made is what transformers makes of the same files: the vocabulary from
//! `tokenizer.json`, or else `vocab.txt`, or `vocab.json` and `merges.txt`; how texts are
//! normalised from `tokenizer_config.json`, even against `tokenizer.json`, where the folder names a
//! class of tokenisers that has settings for it; and added tokens from wherever they are listed.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tokenizers::Tokenizer as Inner;

use super::files::TOKENIZER;
use super::folder::Folder;
use super::tokenizer_settings::{Class, TokenizerSettings};
use crate::error::ModelError;
use crate::tokenizer_check::{caught, check};

/// What was made of a folder's files.
pub(super) struct TokenizerFile {
    /// As `tokenizer.json`.
    pub(super) bytes: Vec<u8>,
    /// The longest text that the model is said to read, in tokens.
    pub(super) max_tokens: Option<usize>,
    /// What was done that isn't in `tokenizer.json`.
    pub(super) notes: Vec<String>,
}

const WORDS: &str = "vocab.txt";
const PAIRS: [&str; 2] = ["vocab.json", "merges.txt"];

/// Reads a folder's tokeniser. `config` is its `config.json`.
///
/// # Errors
/// [`ModelError`] naming the file, or what is there in its place.
pub(super) fn tokenizer(
    folder: &Folder,
    config: &Map<String, Value>,
) -> Result<TokenizerFile, ModelError> {
    let settings = TokenizerSettings::read(folder, config)?;
    let max_tokens = settings.max_tokens();
    if let Some(bytes) = folder.read_if_there(TOKENIZER)? {
        let mut notes = Vec::new();
        let bytes = as_settings_say(bytes, &settings, &mut notes)?;
        return Ok(TokenizerFile {
            bytes,
            max_tokens,
            notes,
        });
    }
    let (bytes, made_from) = if let Some(words) = folder.read_if_there(WORDS)? {
        let class = match settings.class() {
            Class::Mpnet => Class::Mpnet,
            _ => Class::Bert,
        };
        let settings = settings.with_class(class);
        let made = of_words(folder, &words, &settings);
        (made.map_err(|e| of(folder, WORDS, e))?, WORDS.to_owned())
    } else if PAIRS.iter().all(|name| folder.has(name)) {
        let is_gpt2 = config.get("model_type").and_then(Value::as_str) == Some("gpt2");
        let class = match settings.class() {
            Class::Gpt2 => Class::Gpt2,
            Class::AsWritten if is_gpt2 => Class::Gpt2,
            _ => Class::Roberta,
        };
        let settings = settings.with_class(class);
        let made = of_pairs(folder, &settings);
        let made = made.map_err(|e| of(folder, PAIRS[1], e))?;
        (made, PAIRS.join(" and "))
    } else {
        return Err(none(folder));
    };
    Ok(TokenizerFile {
        bytes,
        max_tokens,
        notes: vec![format!("its tokeniser was made from {made_from}")],
    })
}

/// An error of what was made of a file, as that file's.
fn of(folder: &Folder, name: &str, error: ModelError) -> ModelError {
    match error {
        ModelError::Tokenizer(reason) => {
            let reason = format!("no tokeniser can be made from it: {reason}; fetch it again");
            folder.refuse_file(name, reason)
        }
        error => error,
    }
}

/// What to say of a folder without any tokeniser that can be read.
fn none(folder: &Folder) -> ModelError {
    let names = folder.names();
    let named = |end| names.iter().find(|name| name.ends_with(end));
    let pieces = named(".model").map(|name| (name, "SentencePiece"));
    let foreign = pieces.or(named(".tiktoken").map(|name| (name, "tiktoken")));
    let remedy =
        "AutoTokenizer.from_pretrained(folder).save_pretrained(folder) writes one in Python";
    folder.refuse(match foreign {
        Some((name, program)) => format!(
            "there is no {TOKENIZER}, and {name} is {program}'s own file, which isn't read; {remedy}"
        ),
        None if PAIRS.iter().any(|name| folder.has(name)) => {
            "a tokeniser of byte pairs needs both vocab.json and merges.txt, and one of them isn't \
             here; fetch it, too"
                .into()
        }
        None => format!(
            "there is no tokeniser ({TOKENIZER}, vocab.txt, or vocab.json and merges.txt); {}; fetch \
             it with the model, or {remedy}",
            folder.holds()
        ),
    })
}

/// A `tokenizer.json`, with what the settings say otherwise. Its own bytes where that is nothing.
fn as_settings_say(
    bytes: Vec<u8>,
    settings: &TokenizerSettings,
    notes: &mut Vec<String>,
) -> Result<Vec<u8>, ModelError> {
    let mut file: Value =
        serde_json::from_slice(&bytes).map_err(|e| ModelError::Tokenizer(e.to_string()))?;
    let changed = match settings.class() {
        Class::Bert | Class::Mpnet => set_normalizer(&mut file, settings, notes),
        Class::Roberta | Class::Gpt2 => set_prefix_space(&mut file, settings, notes),
        Class::AsWritten => false,
    };
    let lacking = lacking_tokens(&file, settings);
    if !changed && lacking.is_empty() {
        return Ok(bytes);
    }
    if lacking.is_empty() {
        return Ok(file.to_string().into_bytes());
    }
    let names: Vec<&str> = lacking.iter().map(|token| token.content.as_str()).collect();
    notes.push(format!(
        "tokens were added to tokenizer.json: {}",
        names.join(", ")
    ));
    let mut inner = read(&file.to_string().into_bytes())?;
    inner.add_tokens(&lacking);
    write_added(&mut file, &inner)?;
    Ok(file.to_string().into_bytes())
}

/// The listed tokens that a `tokenizer.json` has neither in its vocabulary nor beside it.
fn lacking_tokens(file: &Value, settings: &TokenizerSettings) -> Vec<tokenizers::AddedToken> {
    let added = file.get("added_tokens").and_then(Value::as_array);
    let is_added = |text: &str| {
        let mut tokens = added.into_iter().flatten();
        tokens.any(|token| token.get("content").and_then(Value::as_str) == Some(text))
    };
    let vocabulary = file.get("model").and_then(|model| model.get("vocab"));
    let vocabulary = vocabulary.and_then(Value::as_object);
    let has = |text: &str| vocabulary.is_some_and(|words| words.contains_key(text));
    let all = settings.added(has).into_iter();
    // A special token that the vocabulary has, but not as one, is cut like any word until it is
    // added.
    all.filter(|token| !is_added(&token.content)).collect()
}

/// Sets what BERT's settings say of normalisation; whether that changed anything.
fn set_normalizer(file: &mut Value, settings: &TokenizerSettings, notes: &mut Vec<String>) -> bool {
    let Some(Value::Object(normalizer)) = file.get_mut("normalizer") else {
        return false;
    };
    if normalizer.get("type").and_then(Value::as_str) != Some("BertNormalizer") {
        return false;
    }
    let wanted = normalizer_of(settings);
    let mut differing = Vec::new();
    for (key, word) in [
        ("lowercase", "do_lower_case"),
        ("strip_accents", "strip_accents"),
        ("handle_chinese_chars", "tokenize_chinese_chars"),
    ] {
        let before = normalizer.get(key).cloned().unwrap_or(Value::Null);
        if before != wanted[key] {
            differing.push(format!("{word} {} (tokenizer.json: {before})", wanted[key]));
            normalizer.insert(key.to_owned(), wanted[key].clone());
        }
    }
    if differing.is_empty() {
        return false;
    }
    notes.push(format!(
        "its tokeniser follows tokenizer_config.json, as in transformers: {}",
        differing.join(", ")
    ));
    true
}

/// Sets whether a text begins as if with a space; whether that changed anything.
fn set_prefix_space(
    file: &mut Value,
    settings: &TokenizerSettings,
    notes: &mut Vec<String>,
) -> bool {
    let wanted = settings.flag("add_prefix_space", false);
    let Some(Value::Object(cutter)) = file.get_mut("pre_tokenizer") else {
        return false;
    };
    let is_bytes = cutter.get("type").and_then(Value::as_str) == Some("ByteLevel");
    let before = cutter.get("add_prefix_space").and_then(Value::as_bool);
    if !is_bytes || before == Some(wanted) {
        return false;
    }
    cutter.insert("add_prefix_space".to_owned(), json!(wanted));
    notes.push(format!(
        "its tokeniser follows tokenizer_config.json, as in transformers: add_prefix_space {wanted}"
    ));
    true
}

fn normalizer_of(settings: &TokenizerSettings) -> Value {
    json!({
        "type": "BertNormalizer",
        "clean_text": true,
        "handle_chinese_chars": settings.flag("tokenize_chinese_chars", true),
        "strip_accents": settings.optional_flag("strip_accents"),
        "lowercase": settings.flag("do_lower_case", true),
    })
}

/// Word pieces from a list of them, one a line.
fn of_words(
    folder: &Folder,
    words: &[u8],
    settings: &TokenizerSettings,
) -> Result<Vec<u8>, ModelError> {
    let text = std::str::from_utf8(words)
        .map_err(|e| folder.refuse_file(WORDS, format!("it isn't UTF-8: {e}")))?;
    let vocabulary: Map<String, Value> = text
        .lines()
        .enumerate()
        .map(|(id, word)| (word.trim_end().to_owned(), json!(id)))
        .collect();
    let unknown = settings.token("unk_token").map(|token| token.content);
    let unknown = unknown.unwrap_or_default();
    if !vocabulary.contains_key(&unknown) {
        let reason = format!("its words lack the one for unknown words, `{unknown}`");
        return Err(folder.refuse_file(WORDS, reason));
    }
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": normalizer_of(settings),
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": null,
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece",
            "unk_token": unknown,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    });
    finished(file, settings)
}

/// Byte pairs from a vocabulary and the merges that make it.
fn of_pairs(folder: &Folder, settings: &TokenizerSettings) -> Result<Vec<u8>, ModelError> {
    let [vocabulary, merges] = PAIRS;
    let vocabulary = folder.object(vocabulary)?.unwrap_or_default();
    let content = folder.read(merges)?;
    let text = std::str::from_utf8(&content)
        .map_err(|e| folder.refuse_file(merges, format!("it isn't UTF-8: {e}")))?;
    let pairs: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("#version") && !line.is_empty())
        .collect();
    let add_prefix_space = settings.flag("add_prefix_space", false);
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": {
            "type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": true,
            "use_regex": true,
        },
        "post_processor": null,
        "decoder": {
            "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true,
        },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": false, "vocab": vocabulary, "merges": pairs,
        },
    });
    finished(file, settings)
}

/// Adds the listed tokens, and puts each text between its first and its last.
fn finished(mut file: Value, settings: &TokenizerSettings) -> Result<Vec<u8>, ModelError> {
    let mut inner = read(&file.to_string().into_bytes())?;
    let added = settings.added(|text| inner.token_to_id(text).is_some());
    inner.add_tokens(&added);
    let token = |role: &str| {
        let content = settings.token(role).map(|token| token.content);
        let content = content.unwrap_or_default();
        let id = inner.token_to_id(&content).unwrap_or_default();
        json!([content, id])
    };
    let [first, last] = ["cls_token", "sep_token"].map(token);
    write_added(&mut file, &inner)?;
    file["post_processor"] = match settings.class() {
        Class::Bert => json!({ "type": "BertProcessing", "sep": last, "cls": first }),
        Class::Gpt2 => ends(settings, &inner),
        Class::Mpnet | Class::Roberta | Class::AsWritten => json!({
            "type": "RobertaProcessing", "sep": last, "cls": first,
            "trim_offsets": true, "add_prefix_space": settings.flag("add_prefix_space", false),
        }),
    };
    Ok(file.to_string().into_bytes())
}

/// What goes before and behind each text where the settings ask for it, as `GPT2Tokenizer` has it.
fn ends(settings: &TokenizerSettings, inner: &Inner) -> Value {
    let asked = |flag: &str, role: &str| {
        let token = settings.flag(flag, false).then(|| settings.token(role));
        let content = token.flatten()?.content;
        let id = inner.token_to_id(&content)?;
        Some((content, id))
    };
    let first = asked("add_bos_token", "bos_token");
    let last = asked("add_eos_token", "eos_token");
    if first.is_none() && last.is_none() {
        return Value::Null;
    }
    let special = |token: &(String, u32), kind: u32| json!({ "SpecialToken": { "id": token.0, "type_id": kind } });
    let text = |name: &str, kind: u32| {
        let before = first.iter().map(|token| special(token, kind));
        let own = json!({ "Sequence": { "id": name, "type_id": kind } });
        let behind = last.iter().map(|token| special(token, kind));
        before.chain([own]).chain(behind).collect::<Vec<Value>>()
    };
    let tokens = first.iter().chain(&last);
    let tokens = tokens.map(|(content, id)| {
        let token = json!({ "id": content, "ids": [id], "tokens": [content] });
        (content.clone(), token)
    });
    let pair = [text("A", 0), text("B", 1)].concat();
    json!({
        "type": "TemplateProcessing",
        "single": text("A", 0),
        "pair": pair,
        "special_tokens": tokens.collect::<Map<String, Value>>(),
    })
}

fn read(json: &[u8]) -> Result<Inner, ModelError> {
    check(json)?;
    caught(|| Inner::from_bytes(json))
}

/// Writes which tokens were added into the file that a tokeniser was read from. The library's own way of
/// writing goes through every number up to the vocabulary's largest, and prints those without a word.
fn write_added(file: &mut Value, inner: &Inner) -> Result<(), ModelError> {
    let added: BTreeMap<u32, _> = inner.get_added_tokens_decoder().into_iter().collect();
    let tokens = added.into_iter().map(|(id, token)| {
        let mut token = serde_json::to_value(token)?;
        token["id"] = id.into();
        Ok(token)
    });
    let tokens: Result<Vec<Value>, serde_json::Error> = tokens.collect();
    file["added_tokens"] = tokens
        .map_err(|e| ModelError::Tokenizer(e.to_string()))?
        .into();
    Ok(())
}
