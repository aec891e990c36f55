//! Folders of models so small that a few bytes change much: of each family, and in each layout.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use serde_json::{Map, Value, json};
use umbel_model::families::{FAMILIES, Family, TransformerSpec};
use umbel_model::{
    Classifier, ClassifierOptions, DeviceChoice, Dropout, HeadScale, LoraConfig, LoraTargets,
    Precision, Task, TrainableSet,
};
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::folder::Folder;

/// Seeds by their names.
pub fn all() -> Vec<(String, Folder)> {
    let of_family = FAMILIES.iter().map(|family| {
        let saved = saved(*family, 12, TrainableSet::Full);
        (family.model_type().to_owned(), saved)
    });
    let mut all: Vec<(String, Folder)> = of_family.collect();
    let bert = all[0].1.clone();
    all.push(("parts".into(), in_parts(&bert)));
    all.push(("adapter".into(), adapter()));
    let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\ngood\n##s\nfilm\n##i\nfi\n##lm\n";
    all.push(("words".into(), with_files(&bert, &[
        ("vocab.txt", words),
        ("tokenizer_config.json", r#"{"do_lower_case": false, "strip_accents": true, "model_max_length": 6}"#),
        ("special_tokens_map.json", r#"{"unk_token": "[UNK]", "mask_token": {"content": "[MASK]", "lstrip": true}}"#),
        ("added_tokens.json", r###"{"##s": 11}"###),
    ])));
    let gpt2 = saved(gpt2(), 300, TrainableSet::Full);
    let pairs: Map<String, Value> = bytes()
        .chain(["fi".into(), "lm".into()])
        .zip(0..)
        .map(|(word, id)| (word, json!(id)))
        .collect();
    all.push(("pairs".into(), with_files(&gpt2, &[
        ("vocab.json", &Value::Object(pairs).to_string()),
        ("merges.txt", "#version: 0.2\nf i\nl m\n"),
        ("tokenizer_config.json", r#"{"added_tokens_decoder": {"258": {"content": "<|endoftext|>", "special": true}}, "add_bos_token": true, "add_prefix_space": true}"#),
    ])));
    let tokenizers = [
        (
            "unigram",
            json!({
                "normalizer": {"type": "Sequence", "normalizers": [
                        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}, {"type": "NFKC"},
                    {"type": "Strip", "strip_left": true, "strip_right": true}, {"type": "Prepend", "prepend": "▁"},
                ]},
                "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
                "post_processor": {"type": "TemplateProcessing",
                    "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
                    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                    "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
                "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false,
                    "vocab": [["<unk>", 0.0], ["</s>", 0.0], ["▁a", -1.5], ["▁", -2.0], ["good", -3.0], ["f", -4.0]]},
            }),
        ),
        (
            "bytes",
            json!({
                "normalizer": {"type": "Lowercase"},
                "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": "\\p{L}+|\\p{N}{1,3}|\\s+(?!\\S)"}, "behavior": "Isolated", "invert": false},
                    {"type": "Digits", "individual_digits": true}, {"type": "Punctuation", "behavior": "Contiguous"},
                    {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
                ]},
                "post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true}]},
                "model": {"type": "BPE", "unk_token": "a", "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": true,
                    "byte_fallback": true, "ignore_merges": true, "dropout": null,
                    "vocab": {"a": 0, "f": 1, "i": 2, "fi": 3, "g": 4, "o": 5}, "merges": [["f", "i"]]},
            }),
        ),
        (
            "whole-words",
            json!({
                "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Nmt"}]},
                "pre_tokenizer": {"type": "WhitespaceSplit"},
                "post_processor": {"type": "BertProcessing", "sep": ["b", 1], "cls": ["a", 0]},
                "model": {"type": "WordLevel", "unk_token": "a", "vocab": {"a": 0, "b": 1, "good": 2}},
            }),
        ),
    ];
    for (name, mut file) in tokenizers {
        for (key, value) in [
            ("version", json!("1.0")),
            (
                "truncation",
                json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 1}),
            ),
            (
                "padding",
                json!({"strategy": {"Fixed": 8}, "direction": "Left", "pad_to_multiple_of": 8, "pad_id": 0, "pad_type_id": 0, "pad_token": "a"}),
            ),
            (
                "added_tokens",
                json!([{"id": 7, "content": "<mask>", "single_word": false, "lstrip": true, "rstrip": false, "normalized": false, "special": true}]),
            ),
            ("decoder", Value::Null),
        ] {
            file[key] = value;
        }
        let text = file.to_string();
        all.push((name.into(), with_files(&bert, &[("tokenizer.json", &text)])));
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/folder_fixtures");
    let stream = fs::read(here.join("stream.bin")).expect("it is kept");
    for (name, content) in [("pytorch-stream", stream), ("pytorch-zip", pytorch(&bert))] {
        let mut folder: Folder = without_weights(&bert);
        folder.push(("pytorch_model.bin".into(), content));
        all.push((name.into(), folder));
    }
    let fixtures = fs::read(here.join("tokenizers.json")).expect("it is kept");
    let fixtures: Value = serde_json::from_slice(&fixtures).expect("JSON");
    let mut folders = fixtures["folders"].as_array().expect("a list").iter();
    let pieces = folders.find(|folder| folder["name"] == "a table of SentencePiece");
    let text = pieces.expect("it is kept")["files"]["tokenizer.json"].as_str();
    let roomy = saved(FAMILIES[0], 400, TrainableSet::Full);
    let pieces = with_files(&roomy, &[("tokenizer.json", text.expect("a text"))]);
    all.push(("sentencepiece".into(), pieces));
    all
}

