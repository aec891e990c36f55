//! `config.json`: read back as it was written, and refused with the key and what it should be.

use serde_json::{Value, json};
use umbel_model::families::{FAMILIES, TransformerSpec};
use umbel_model::{Classifier, DeviceChoice};

use crate::support::small;

#[test]
fn a_configuration_is_read_back_as_it_was_written() {
    for family in FAMILIES {
        let spec = small(*family);
        let json = Value::Object(family.config(&spec)).to_string();
        let again = TransformerSpec::from_json(json.as_bytes()).expect("a configuration");
        assert_eq!(again, spec);
    }
}

#[test]
fn another_model_is_refused_by_its_type_whatever_its_keys_are_called() {
    for (model_type, keys) in [
        ("opt", json!({"hidden_size": 768, "num_hidden_layers": 12})),
        ("t5", json!({"d_model": 512, "num_layers": 6})),
        ("vit", json!({"image_size": 224})),
        ("", json!({})),
    ] {
        let mut config = keys;
        config["model_type"] = json!(model_type);
        let error = TransformerSpec::from_json(config.to_string().as_bytes());
        let complaint = error.expect_err("refused").to_string();
        let expected = format!("config.json: model_type is `{model_type}`");
        assert!(complaint.starts_with(&expected), "{complaint}");
        for family in FAMILIES {
            assert!(complaint.contains(family.model_type()), "{complaint}");
        }
    }
}

/// Where all layers are one, no file's size would tell.
#[test]
fn more_layers_than_any_model_has_are_refused() {
    for family in FAMILIES {
        let spec = TransformerSpec {
            layers: 1 << 20,
            rotations: Vec::new(),
            ..small(*family)
        };
        let complaint = spec.checked().expect_err("refused").to_string();
        assert!(
            complaint.contains("num_hidden_layers is 1048576; it must be from 1 to 4096"),
            "{complaint}"
        );
    }
}

#[test]
fn a_folder_of_another_model_is_refused_by_its_type_before_its_labels_are_asked_for() {
    let home = tempfile::tempdir().expect("a folder");
    let write = |name: &str, content: &str| std::fs::write(home.path().join(name), content);
    write("config.json", r#"{"model_type": "t5", "d_model": 512}"#).expect("a file");
    write("tokenizer.json", "{}").expect("a file");
    write("model.safetensors", "").expect("a file");
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    let error = Classifier::open(home.path(), &device).expect_err("refused");
    assert!(error.to_string().contains("model_type is `t5`"), "{error}");
}

#[test]
fn a_key_of_the_wrong_kind_is_named_with_what_it_should_be() {
    for (key, value, expected) in [
        ("hidden_size", json!("16"), "a whole number"),
        ("hidden_size", json!(null), "there is no hidden_size"),
        ("layer_norm_eps", json!(true), "a number"),
        ("hidden_act", json!(1), "a text"),
        ("is_decoder", json!("no"), "true or false"),
        ("model_type", json!(["bert"]), "a text"),
        (
            "max_position_embeddings",
            json!(0),
            "max_position_embeddings",
        ),
    ] {
        for family in FAMILIES {
            let mut config = Value::Object(family.config(&small(*family)));
            // They have other words for most.
            let others = ["distilbert", "modernbert", "gpt2", "llama"];
            let others = others.contains(&family.model_type());
            if config.get(key).is_none() && others {
                continue;
            }
            config[key] = value.clone();
            let error = TransformerSpec::from_json(config.to_string().as_bytes());
            let complaint = error.expect_err("refused").to_string();
            assert!(complaint.contains(expected), "{complaint}");
            assert!(complaint.contains(key), "{complaint}");
        }
    }
}

#[test]
fn a_key_in_a_familys_own_words_is_named_as_it_is_written() {
    let family = FAMILIES
        .iter()
        .find(|family| family.model_type() == "distilbert");
    let family = family.expect("DistilBERT");
    for (key, value) in [
        ("dim", json!("16")),
        ("n_heads", json!(null)),
        ("hidden_dim", json!(-1)),
        ("activation", json!("mish")),
    ] {
        let mut config = Value::Object(family.config(&small(*family)));
        config[key] = value;
        let error = TransformerSpec::from_json(config.to_string().as_bytes());
        let complaint = error.expect_err("refused").to_string();
        assert!(
            complaint.contains(key) || complaint.contains("mish"),
            "{complaint}"
        );
    }
}

#[test]
fn a_configuration_without_a_type_is_of_the_family_of_its_class() {
    for family in FAMILIES {
        let spec = small(*family);
        let mut config = Value::Object(family.config(&spec));
        config["model_type"] = Value::Null;
        config["architectures"] = json!([format!("{}ForSequenceClassification", family.class())]);
        let read = TransformerSpec::from_json(config.to_string().as_bytes());
        assert_eq!(read.expect("a configuration").family, spec.family);
    }
    let config = json!({"architectures": ["T5ForConditionalGeneration"], "d_model": 512});
    let error = TransformerSpec::from_json(config.to_string().as_bytes());
    let complaint = error.expect_err("refused").to_string();
    assert!(
        complaint.contains("T5ForConditionalGeneration"),
        "{complaint}"
    );
}
