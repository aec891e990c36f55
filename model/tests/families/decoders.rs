//! What decoders have that encoders don't, and what of them is refused by its name.

use std::path::Path;

use serde_json::{Value, json};
use umbel_model::families::{FAMILIES, Family, TransformerSpec};
use umbel_model::{
    Classifier, ClassifierOptions, DeviceChoice, ModelFiles, Pooling, Precision, Task,
    TrainableSet, logits,
};
use umbel_proto::task::{Offset, Scale, ValueScale};

use crate::support::{lora, options, small, tiny_of, with_words};

fn family(model_type: &str) -> &'static dyn Family {
    let mut families = FAMILIES.iter().copied();
    let found = families.find(|family| family.model_type() == model_type);
    found.expect("a family")
}

fn decoders() -> [&'static dyn Family; 2] {
    ["gpt2", "llama"].map(family)
}

fn tiny(family: &dyn Family, options: ClassifierOptions) -> Result<Classifier, String> {
    tiny_of(family, &DeviceChoice::Cpu, options)
}

fn read(family: &dyn Family, key: &str, value: Value) -> Result<TransformerSpec, String> {
    let mut config = Value::Object(family.config(&small(family)));
    config[key] = value;
    TransformerSpec::from_json(config.to_string().as_bytes()).map_err(|e| e.to_string())
}

#[test]
fn what_would_make_another_model_is_refused_by_its_key() {
    let linear = json!({"rope_type": "linear", "factor": 2.0});
    let first = json!({"type": "dynamic", "factor": 2.0});
    let part = json!({"rope_type": "default", "partial_rotary_factor": 0.5});
    for (model_type, key, value, word) in [
        (
            "gpt2",
            "add_cross_attention",
            json!(true),
            "only a decoder by itself",
        ),
        (
            "gpt2",
            "scale_attn_by_inverse_layer_idx",
            json!(true),
            "in all layers",
        ),
        ("gpt2", "scale_attn_weights", json!(false), "a head's width"),
        ("gpt2", "activation_function", json!("mish"), "mish"),
        ("gpt2", "n_head", json!(3), "doesn't divide"),
        ("llama", "attention_bias", json!(true), "biases"),
        ("llama", "mlp_bias", json!(true), "biases"),
        ("llama", "sliding_window", json!(4096), "all tokens before"),
        (
            "llama",
            "head_dim",
            json!(16),
            "hidden_size over num_attention_heads",
        ),
        ("llama", "rope_scaling", linear.clone(), "`linear`"),
        ("llama", "rope_scaling", first, "`dynamic`"),
        ("llama", "rope_parameters", linear, "`linear`"),
        ("llama", "rope_parameters", part, "all coordinates"),
        ("llama", "rope_theta", json!(0.5), "above 1"),
        ("llama", "num_key_value_heads", json!(3), "doesn't divide"),
        ("llama", "pad_token_id", json!(u64::MAX), "vocabulary"),
        (
            "llama",
            "quantization_config",
            json!({"bits": 4}),
            "quantised",
        ),
    ] {
        let mut config = Value::Object(family(model_type).config(&small(family(model_type))));
        // Today's key counts more.
        if key == "rope_theta" {
            config["rope_parameters"] = Value::Null;
        }
        config[key] = value;
        let error = TransformerSpec::from_json(config.to_string().as_bytes());
        let complaint = error.expect_err("refused").to_string();
        let named = complaint.contains(key) || key == "activation_function" || key == "n_head";
        assert!(named && complaint.contains(word), "{key}: {complaint}");
    }
}

#[test]
fn keys_that_change_nothing_here_are_read_over() {
    for (model_type, key, value) in [
        ("gpt2", "reorder_and_upcast_attn", json!(true)),
        ("gpt2", "tie_word_embeddings", json!(true)),
        ("llama", "tie_word_embeddings", json!(true)),
        ("llama", "rope_scaling", Value::Null),
        ("llama", "rope_scaling", json!({"rope_type": "default"})),
        ("llama", "head_dim", json!(4)),
        ("llama", "sliding_window", Value::Null),
    ] {
        let spec = read(family(model_type), key, value);
        assert_eq!(spec.expect(key), small(family(model_type)), "{key}");
    }
    let theta = read(
        family("llama"),
        "rope_parameters",
        json!({"rope_theta": 5e5}),
    );
    assert_eq!(theta.expect("a spec").rotations[0].theta, 5e5);
}

#[test]
fn a_decoder_with_another_way_of_attending_is_refused_with_the_reason() {
    for (model_type, word) in [
        ("mistral", "sliding window"),
        ("qwen2", "biases"),
        ("opt", "decoder"),
    ] {
        let config = json!({"model_type": model_type}).to_string();
        let complaint = TransformerSpec::from_json(config.as_bytes()).expect_err("refused");
        assert!(complaint.to_string().contains(word), "{complaint}");
    }
}

#[test]
fn a_pooling_that_reads_what_has_not_seen_the_text_is_refused_with_those_that_do() {
    for (family, poolings, others) in [
        (
            family("gpt2"),
            [Pooling::Cls, Pooling::Pooler],
            "last or mean",
        ),
        (
            family("llama"),
            [Pooling::Cls, Pooling::Pooler],
            "last or mean",
        ),
        (
            family("bert"),
            [Pooling::Last, Pooling::Last],
            "pooler or mean or cls",
        ),
    ] {
        for pooling in poolings {
            let refused = tiny(family, options(pooling, TrainableSet::Head));
            let complaint = refused.expect_err("refused");
            for word in [pooling.to_string().as_str(), family.model_type(), others] {
                assert!(complaint.contains(word), "{complaint}");
            }
        }
    }
}