fn gpt2() -> &'static dyn Family {
    FAMILIES
        .iter()
        .copied()
        .find(|family| family.model_type() == "gpt2")
        .expect("it is there")
}

/// How byte pairs write the 256 bytes.
fn bytes() -> impl Iterator<Item = String> {
    let plain = |byte: &u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let others = (0..256)
        .filter(move |byte| !plain(byte))
        .zip(256..)
        .map(|(_, letter)| letter);
    let all = (0..256).filter(plain).chain(others);
    all.filter_map(char::from_u32).map(String::from)
}

fn with_files(folder: &Folder, files: &[(&str, &str)]) -> Folder {
    let kept = folder
        .iter()
        .filter(|(name, _)| name != "tokenizer.json")
        .cloned();
    let new = files
        .iter()
        .map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec()));
    kept.chain(new).collect()
}

fn tiny(family: &'static dyn Family, words: usize, train: TrainableSet) -> Classifier {
    let is = |model_type: &str| family.model_type() == model_type;
    let keys = json!({
        "model_type": family.model_type(),
        "vocab_size": words, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "intermediate_size": 4, "max_position_embeddings": 8,
        "embedding_size": if is("deberta-v2") { 4 } else { 2 }, "pad_token_id": 0,
        "dim": 4, "n_layers": 1, "n_heads": 2, "hidden_dim": 4,
        "local_attention": 2, "global_attn_every_n_layers": 2,
        "relative_attention": true, "position_buckets": 4, "pos_att_type": ["p2c", "c2p"],
        "share_att_key": true, "norm_rel_ebd": "layer_norm", "position_biased_input": !is("deberta-v2"),
        "n_embd": 4, "n_layer": 1, "n_head": 2, "n_inner": 4, "n_positions": 8,
    });
    let spec = TransformerSpec::from_json(keys.to_string().as_bytes()).expect("a configuration");
    let options = ClassifierOptions {
        task: Task::SingleLabel,
        pairs: false,
        labels: ["0", "1"].map(str::to_owned).to_vec(),
        class_weights: None,
        pooling: family.poolings()[0],
        max_tokens: 6.try_into().expect("a length"),
        dropout: Dropout::NONE,
        head_scale: HeadScale::ONE,
        train,
    };
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    Classifier::random(
        &spec,
        tokenizer().to_string().as_bytes(),
        options,
        &mut rng,
        &device,
    )
    .expect("a model")
}

fn tokenizer() -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "a": 5, "good": 6, "fi": 7, "##lm": 8}},
    })
}

/// What a family's smallest model is saved as.
fn saved(family: &'static dyn Family, words: usize, train: TrainableSet) -> Folder {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("model");
    tiny(family, words, train)
        .save(&path, Precision::F16)
        .expect("it can be saved");
    files(&path, "")
}

/// The files that are read, in the order of their names.
fn files(path: &Path, prefix: &str) -> Folder {
    let entries = fs::read_dir(path)
        .expect("a folder")
        .map(|entry| entry.expect("a file").path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_none_or(|end| end != "py"))
        .collect();
    files.sort();
    let named = files.iter().map(|file| {
        let name = file.file_name().expect("a name").to_string_lossy();
        (format!("{prefix}{name}"), fs::read(file).expect("a file"))
    });
    named.collect()
}

