//! A tiny classifier of random weights, with a tokeniser of its own.
#![allow(dead_code, reason = "each test takes what it needs")]

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use serde_json::{Map, Value, json};
use umbel_model::families::{BERT, Family, TransformerSpec};
use umbel_model::{
    Classifier, ClassifierOptions, DeviceChoice, Dropout, HeadScale, LoraConfig, LoraTargets,
    Pooling, Task, TrainableSet,
};

pub const VOCABULARY: usize = 50;
pub const POSITIONS: usize = 32;

pub fn config() -> TransformerSpec {
    small(BERT)
}

/// A small encoder of any family, which reads texts of up to [`POSITIONS`] tokens.
pub fn small(family: &dyn Family) -> TransformerSpec {
    let is = |model_type: &str| family.model_type() == model_type;
    let mut config = json!({
        "model_type": family.model_type(),
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": POSITIONS,
        // ELECTRA's, and DistilBERT's words for some of the same.
        "embedding_size": if is("deberta-v2") { 16 } else { 8 },
        "dim": 16,
        "n_layers": 2,
        "n_heads": 2,
        "hidden_dim": 24,
        // ModernBERT's: every second layer sees three tokens to each side.
        "local_attention": 6,
        "global_attn_every_n_layers": 2,
        // DeBERTa's: distances of up to four by themselves, the others in buckets.
        "relative_attention": true,
        "position_buckets": 8,
        "pos_att_type": ["p2c", "c2p"],
        "share_att_key": true,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": !is("deberta-v2"),
        // GPT-2's words for the same.
        "n_embd": 16,
        "n_layer": 2,
        "n_head": 2,
        "n_inner": 24,
        "n_positions": POSITIONS,
    });
    if is("gpt2") {
        config["pad_token_id"] = json!(0);
    }
    // Two heads of queries read one of keys and values; rows end with their padding.
    if is("llama") {
        for (key, value) in [
            ("num_attention_heads", 4),
            ("num_key_value_heads", 2),
            ("pad_token_id", 3),
        ] {
            config[key] = json!(value);
        }
    }
    let spec = TransformerSpec::from_json(config.to_string().as_bytes()).expect("a configuration");
    TransformerSpec {
        position_rows: 2 * POSITIONS - spec.max_tokens(),
        ..spec
    }
}

pub fn options(pooling: Pooling, train: TrainableSet) -> ClassifierOptions {
    ClassifierOptions {
        task: Task::SingleLabel,
        pairs: false,
        labels: ["bad", "good", "mixed"].map(str::to_owned).to_vec(),
        class_weights: None,
        pooling,
        max_tokens: POSITIONS.try_into().expect("a length"),
        dropout: Dropout::NONE,
        head_scale: HeadScale::ONE,
        train,
    }
}

pub fn tiny(options: ClassifierOptions) -> Classifier {
    tiny_on(&DeviceChoice::Cpu, options).expect("the CPU")
}

/// The same on another device, or why there is none.
pub fn tiny_on(device: &DeviceChoice, options: ClassifierOptions) -> Result<Classifier, String> {
    tiny_of(BERT, device, options)
}

/// The same of any family.
pub fn tiny_of(
    family: &dyn Family,
    device: &DeviceChoice,
    options: ClassifierOptions,
) -> Result<Classifier, String> {
    let mut rng = ChaCha12Rng::seed_from_u64(7);
    let (device, _) = device.resolve().map_err(|e| e.to_string())?;
    let spec = small(family);
    Classifier::random(&spec, &tokenizer_json(), options, &mut rng, &device)
        .map_err(|e| e.to_string())
}

/// The trainable set `lora` with these targets.
pub fn lora(targets: &[&str], freeze_a: bool) -> TrainableSet {
    let targets = LoraTargets::parse(targets).expect("targets");
    TrainableSet::Lora(LoraConfig {
        rank: 3.try_into().expect("a rank"),
        alpha: 6.0.try_into().expect("an alpha"),
        targets,
        freeze_a,
        words: None,
        seed: Some(11),
    })
}

/// The same adapters, beside which the word embeddings are trained.
pub fn with_words(set: TrainableSet) -> TrainableSet {
    let words = Some(0.3.try_into().expect("a scale"));
    match set {
        TrainableSet::Lora(lora) => TrainableSet::Lora(LoraConfig { words, ..lora }),
        other => other,
    }
}

/// WordPiece over single letters, a few words and a comma.
pub fn tokenizer_json() -> Vec<u8> {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let words = ["film", "good", "bad", "the", "was", ",", "##s", "##ed"];
    let letters = ('a'..='z').map(String::from);
    let pieces = ('a'..='k').map(|letter| format!("##{letter}"));
    let vocabulary: Map<String, Value> = special
        .into_iter()
        .chain(words)
        .map(String::from)
        .chain(letters)
        .chain(pieces)
        .enumerate()
        .map(|(id, token)| (token, json!(id)))
        .collect();
    assert_eq!(vocabulary.len(), VOCABULARY);
    let added: Vec<Value> = special
        .iter()
        .enumerate()
        .map(|(id, token)| {
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            })
        })
        .collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true,
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2] },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary,
        },
    })
    .to_string()
    .into_bytes()
}