#[test]
fn values_that_begin_elsewhere_than_at_zero_need_a_bias() {
    let task = |offset: f64| {
        let offset: Offset = offset.try_into().expect("an offset");
        let scale: Scale = 2.0.try_into().expect("a scale");
        Task::Regression(ValueScale { offset, scale })
    };
    let with = |offset: f64, pooling| ClassifierOptions {
        task: task(offset),
        labels: vec!["degrees".into()],
        ..options(pooling, TrainableSet::Head)
    };
    for family in decoders() {
        let complaint = tiny(family, with(30.0, Pooling::Last)).expect_err("refused");
        assert!(
            complaint.contains("30") && complaint.contains("`mean`"),
            "{complaint}"
        );
        assert!(tiny(family, with(0.0, Pooling::Last)).is_ok());
        assert!(tiny(family, with(30.0, Pooling::Mean)).is_ok());
    }
}

#[test]
fn a_token_says_nothing_of_those_behind_it() {
    for family in decoders() {
        let options = options(Pooling::Last, TrainableSet::Head);
        let model = tiny(family, options).expect("a classifier");
        let score = |row: &[u32]| logits(&model, &[row.to_vec()], 1).expect("logits");
        let padding = model.spec().padding.expect("a padding token");
        let whole = score(&[5, 6, 7]);
        // Padding at the end is passed over, wherever it is from.
        assert_eq!(whole, score(&[5, 6, 7, padding, padding]), "{family:?}");
        assert_ne!(whole, score(&[5, 6, 7, 8]), "{family:?}");
        assert_ne!(whole, score(&[5, padding, 6, 7]), "{family:?}");
        assert_eq!(score(&[padding]), score(&[padding, padding]), "{family:?}");
    }
}

#[test]
fn an_adapter_on_a_decoder_opens_here_again_with_the_same_logits() {
    let home = tempfile::tempdir().expect("a folder");
    for family in decoders() {
        let [base, adapter] = ["base", "adapter"].map(|name| home.path().join(name));
        let pretrained = tiny(family, options(Pooling::Last, TrainableSet::Full));
        pretrained
            .expect("a model")
            .save(&base, Precision::F32)
            .expect("saved");
        let files = ModelFiles::read(&base).expect("the files");
        let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
        let options = options(Pooling::Last, with_words(lora(&["all"], false)));
        let mut trained = Classifier::load_without_head(&files, options, &device).expect("a model");
        let before = logits(&trained, &rows(), 4).expect("logits");
        let moved = trained.parameters().into_iter().enumerate();
        let moved: Vec<f32> = moved.map(|(i, x)| x + 0.2 * (i as f32).sin()).collect();
        trained.set_parameters(&moved).expect("parameters");
        let base = base.to_str().expect("UTF-8");
        trained.save_adapter(&adapter, base).expect("saved");
        let opened = Classifier::open(&adapter, &device).expect("merged");
        let [ours, theirs] =
            [&trained, &opened].map(|model| logits(model, &rows(), 4).expect("logits").concat());
        for (x, y) in ours.iter().zip(&theirs) {
            assert!((x - y).abs() <= 1e-5, "{family:?}: {x}, {y}");
        }
        assert_ne!(before.concat(), ours, "{family:?}");
        std::fs::remove_dir_all(base).expect("removed");
        std::fs::remove_dir_all(&adapter).expect("removed");
    }
}

fn rows() -> Vec<Vec<u32>> {
    vec![
        vec![2, 5, 5, 9, 1],
        vec![2, 7],
        (0..32).map(|i| (i * 7) % 50).collect(),
    ]
}

#[test]
fn a_decoder_reads_the_last_token_unless_another_pooling_is_named() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/family_fixtures");
    let other = ["no".to_owned(), "yes".to_owned()];
    let of = |model_type: &str| {
        let files = ModelFiles::read(&home.join(model_type)).expect("the files");
        files.pooling(&other).expect("a configuration")
    };
    assert_eq!(of("gpt2"), Some(Pooling::Last));
    assert_eq!(of("llama"), Some(Pooling::Last));
    assert_eq!(of("bert"), None);
}

/// Whatever would be named could end a text, too, and then another token would be read in Python.
#[test]
fn a_folder_without_a_padding_token_is_saved_without_one() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/family_fixtures");
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    let save = tempfile::tempdir().expect("a folder");
    let saved = |model_type: &str| {
        let model = Classifier::open(&home.join(model_type), &device).expect("a classifier");
        let folder = save.path().join(model_type);
        model.save(&folder, Precision::F32).expect("saved");
        let json = |file: &str| -> Value {
            let text = std::fs::read(folder.join(file)).expect("a file");
            serde_json::from_slice(&text).expect("JSON")
        };
        [json("config.json"), json("tokenizer_config.json")]
    };
    let [config, tokenizer] = saved("gpt2");
    assert_eq!(config["pad_token_id"], Value::Null);
    assert_eq!(tokenizer["pad_token"], Value::Null);
    assert_eq!(tokenizer["eos_token"], "<|endoftext|>");
    let [config, tokenizer] = saved("llama");
    assert_eq!(config["pad_token_id"], 2);
    assert_eq!(tokenizer["pad_token"], "</s>");
    assert_eq!(tokenizer["padding_side"], "right");
}
