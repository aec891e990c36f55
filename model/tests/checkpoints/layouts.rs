//! Folders as people have them: read, or refused with what was found and what to do.

use std::path::Path;

use safetensors::tensor::{SafeTensors, TensorView, serialize};
use serde_json::{Map, Value, json};
use umbel_model::{
    Classifier, ClassifierOptions, DeviceChoice, ModelFiles, Pooling, Precision, Tokenizer,
    TrainableSet, logits,
};

use crate::support::{lora, options, tiny, with_words};
use crate::{Saved, open, scores};

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\n\
    oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 437955512\n";

fn saved() -> Saved {
    Saved::new(Pooling::Pooler, Precision::F32)
}

fn complaint(path: &Path) -> String {
    let error = open(path).expect_err("refused").to_string();
    println!("{error}");
    error
}

fn assert_says(complaint: &str, parts: &[&str]) {
    for part in parts {
        assert!(complaint.contains(part), "no `{part}` in: {complaint}");
    }
}

impl Saved {
    fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder().join(name)).expect("removed");
    }

    /// Puts the tensors into two files with an index of them.
    fn split(&self) -> [&'static str; 2] {
        let names = [
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
        ];
        let bytes = self.read("model.safetensors");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let mut parts: [Vec<(String, TensorView<'_>)>; 2] = Default::default();
        let mut index = Map::new();
        for (place, (name, view)) in file.iter().enumerate() {
            index.insert(name.to_owned(), json!(names[place % 2]));
            parts[place % 2].push((name.to_owned(), view));
        }
        for (name, part) in names.iter().zip(parts) {
            self.write(name, &serialize(part, None).expect("safetensors"));
        }
        let index = json!({ "metadata": {"total_size": 1}, "weight_map": index }).to_string();
        self.write("model.safetensors.index.json", index.as_bytes());
        self.remove("model.safetensors");
        names
    }

    /// Replaces `tokenizer.json` by a list of its words.
    fn words_alone(&self) {
        let file: Value = serde_json::from_slice(&self.read("tokenizer.json")).expect("JSON");
        let mut words: Vec<(u64, &String)> = file["model"]["vocab"]
            .as_object()
            .expect("a vocabulary")
            .iter()
            .map(|(word, id)| (id.as_u64().expect("an id"), word))
            .collect();
        words.sort_unstable();
        let lines: String = words.iter().map(|(_, word)| format!("{word}\n")).collect();
        self.write("vocab.txt", lines.as_bytes());
        self.remove("tokenizer.json");
        self.remove("tokenizer_config.json");
    }
}

#[test]
fn weights_in_parts_are_the_same_model() {
    let saved = saved();
    saved.split();
    assert_eq!(saved.difference(), 0.0);
    let opened = saved.open().expect("a classifier");
    let words = opened.reading().to_string();
    assert_says(&words, &["model.safetensors.index.json"]);
}

#[test]
fn a_part_that_is_missing_or_elsewhere_or_cut_short_is_named() {
    let saved = saved();
    let [first, second] = saved.split();
    let index = saved.read("model.safetensors.index.json");
    let part = saved.read(second);
    saved.write(second, &part[..part.len() / 2]);
    assert_says(&saved.complaint(), &[second]);
    saved.remove(second);
    assert_says(&saved.complaint(), &[second, "1 of its 2 parts"]);
    let text = String::from_utf8(index).expect("UTF-8");
    let elsewhere = text.replace(second, "../secrets.safetensors");
    saved.write("model.safetensors.index.json", elsewhere.as_bytes());
    assert_says(
        &saved.complaint(),
        &["../secrets.safetensors", "isn't in this folder"],
    );
    // A tensor that the index has and its part hasn't.
    let less = text.replace(second, first);
    saved.write("model.safetensors.index.json", less.as_bytes());
    assert_says(&saved.complaint(), &[first, "which it hasn't"]);
}

#[test]
fn pytorch_weights_are_the_model_that_safetensors_are() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let whole = home.join("family_fixtures/bert");
    let folder = tempfile::tempdir().expect("a folder");
    let copy = |from: &Path, name: &str| {
        std::fs::copy(from.join(name), folder.path().join(name)).expect("copied");
    };
    copy(&whole, "config.json");
    copy(&whole, "tokenizer.json");
    copy(&home.join("folder_fixtures"), "pytorch_model.bin");
    let expected = scores(&open(&whole).expect("a classifier"));
    let opened = open(folder.path()).expect("a classifier");
    assert_eq!(scores(&opened), expected);
    assert_says(&opened.reading().to_string(), &["pytorch_model.bin"]);
    // The same folder read twice has the same weights, byte for byte: they have a digest.
    let weights = || ModelFiles::read(folder.path()).expect("files").weights;
    assert_eq!(weights(), weights());
    // In two parts.
    let rename = |to: &str| {
        let from = folder.path().join("pytorch_model.bin");
        std::fs::rename(from, folder.path().join(to)).expect("renamed");
    };
    rename("pytorch_model-00001-of-00001.bin");
    let bytes = weights_of(&whole);
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let index: Map<String, Value> = file
        .names()
        .into_iter()
        .map(|name| (name.to_owned(), json!("pytorch_model-00001-of-00001.bin")))
        .collect();
    let index = json!({ "weight_map": index }).to_string();
    let place = folder.path().join("pytorch_model.bin.index.json");
    std::fs::write(place, index).expect("a file");
    assert_eq!(
        scores(&open(folder.path()).expect("a classifier")),
        expected
    );
}