/// An adapter with its base model below it.
fn adapter() -> Folder {
    let lora = LoraConfig {
        rank: 1.try_into().expect("a rank"),
        targets: LoraTargets::parse(&["query", "output"]).expect("targets"),
        ..LoraConfig::default()
    };
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("adapter");
    tiny(FAMILIES[0], 12, TrainableSet::Lora(lora))
        .save_adapter(&path, "base")
        .expect("it can be saved");
    let base = saved(FAMILIES[0], 12, TrainableSet::Full);
    let below = base
        .into_iter()
        .map(|(name, content)| (format!("base/{name}"), content));
    files(&path, "").into_iter().chain(below).collect()
}

fn without_weights(folder: &Folder) -> Folder {
    let others = folder
        .iter()
        .filter(|(name, _)| name != "model.safetensors");
    others.cloned().collect()
}

/// A folder's tensors: what the header says of each, and its bytes.
fn tensors(folder: &Folder) -> Vec<(String, Value, Vec<u8>)> {
    let mut files = folder.iter();
    let weights = files.find(|(name, _)| name == "model.safetensors");
    let (_, weights) = weights.expect("weights");
    let (length, rest) = weights.split_first_chunk::<8>().expect("a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: Map<String, Value> = serde_json::from_slice(header).expect("a header");
    let tensors = header
        .into_iter()
        .filter(|(name, _)| name != "__metadata__");
    let tensors = tensors.map(|(name, tensor)| {
        let at = |end: usize| tensor["data_offsets"][end].as_u64().expect("an offset") as usize;
        let bytes = data[at(0)..at(1)].to_vec();
        (name, tensor, bytes)
    });
    tensors.collect()
}

/// The same weights as `torch.save` writes them: a pickle that says how each tensor is built, and
/// storages beside it. Sizes are below 256.
fn pytorch(folder: &Folder) -> Vec<u8> {
    let text = |text: &str| {
        let length = (text.len() as u32).to_le_bytes();
        [b"X", &length[..], text.as_bytes()].concat()
    };
    let numbers = |numbers: &[u8]| {
        let each: Vec<u8> = numbers.iter().flat_map(|n| [b'K', *n]).collect();
        [&b"("[..], &each, b"t"].concat()
    };
    let mut pickle = b"\x80\x02}(".to_vec();
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let tensors = tensors(folder);
    for (index, (name, tensor, bytes)) in tensors.iter().enumerate() {
        let shape = tensor["shape"].as_array().expect("a shape").iter();
        let shape: Vec<u8> = shape
            .map(|size| size.as_u64().expect("a size") as u8)
            .collect();
        let strides: Vec<u8> = (1..=shape.len())
            .map(|after| shape[after..].iter().product())
            .collect();
        pickle.extend(text(name));
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        pickle.extend(text("storage"));
        pickle.extend(b"ctorch\nHalfStorage\n");
        pickle.extend([text(&index.to_string()), text("cpu")].concat());
        pickle.extend([b'K', (bytes.len() / 2) as u8]);
        pickle.extend(b"tQK\0");
        pickle.extend([numbers(&shape), numbers(&strides)].concat());
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        let file = format!("archive/data/{index}");
        archive.start_file(file, stored).expect("memory");
        archive.write_all(bytes).expect("memory");
    }
    pickle.extend(b"u.");
    for (name, content) in [
        ("archive/data.pkl", pickle.as_slice()),
        ("archive/version", b"3\n"),
    ] {
        archive.start_file(name, stored).expect("memory");
        archive.write_all(content).expect("memory");
    }
    archive.finish().expect("memory").into_inner()
}

/// The same weights in two parts with an index.
fn in_parts(folder: &Folder) -> Folder {
    let mut parts = [(Map::new(), Vec::new()), (Map::new(), Vec::new())];
    let mut map = Map::new();
    for (index, (name, tensor, bytes)) in tensors(folder).into_iter().enumerate() {
        let (header, part) = &mut parts[index % 2];
        let begin = part.len();
        part.extend(bytes);
        map.insert(
            name.clone(),
            json!(format!("model-{}.safetensors", index % 2)),
        );
        let described = json!({
            "dtype": tensor["dtype"], "shape": tensor["shape"], "data_offsets": [begin, part.len()],
        });
        header.insert(name, described);
    }
    let mut all = without_weights(folder);
    let index = json!({"metadata": {}, "weight_map": map}).to_string();
    all.push(("model.safetensors.index.json".into(), index.into_bytes()));
    for (index, (header, data)) in parts.into_iter().enumerate() {
        let header = Value::Object(header).to_string();
        let length = (header.len() as u64).to_le_bytes();
        let content = [&length[..], header.as_bytes(), &data].concat();
        all.push((format!("model-{index}.safetensors"), content));
    }
    all
}
