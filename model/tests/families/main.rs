//! What holds of every model family: its published numbers, and that its files are read back as
//! they were written.

mod configurations;
mod decoders;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use safetensors::tensor::SafeTensors;
use serde::Deserialize;
use serde_json::{Value, json};
use support::{lora, options, tiny_of};
use umbel_model::families::{FAMILIES, Family, TransformerSpec};
use umbel_model::metrics::Temperature;
use umbel_model::{
    Classifier, ClassifierOptions, Clipping, DeviceChoice, Example, GradientSum, ModelFiles,
    PhysicalBatch, Pooling, Precision, Target, TrainableSet, gradient_sum, logits,
};

/// What PyTorch computed of a checkpoint: see `examples/make_family_fixtures.py`.
#[derive(Deserialize)]
struct Expected {
    max_tokens: usize,
    texts: Vec<ExpectedText>,
}

#[derive(Deserialize)]
struct ExpectedText {
    text: String,
    ids: Vec<u32>,
    label: usize,
    logits: Vec<f32>,
    loss: f64,
    gradient_norm: Option<f64>,
    /// By trainable set.
    #[serde(default)]
    norms: BTreeMap<String, f64>,
}

/// The families with a checkpoint that Python made, and what it computed of them.
fn checkpoints() -> Vec<(PathBuf, Expected)> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/family_fixtures");
    let folders = FAMILIES.iter().map(|family| home.join(family.model_type()));
    let with_expected = |folder: PathBuf| {
        let json = std::fs::read(folder.join("expected.json")).ok()?;
        Some((folder, serde_json::from_slice(&json).expect("the format")))
    };
    folders.filter_map(with_expected).collect()
}

fn on_cpu(family: &dyn Family, options: ClassifierOptions) -> Classifier {
    tiny_of(family, &DeviceChoice::Cpu, options).expect("a classifier")
}

/// The classifier in a folder, all of it trained.
fn trainable(folder: &Path, max_tokens: usize, device: &DeviceChoice) -> Option<Classifier> {
    training(folder, max_tokens, device, TrainableSet::Full)
}

/// The same, of which a set is trained.
fn training(
    folder: &Path,
    max_tokens: usize,
    device: &DeviceChoice,
    set: TrainableSet,
) -> Option<Classifier> {
    let (device, _) = match device.resolve() {
        Ok(found) => found,
        Err(reason) => {
            println!("skipped: {reason}");
            return None;
        }
    };
    let files = ModelFiles::read(folder).expect("the files");
    let spec = TransformerSpec::from_json(&files.config).expect("a configuration");
    let options = ClassifierOptions {
        max_tokens: max_tokens.try_into().expect("a length"),
        ..options(spec.family.poolings()[0], set)
    };
    Some(Classifier::load_without_head(&files, options, &device).expect("a classifier"))
}

/// Compares token ids, logits to 1e-4, and losses and norms of gradients to as much of themselves.
fn compare_with_pytorch(device: &DeviceChoice) {
    for (folder, expected) in checkpoints() {
        let Some(model) = trainable(&folder, expected.max_tokens, device) else {
            return;
        };
        let examples: Vec<Example> = expected.texts.iter().map(example).collect();
        let tokens: Vec<Vec<u32>> = examples.iter().map(|row| row.tokens.to_vec()).collect();
        let scores = logits(&model, &tokens, 4).expect("logits");
        let sum = unclipped(&model, &examples);
        let [mut worst_logit, mut worst_norm] = [0.0_f64; 2];
        for ((row, scores), norm) in expected.texts.iter().zip(&scores).zip(&sum.norms) {
            assert_eq!(
                model.encode(&row.text).expect("ids"),
                row.ids,
                "{}",
                row.text
            );
            for (x, y) in scores.iter().zip(&row.logits) {
                assert!((x - y).abs() <= 1e-4, "{}: {x}, {y}", row.text);
                worst_logit = worst_logit.max(f64::from((x - y).abs()));
            }
            if let Some(expected) = row.gradient_norm {
                let error = (norm / expected - 1.0).abs();
                assert!(error <= 1e-4, "{}: {norm}, {expected}", row.text);
                worst_norm = worst_norm.max(error);
            }
        }
        let loss: f64 = expected.texts.iter().map(|row| row.loss).sum();
        assert!((sum.loss / loss - 1.0).abs() <= 1e-4);
        println!(
            "{:?} on {device}: logits differ by {worst_logit:e}, norms by {worst_norm:e} at most",
            model.spec().family
        );
    }
}

/// Gradients of single rows, measured but not clipped.
fn unclipped(model: &Classifier, examples: &[Example]) -> GradientSum {
    let units: Vec<Vec<usize>> = (0..examples.len()).map(|row| vec![row]).collect();
    let mut rng = ChaCha12Rng::seed_from_u64(0);
    let (measured, batch) = (Clipping::Flat(f64::MAX), PhysicalBatch::of_rows(8));
    let sum = gradient_sum(model, examples, &units, measured, batch, &mut rng);
    sum.expect("gradients")
}