fn weights_of(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("model.safetensors")).expect("a file")
}

#[test]
fn safetensors_are_taken_where_pytorch_weights_are_beside_them() {
    let saved = saved();
    saved.write("pytorch_model.bin", b"anything");
    assert_eq!(saved.difference(), 0.0);
}

#[test]
fn words_without_tokenizer_json_are_the_same_tokeniser() {
    let saved = saved();
    saved.words_alone();
    assert_eq!(saved.difference(), 0.0);
    assert_says(
        &saved.open().expect("a classifier").reading().to_string(),
        &["vocab.txt"],
    );
}

#[test]
fn half_of_a_tokeniser_is_refused_with_the_rest_that_it_needs() {
    let saved = saved();
    saved.remove("tokenizer.json");
    assert_says(&saved.complaint(), &["tokenizer.json", "vocab.txt"]);
    saved.write("vocab.json", b"{}");
    assert_says(&saved.complaint(), &["vocab.json and merges.txt"]);
    saved.remove("vocab.json");
    saved.write("sentencepiece.bpe.model", b"\n\x01");
    assert_says(
        &saved.complaint(),
        &["sentencepiece.bpe.model", "save_pretrained"],
    );
}

#[test]
fn a_pointer_of_git_lfs_is_told_from_the_file_that_it_stands_for() {
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let saved = saved();
        saved.write(name, POINTER.as_bytes());
        assert_says(
            &saved.complaint(),
            &[name, "Git LFS", "437955512", "git lfs pull"],
        );
    }
    let saved = saved();
    saved.remove("model.safetensors");
    saved.write("pytorch_model.bin", POINTER.as_bytes());
    assert_says(&saved.complaint(), &["pytorch_model.bin", "Git LFS"]);
}

#[test]
fn a_place_that_is_no_folder_is_refused_with_where_the_model_may_be() {
    let saved = saved();
    let folder = saved.folder();
    assert_says(
        &complaint(&folder.join("config.json")),
        &["this is a file", "classifier"],
    );
    let hub = saved.home.path().join("bert-base-uncased");
    assert_says(
        &complaint(&hub),
        &["Hugging Face Hub", "hf download bert-base-uncased"],
    );
    let owned = saved.home.path().join("google/bert_uncased");
    assert_says(&complaint(&owned), &["hf download google/bert_uncased"]);
    assert_says(&complaint(Path::new("~/models/bert")), &["`~`"]);
    assert_says(
        &complaint(saved.home.path()),
        &["no config.json", "classifier"],
    );
    let empty = saved.home.path().join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    assert_says(&complaint(&empty), &["config.json", "holds no files"]);
    std::fs::write(empty.join("model.gguf"), "GGUF").expect("a file");
    assert_says(&complaint(&empty), &["config.json", "model.gguf"]);
}

