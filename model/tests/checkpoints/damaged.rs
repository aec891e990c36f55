//! What doesn't fit or is damaged is refused by its name, and nothing panics.

use proptest::prelude::*;
use safetensors::tensor::Dtype;
use serde_json::{Value, json};
use umbel_model::{
    Classifier, DeviceChoice, ModelError, ModelFiles, Pooling, Precision, TrainableSet,
    check_scores, logits, predict,
};

use crate::Saved;
use crate::support::options;

const QUERY: &str = "encoder.layer.1.attention.self.query.weight";

#[test]
fn a_missing_tensor_is_named() {
    let missing = [
        "embeddings.word_embeddings.weight",
        QUERY,
        "classifier.bias",
    ];
    for name in missing {
        let saved = Saved::new(Pooling::Pooler, Precision::F32);
        saved.change_tensors(|tensors| tensors.retain(|t| !t.name.ends_with(name)));
        let complaint = saved.complaint();
        assert!(
            complaint.contains(&format!("no tensor `{name}`")),
            "{complaint}"
        );
    }
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    let saved = Saved::new(Pooling::Mean, Precision::F32);
    saved.change_tensors(|tensors| {
        let query = tensors.iter_mut().find(|t| t.name.ends_with(QUERY));
        query.expect("a query").shape = vec![8, 32];
    });
    let complaint = saved.complaint();
    for part in [QUERY, "[8, 32]", "[16, 16]"] {
        assert!(complaint.contains(part), "{complaint}");
    }
}