/// Puts the numbers into adapters that Python's script has in its own, 0.2 sin(start + i).
fn adapted(model: &mut Classifier) {
    let mut parameters = model.parameters();
    for entry in model.layout().entries() {
        let start = match entry.name.rsplit_once(".lora_") {
            Some((_, "A.weight")) => 1.0,
            Some((_, "B.weight")) => 2.0,
            _ => continue,
        };
        let count: usize = entry.shape.iter().product();
        for (i, x) in parameters[entry.offset..][..count].iter_mut().enumerate() {
            *x = (0.2 * (start + i as f64).sin()) as f32;
        }
    }
    model.set_parameters(&parameters).expect("as many numbers");
}

/// Compares norms of gradients over the parameters of each trainable set.
fn compare_sets_with_pytorch(device: &DeviceChoice) {
    let sets = [
        ("full", TrainableSet::Full),
        ("encoder", TrainableSet::Encoder),
        ("bias", TrainableSet::Bias),
        ("head", TrainableSet::Head),
        ("lora", lora(&["query", "value"], false)),
    ];
    let mut compared = 0;
    for (folder, expected) in checkpoints() {
        let examples: Vec<Example> = expected.texts.iter().map(example).collect();
        if expected.texts.iter().all(|row| row.norms.is_empty()) {
            continue;
        }
        for (name, set) in sets {
            let Some(mut model) = training(&folder, expected.max_tokens, device, set) else {
                return;
            };
            adapted(&mut model);
            let sum = unclipped(&model, &examples);
            let mut worst = 0.0_f64;
            for (row, norm) in expected.texts.iter().zip(&sum.norms) {
                let Some(expected) = row.norms.get(name) else {
                    continue;
                };
                let error = (norm / expected - 1.0).abs();
                let family = model.spec().family;
                assert!(error <= 1e-4, "{family:?} {name}: {norm}, {expected}");
                worst = worst.max(error);
                compared += 1;
            }
            let family = model.spec().family;
            println!("{family:?} on {device}, {name}: norms differ by {worst:e} at most");
        }
    }
    assert!(compared > 0);
}

#[test]
fn norms_of_every_trainable_set_of_a_decoder_are_those_of_pytorch_on_the_cpu() {
    compare_sets_with_pytorch(&DeviceChoice::Cpu);
}

#[test]
fn norms_of_every_trainable_set_of_a_decoder_are_those_of_pytorch_on_a_gpu() {
    compare_sets_with_pytorch(&DeviceChoice::Gpu(None));
}

fn example(row: &ExpectedText) -> Example {
    Example {
        tokens: row.ids.clone().into(),
        target: Target::Class(row.label),
    }
}

#[test]
fn a_checkpoint_that_python_made_has_its_tokens_logits_and_gradients_on_the_cpu() {
    assert!(!checkpoints().is_empty());
    compare_with_pytorch(&DeviceChoice::Cpu);
}

#[test]
fn a_checkpoint_that_python_made_has_its_tokens_logits_and_gradients_on_a_gpu() {
    compare_with_pytorch(&DeviceChoice::Gpu(None));
}

#[test]
fn a_checkpoint_that_python_made_opens_as_the_classifier_that_it_is() {
    for (folder, expected) in checkpoints() {
        let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
        let opened = Classifier::open(&folder, &device).expect("a classifier");
        let row = &expected.texts[0];
        let scores = logits(&opened, std::slice::from_ref(&row.ids), 1).expect("logits");
        for (x, y) in scores[0].iter().zip(&row.logits) {
            assert!((x - y).abs() <= 1e-4, "{}: {x}, {y}", folder.display());
        }
    }
}

fn tokens() -> Vec<Vec<u32>> {
    let long = (0..32).map(|i| (i * 7) % 50).collect();
    vec![vec![2, 5, 5, 9, 3], vec![2, 3], long]
}

/// A model's folder, and what removes it when the test is over.
fn saved(model: &Classifier) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("model");
    model.save(&folder, Precision::F32).expect("saved");
    (home, folder)
}

#[test]
fn what_is_saved_opens_again_with_the_same_logits() {
    for family in FAMILIES {
        for pooling in family.poolings().iter().copied() {
            let model = on_cpu(*family, options(pooling, TrainableSet::Full));
            let (_home, folder) = saved(&model);
            let opened = Classifier::open(&folder, model.device()).expect("opened");
            assert_eq!(opened.spec(), model.spec());
            let [before, after] =
                [&model, &opened].map(|model| logits(model, &tokens(), 4).expect("logits"));
            assert_eq!(before, after, "{family:?} {pooling}");
        }
    }
}