#[test]
fn a_folder_of_sentence_transformers_says_where_its_model_is() {
    let saved = saved();
    let home = saved.home.path();
    std::fs::rename(saved.folder(), home.join("0_Transformer")).expect("renamed");
    let modules = json!([
        {"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]);
    std::fs::write(home.join("modules.json"), modules.to_string()).expect("a file");
    assert_says(&complaint(home), &["modules.json", "0_Transformer"]);
    assert!(open(&home.join("0_Transformer")).is_ok());
}

#[test]
fn weights_of_other_programs_are_refused_with_how_to_convert_them() {
    for (name, remedy) in [
        ("tf_model.h5", "from_tf=True"),
        ("flax_model.msgpack", "from_flax=True"),
        ("model.onnx", "model.safetensors"),
    ] {
        let saved = saved();
        saved.remove("model.safetensors");
        saved.write(name, b"weights");
        assert_says(&saved.complaint(), &[name, remedy]);
    }
    let saved = saved();
    saved.set("quantization_config", json!({"quant_method": "gptq"}));
    assert_says(&saved.complaint(), &["quantization_config"]);
}

/// A base model, the same with adapters trained, and the folder of these alone.
fn adapted(base_named: impl Fn(&Saved) -> String) -> (Saved, Classifier, std::path::PathBuf) {
    let saved = Saved::new(Pooling::Mean, Precision::F32);
    let files = ModelFiles::read(&saved.folder()).expect("files");
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    let set = with_words(lora(&["query", "output"], false));
    let options = options(Pooling::Mean, set);
    let mut model = Classifier::load_without_head(&files, options, &device).expect("a model");
    let parameters = model.parameters();
    let moved = parameters.iter().enumerate();
    let moved: Vec<f32> = moved.map(|(i, x)| x + 0.2 * (i as f32).sin()).collect();
    model.set_parameters(&moved).expect("parameters");
    let folder = saved.home.path().join("adapter");
    model
        .save_adapter(&folder, &base_named(&saved))
        .expect("saved");
    (saved, model, folder)
}

#[test]
fn an_adapter_whose_base_is_within_reach_is_merged() {
    let absolute = |saved: &Saved| saved.folder().display().to_string();
    let relative = |_: &Saved| "../classifier".to_owned();
    for (_saved, model, folder) in [adapted(absolute), adapted(relative)] {
        let merged = open(&folder).expect("a classifier");
        assert_eq!(merged.labels(), model.labels());
        let worst = scores(&merged)
            .iter()
            .flatten()
            .zip(scores(&model).iter().flatten())
            .fold(0.0_f32, |worst, (x, y)| worst.max((x - y).abs()));
        println!("merged: logits differ by {worst:e} at most");
        assert!(worst < 1e-5, "{worst}");
        assert_says(
            &merged.reading().to_string(),
            &["adapter", "was merged into"],
        );
    }
}

#[test]
fn an_adapter_that_can_not_be_merged_says_what_it_is_and_what_it_needs() {
    let (_saved, _, folder) = adapted(|_| "bert-base-uncased".to_owned());
    assert_says(
        &complaint(&folder),
        &["adapter", "`bert-base-uncased`", "merge_and_unload"],
    );
    let set = |folder: &Path, key: &str, value: Value| {
        let path = folder.join("adapter_config.json");
        let mut config: Value =
            serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON");
        config[key] = value;
        std::fs::write(path, config.to_string()).expect("a file");
    };
    for (key, value, part) in [
        ("peft_type", json!("IA3"), "IA3"),
        ("use_dora", json!(true), "use_dora"),
        ("task_type", json!("TOKEN_CLS"), "TOKEN_CLS"),
        ("rank_pattern", json!({"query": 2}), "rank"),
        ("fan_in_fan_out", json!(true), "fan_in_fan_out"),
    ] {
        let (_saved, _, folder) = adapted(|saved| saved.folder().display().to_string());
        set(&folder, key, value);
        assert_says(&complaint(&folder), &["adapter", part]);
    }
    let (_saved, _, folder) = adapted(|saved| saved.folder().display().to_string());
    std::fs::remove_file(folder.join("adapter_model.safetensors")).expect("removed");
    assert_says(
        &complaint(&folder),
        &["adapter", "adapter_model.safetensors"],
    );
}

#[test]
fn a_text_is_cut_where_the_tokeniser_says_that_the_model_ends() {
    let saved = saved();
    saved.set("umbel_max_tokens", Value::Null);
    let cut = |longest: Value| {
        let settings =
            json!({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": longest});
        saved.write("tokenizer_config.json", settings.to_string().as_bytes());
        let opened = saved.open().expect("a classifier");
        opened.encode(&"film ".repeat(100)).expect("ids").len()
    };
    assert_eq!(cut(json!(10)), 10);
    // As transformers writes "no limit"; the model's positions are one.
    assert_eq!(cut(json!(1e30)), 32);
    assert_eq!(cut(json!(1000)), 32);
}

#[test]
fn a_cut_text_is_as_long_as_it_was_before_in_every_family() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/family_fixtures");
    let families = std::fs::read_dir(folder).expect("families");
    // A special token that stands in the text is one of the text's own.
    let text = format!(
        "[SEP] </s> {} [CLS]",
        "The film was naïve, 感動 2+2! ".repeat(9)
    );
    for family in families {
        let file = family.expect("a family").path().join("tokenizer.json");
        let json = std::fs::read(&file).expect("a tokeniser");
        let tokens = |longest| {
            let tokeniser = Tokenizer::from_json(&json, longest, usize::MAX);
            let tokens = tokeniser.and_then(|tokeniser| tokeniser.tokens(&text, None));
            tokens.expect("tokens")
        };
        let (all, whole) = tokens(10_000);
        assert_eq!(all.len(), whole);
        for longest in [3, 7, 20] {
            let (first, before) = tokens(longest);
            assert_eq!(
                (first.len(), before),
                (longest, whole),
                "{}",
                file.display()
            );
        }
    }
}

#[test]
fn a_vocabulary_that_the_model_has_no_embeddings_for_is_refused_before_training() {
    let saved = saved();
    saved.change_tensors(|tensors| {
        let mut words = tensors.iter_mut();
        let words = words.find(|t| t.name.ends_with("word_embeddings.weight"));
        let words = words.expect("a table");
        words.shape = vec![40, 16];
        words.data.truncate(40 * 16 * 4);
    });
    saved.set("vocab_size", json!(40));
    let files = ModelFiles::read(&saved.folder()).expect("files");
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    let options = options(Pooling::Pooler, TrainableSet::Head);
    let error = Classifier::load_without_head(&files, options, &device).expect_err("refused");
    assert_says(
        &error.to_string(),
        &["tokenizer.json", "50 words", "model_type bert", "40"],
    );
    // A text of other words is classified all the same.
    let opened = saved.open().expect("a classifier");
    assert!(opened.encode("the film").is_ok());
    assert!(opened.encode("kkk zebra fedk").is_err());
}

#[test]
fn a_length_beyond_the_models_positions_is_said() {
    let files = ModelFiles::read(&saved().folder());
    let files = files.expect("files");
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    let options = ClassifierOptions {
        max_tokens: 1024.try_into().expect("a length"),
        ..options(Pooling::Pooler, TrainableSet::Head)
    };
    let model = Classifier::load_without_head(&files, options, &device).expect("a model");
    assert_says(&model.reading().to_string(), &["max_tokens is 1024", "32"]);
    let long = vec![model.encode(&"film ".repeat(100)).expect("ids")];
    assert!(logits(&model, &long, 1).is_ok());
    assert!(
        !tiny(support_options())
            .reading()
            .to_string()
            .contains("max_tokens")
    );
}

fn support_options() -> ClassifierOptions {
    options(Pooling::Pooler, TrainableSet::Head)
}