#[test]
fn weights_that_are_no_finite_floats_are_refused_by_name() {
    let saved = Saved::new(Pooling::Mean, Precision::F32);
    saved.change_tensors(|tensors| {
        let query = tensors.iter_mut().find(|t| t.name.ends_with(QUERY));
        query.expect("a query").data[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    assert!(saved.complaint().contains(QUERY) && saved.complaint().contains("position 1"));
    saved.change_tensors(|tensors| {
        let query = tensors.iter_mut().find(|t| t.name.ends_with(QUERY));
        query.expect("a query").dtype = Dtype::I32;
    });
    assert!(saved.complaint().contains(QUERY) && saved.complaint().contains("I32"));
}

#[test]
fn a_model_whose_numbers_overflow_on_the_way_gives_no_scores() {
    let saved = Saved::new(Pooling::Mean, Precision::F32);
    assert!(check_scores(&saved.classifier).is_ok());
    saved.change_tensors(|tensors| {
        let classifier = tensors.iter_mut().find(|t| t.name == "classifier.weight");
        let data = &mut classifier.expect("a classifier").data;
        for number in data.as_chunks_mut::<4>().0 {
            *number = f32::MAX.to_le_bytes();
        }
    });
    // Every weight is finite, so that the folder opens.
    let opened = saved.open().expect("a classifier");
    let rows = [opened.encode("the film was good").expect("token ids")];
    for answer in [logits(&opened, &rows, 1), predict(&opened, &rows, 1)] {
        assert!(matches!(answer, Err(ModelError::Scores)), "{answer:?}");
    }
    let complaint = check_scores(&opened).expect_err("no scores").to_string();
    assert!(complaint.contains("aren't finite numbers"), "{complaint}");
}

#[test]
fn configurations_that_do_not_fit_are_refused() {
    let large = 1 << 20;
    for (key, value, expected) in [
        ("model_type", json!("t5"), "t5"),
        ("hidden_act", json!("mish"), "mish"),
        ("is_decoder", json!(true), "is_decoder"),
        ("num_attention_heads", json!(3), "num_attention_heads"),
        ("hidden_size", json!(0), "hidden_size"),
        ("hidden_size", json!(-1), "config.json"),
        ("num_hidden_layers", json!(3), "encoder.layer.2"),
        ("vocab_size", json!(51), "[51, 16]"),
        ("type_vocab_size", json!(large), "parameters"),
        ("hidden_size", json!(large), "config.json"),
        ("vocab_size", json!(large), "config.json"),
        ("num_hidden_layers", json!(large), "config.json"),
        ("id2label", json!({"0": "a", "2": "b"}), "id2label"),
        ("id2label", json!({}), "id2label"),
        ("id2label", json!(["a"]), "id2label"),
        ("umbel_pooling", json!("max"), "max"),
    ] {
        let saved = Saved::new(Pooling::Mean, Precision::F32);
        saved.set(key, value.clone());
        let complaint = saved.complaint();
        assert!(complaint.contains(expected), "{key} {value}: {complaint}");
    }
}

#[test]
fn more_labels_than_the_weights_can_have_outputs_for_are_refused_before_memory_is_asked_for() {
    let saved = Saved::new(Pooling::Mean, Precision::F32);
    saved.set("id2label", Value::Null);
    saved.set("num_labels", json!(1 << 20));
    let complaint = saved.complaint();
    assert!(complaint.contains("it has 1048576 labels"), "{complaint}");
}

#[test]
fn however_few_tokens_are_read_no_text_gives_more() {
    for max_tokens in 0..6 {
        let saved = Saved::new(Pooling::Mean, Precision::F32);
        saved.set("umbel_max_tokens", json!(max_tokens));
        match saved.open() {
            Ok(opened) => {
                let ids = opened.encode("a good film was the bad film").expect("ids");
                assert!(ids.len() <= max_tokens, "{max_tokens}: {}", ids.len());
            }
            Err(error) => assert!(max_tokens < 3, "{max_tokens}: {error}"),
        }
    }
}

#[test]
fn files_that_are_garbage_or_not_there_are_named() {
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let saved = Saved::new(Pooling::Mean, Precision::F32);
        for garbage in [
            &b""[..],
            b"{}",
            b"[]",
            b"null",
            b"\xff\xfe\x00",
            &[0xff; 64],
        ] {
            saved.write(name, garbage);
            let complaint = saved.complaint();
            assert!(complaint.contains(name), "{complaint}");
        }
        std::fs::remove_file(saved.folder().join(name)).expect("removed");
        assert!(saved.complaint().contains(name));
    }
}

/// The tokenizers library panics at these; the program must not.
#[test]
fn tokenisers_that_the_library_panics_at_are_refused() {
    let saved = Saved::new(Pooling::Mean, Precision::F32);
    let good = saved.read("tokenizer.json");
    let text = String::from_utf8(good.clone()).expect("UTF-8");
    let broken_decoder = text.replace("\"decoder\":{", "\"decoder\":{\0");
    assert_ne!(broken_decoder, text);
    let mut precompiled: Value = serde_json::from_slice(&good).expect("JSON");
    precompiled["normalizer"] = json!({
        "type": "Sequence",
        "normalizers": [{ "type": "Precompiled", "precompiled_charsmap": "AAAA" }],
    });
    for content in [broken_decoder, precompiled.to_string()] {
        saved.write("tokenizer.json", content.as_bytes());
        let complaint = saved.complaint();
        assert!(complaint.starts_with("tokenizer.json"), "{complaint}");
    }
}

#[test]
fn merges_are_never_left_out_by_chance() {
    let saved = Saved::new(Pooling::Mean, Precision::F32);
    let mut file: Value = serde_json::from_slice(&saved.read("tokenizer.json")).expect("JSON");
    file["pre_tokenizer"] = Value::Null;
    file["post_processor"] = Value::Null;
    file["model"] = json!({
        "type": "BPE", "dropout": 0.5,
        "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]],
    });
    file["added_tokens"] = json!([]);
    saved.write("tokenizer.json", file.to_string().as_bytes());
    let opened = saved.open().expect("a model");
    for _ in 0..20 {
        assert_eq!(opened.encode("abab").expect("ids"), [2, 2]);
    }
}

#[test]
fn a_file_cut_short_anywhere_is_an_error() {
    let saved = Saved::new(Pooling::Mean, Precision::F32);
    let whole = saved.read("model.safetensors");
    let files = ModelFiles::read(&saved.folder()).expect("files");
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    for length in (0..whole.len())
        .step_by(97)
        .chain([7, 8, 9, whole.len() - 1])
    {
        let cut = ModelFiles {
            weights: whole[..length].to_vec(),
            ..files.clone()
        };
        let options = options(Pooling::Mean, TrainableSet::Full);
        let answer = Classifier::load_without_head(&cut, options, &device);
        assert!(answer.is_err(), "cut to {length} of {}", whole.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn changed_bytes_are_an_error_or_a_classifier_but_no_panic(
        file in 0..3_usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let saved = Saved::new(Pooling::Mean, Precision::F32);
        let name = ["model.safetensors", "config.json", "tokenizer.json"][file];
        let mut bytes = saved.read(name);
        // The header says its own length in its first 8 bytes.
        let header = bytes.first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b)) as usize;
        let end = if file == 0 { 8 + header } else { bytes.len() };
        for (index, value) in flips {
            bytes[index.index(end)] = value;
        }
        saved.write(name, &bytes);
        if let Ok(opened) = saved.open() {
            for text in ["", "the film", "zebra \u{1F600}"] {
                if let Ok(ids) = opened.encode(text) {
                    prop_assert!(logits(&opened, &[ids], 1).is_ok());
                }
            }
        }
    }
}