#[test]
fn a_folder_names_the_classes_and_tensors_of_its_family() {
    for family in FAMILIES {
        for pooling in family.poolings().iter().copied() {
            let model = on_cpu(*family, options(pooling, TrainableSet::Full));
            let (_home, folder) = saved(&model);
            let config = std::fs::read(folder.join("config.json")).expect("a file");
            let config: Value = serde_json::from_slice(&config).expect("JSON");
            assert_eq!(config["model_type"], json!(family.model_type()));
            let (class, prefix) = (family.class(), family.prefix());
            let code = std::fs::read_to_string(folder.join("modeling_umbel.py"));
            match pooling {
                Pooling::Pooler | Pooling::Last => {
                    let expected = json!([format!("{class}ForSequenceClassification")]);
                    assert_eq!(config["architectures"], expected);
                    assert!(code.is_err(), "transformers has the class");
                }
                Pooling::Mean | Pooling::Cls => {
                    let code = code.expect("the code of the class");
                    assert!(code.contains(&format!("self.{prefix} = {class}Model(config")));
                }
            }
            let weights = std::fs::read(folder.join("model.safetensors")).expect("a file");
            let weights = SafeTensors::deserialize(&weights).expect("safetensors");
            for name in weights.names() {
                let encoder = name.starts_with(&format!("{prefix}."));
                let layer = name.rsplit_once('.').map_or(name, |(layer, _)| layer);
                let mut heads = family.head(pooling).iter();
                let of_head = heads.any(|head| layer.starts_with(head));
                assert!(encoder || of_head, "{name}");
            }
        }
    }
}

#[test]
fn a_saved_tokeniser_names_the_inputs_of_its_model() {
    for family in FAMILIES {
        let model = on_cpu(*family, options(Pooling::Mean, TrainableSet::Full));
        let (_home, folder) = saved(&model);
        let config = std::fs::read(folder.join("tokenizer_config.json")).expect("a file");
        let config: Value = serde_json::from_slice(&config).expect("JSON");
        let segments = model.spec().token_types.is_some_and(|kinds| kinds > 1);
        let expected = match segments {
            true => json!(["input_ids", "token_type_ids", "attention_mask"]),
            false => json!(["input_ids", "attention_mask"]),
        };
        assert_eq!(config["model_input_names"], expected, "{family:?}");
    }
}

#[test]
fn a_tokeniser_of_byte_pairs_reads_any_text_between_its_two_marks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/family_fixtures/roberta");
    let cpu = DeviceChoice::Cpu;
    let model = trainable(&folder, 40, &cpu).expect("a classifier");
    for text in ["", " ", "\u{1F600} \u{0}", "film\tfilm\r\n", "<s></s>"] {
        let ids = model.encode(text).expect("ids");
        assert_eq!((ids.first(), ids.last()), (Some(&0), Some(&2)), "{text}");
    }
    let long = "good ".repeat(1000);
    assert_eq!(model.encode(&long).expect("ids").len(), 40);
}

#[test]
fn roberta_has_as_many_tokens_as_positions_after_its_padding() {
    let read = |padding: Value| {
        let config = json!({
            "model_type": "roberta", "vocab_size": 50, "hidden_size": 16,
            "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24,
            "max_position_embeddings": 514, "pad_token_id": padding,
        });
        TransformerSpec::from_json(config.to_string().as_bytes())
    };
    assert_eq!(
        read(json!(null)).expect("a configuration").max_tokens(),
        512
    );
    assert_eq!(read(json!(0)).expect("a configuration").max_tokens(), 513);
    for padding in [json!(513), json!(u32::MAX), json!(u64::MAX), json!(-1)] {
        let complaint = read(padding).expect_err("refused").to_string();
        assert!(complaint.contains("pad_token_id"), "{complaint}");
    }
}

/// Where the pooling is another, the head is another layer, and a trained one can't be it.
#[test]
fn a_roberta_head_is_read_with_the_pooling_that_it_was_trained_with() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/family_fixtures/roberta");
    let files = ModelFiles::read(&folder).expect("the files");
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    for (pooling, has_head) in [(Pooling::Pooler, true), (Pooling::Mean, false)] {
        let options = ClassifierOptions {
            max_tokens: 40.try_into().expect("a length"),
            ..options(pooling, TrainableSet::Head)
        };
        let model = Classifier::load_without_head(&files, options, &device).expect("a model");
        let trained = model.parameters().iter().any(|x| *x != 0.0);
        assert_eq!(trained, has_head, "{pooling}");
    }
}

#[test]
fn a_temperature_divides_every_familys_scores_by_itself() {
    let temperature = Temperature::new(4.0).expect("within its range");
    for family in FAMILIES {
        for pooling in family.poolings().iter().copied() {
            let model = on_cpu(*family, options(pooling, TrainableSet::Full));
            let mut divided = model.clone();
            divided.divide_scores(temperature);
            let [before, after] =
                [&model, &divided].map(|model| logits(model, &tokens(), 4).expect("logits"));
            for (before, after) in before.concat().iter().zip(after.concat()) {
                let distance = (before / 4.0 - after).abs();
                assert!(distance <= 1e-6, "{family:?} {pooling}: {before}, {after}");
            }
        }
    }
}
