//! Published models against numbers that PyTorch computed from the same files.

use std::path::PathBuf;

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use serde::Deserialize;
use serde_json::{Map, Value};
use umbel_model::{
    Classifier, ClassifierOptions, Clipping, DeviceChoice, Dropout, Example, HeadScale, ModelFiles,
    PhysicalBatch, Pooling, Target, Task, TrainableSet, gradient_sum, last_hidden_state,
};

const MINILM: &str = "all-minilm-l6-v2";
const TINY: &str = "bert-tiny";

#[derive(Deserialize)]
struct Reference {
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    text: String,
    ids: Vec<u32>,
    last_hidden_state: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct GradientReference {
    examples: Vec<GradientExample>,
}

#[derive(Deserialize)]
struct GradientExample {
    text: String,
    ids: Vec<u32>,
    label: usize,
    loss: f64,
    grad_norm: f64,
    param_grad_norms: Map<String, Value>,
    first8: Map<String, Value>,
}

/// A model's folder, unless it isn't there.
fn folder(model: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/models")
        .join(model);
    if !folder.is_dir() {
        println!("skipped: {} is not there", folder.display());
        return None;
    }
    Some(folder)
}

fn read<T: serde::de::DeserializeOwned>(folder: &std::path::Path, name: &str) -> T {
    let json = std::fs::read(folder.join(name)).expect("the reference");
    serde_json::from_slice(&json).expect("the reference's format")
}

/// The model with three labels and mean pooling, all of it trained.
fn load(folder: &std::path::Path, device: &DeviceChoice) -> Result<Classifier, String> {
    let (device, name) = device.resolve().map_err(|e| e.to_string())?;
    println!("device: {name}");
    let files = ModelFiles::read(folder).expect("the model's files");
    let options = ClassifierOptions {
        task: Task::SingleLabel,
        pairs: false,
        labels: ["a", "b", "c"].map(str::to_owned).to_vec(),
        class_weights: None,
        pooling: Pooling::Mean,
        max_tokens: 512.try_into().expect("a length"),
        dropout: Dropout::NONE,
        head_scale: HeadScale::ONE,
        train: TrainableSet::Full,
    };
    let mut rng = ChaCha12Rng::seed_from_u64(0);
    Ok(Classifier::load(&files, options, &mut rng, &device).expect("a classifier"))
}

/// Compares token ids, and hidden states to `tolerance`, of the first `count` sentences.
fn compare_sentences(model: &str, device: &DeviceChoice, count: usize, tolerance: f32) {
    let Some(folder) = folder(model) else { return };
    let classifier = match load(&folder, device) {
        Ok(classifier) => classifier,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let reference: Reference = read(&folder, "reference.json");
    let mut worst = 0.0_f32;
    for sentence in reference.sentences.iter().take(count) {
        let ids = classifier.encode(&sentence.text).expect("token ids");
        assert_eq!(ids, sentence.ids, "{}", sentence.text);
        let states = last_hidden_state(&classifier, &ids).expect("hidden states");
        assert_eq!(states.len(), sentence.last_hidden_state.len());
        for (found, expected) in states.iter().zip(&sentence.last_hidden_state) {
            assert_eq!(found.len(), expected.len());
            for (x, y) in found.iter().zip(expected) {
                // `max` would swallow a NaN.
                assert!((x - y).abs() <= tolerance, "{}: {x}, {y}", sentence.text);
                worst = worst.max((x - y).abs());
            }
        }
    }
    println!("{model} on {device}: hidden states differ by {worst:e} at most");
}

#[test]
fn bert_tiny_has_the_tokens_and_hidden_states_of_pytorch_on_the_cpu() {
    compare_sentences(TINY, &DeviceChoice::Cpu, usize::MAX, 1e-4);
}

#[test]
fn minilm_has_the_tokens_and_hidden_states_of_pytorch_on_the_cpu() {
    compare_sentences(MINILM, &DeviceChoice::Cpu, usize::MAX, 1e-4);
}

#[test]
fn bert_tiny_has_the_hidden_states_of_pytorch_on_a_gpu() {
    compare_sentences(TINY, &DeviceChoice::Gpu(None), usize::MAX, 1e-3);
}

#[test]
fn minilm_has_the_hidden_states_of_pytorch_on_a_gpu() {
    compare_sentences(MINILM, &DeviceChoice::Gpu(None), 2, 1e-3);
}

#[test]
fn bert_tiny_has_the_losses_and_gradients_of_pytorch_on_the_cpu() {
    compare_gradients(TINY, &DeviceChoice::Cpu);
}

#[test]
fn minilm_has_the_losses_and_gradients_of_pytorch_on_the_cpu() {
    compare_gradients(MINILM, &DeviceChoice::Cpu);
}

#[test]
fn bert_tiny_has_the_losses_and_gradients_of_pytorch_on_a_gpu() {
    compare_gradients(TINY, &DeviceChoice::Gpu(None));
}

#[test]
fn minilm_has_the_losses_and_gradients_of_pytorch_on_a_gpu() {
    compare_gradients(MINILM, &DeviceChoice::Gpu(None));
}

fn compare_gradients(model: &str, device: &DeviceChoice) {
    let Some(folder) = folder(model) else { return };
    let mut classifier = match load(&folder, device) {
        Ok(classifier) => classifier,
        Err(reason) => return println!("skipped: {reason}"),
    };
    set_head(&mut classifier);
    let reference: GradientReference = read(&folder, "reference_grad.json");
    let mut examples = Vec::new();
    for example in &reference.examples {
        let tokens = classifier.encode(&example.text).expect("token ids");
        assert_eq!(tokens, example.ids);
        examples.push(Example {
            tokens: tokens.into(),
            target: Target::Class(example.label),
        });
    }
    let sum = |units: &[Vec<usize>]| {
        let mut rng = ChaCha12Rng::seed_from_u64(0);
        gradient_sum(
            &classifier,
            &examples,
            units,
            Clipping::Flat(f64::MAX),
            PhysicalBatch::of_rows(8),
            &mut rng,
        )
        .expect("gradients")
    };
    // All in one padded batch: norms by the ghost norm.
    let units: Vec<Vec<usize>> = (0..examples.len()).map(|row| vec![row]).collect();
    let norms = sum(&units).norms;
    let (mut norm_error, mut loss_error) = (0.0_f64, 0.0_f64);
    for ((example, unit), norm) in reference.examples.iter().zip(units).zip(norms) {
        let alone = sum(&[unit]);
        norm_error = norm_error.max(close(norm, example.grad_norm, 1e-3, 0.0, "norm"));
        loss_error = loss_error.max(close(alone.loss, example.loss, 1e-3, 0.0, "loss"));
        // The file's numbers are rounded to 6 and 8 digits after the point, and a tensor
        // whose gradient is zero but for rounding has noise in proportion to the whole.
        let noise = 1e-6 * example.grad_norm + 1e-6;
        for (name, expected) in &example.param_grad_norms {
            let found = norm_of(tensor(&classifier, &alone.sum, name).1);
            close(found, number(expected), 1e-3, noise, name);
        }
        for (name, expected) in &example.first8 {
            for (index, expected) in expected.as_array().expect("a list").iter().enumerate() {
                let found = in_file_order(&classifier, &alone.sum, name, index);
                close(found, number(expected), 1e-3, noise, name);
            }
        }
    }
    println!("{model} on {device}: relative errors: losses {loss_error:e}, norms {norm_error:e}");
}

/// The head of the reference: W[i][j] = sin(i H + j + 1) / 20 and b = (0.1, -0.1, 0).
fn set_head(classifier: &mut Classifier) {
    let hidden = classifier.spec().hidden_size;
    let mut parameters = classifier.parameters();
    for entry in classifier.layout().entries() {
        match entry.name.as_str() {
            "classifier.weight" => {
                for i in 0..3 {
                    for j in 0..hidden {
                        let angle = (i * hidden + j + 1) as f64;
                        parameters[entry.offset + j * 3 + i] = (0.05 * angle.sin()) as f32;
                    }
                }
            }
            "classifier.bias" => {
                parameters[entry.offset..entry.offset + 3].copy_from_slice(&[0.1, -0.1, 0.0]);
            }
            _ => {}
        }
    }
    classifier.set_parameters(&parameters).expect("the head");
}

/// A tensor's shape and its part of a flat vector.
fn tensor<'a>(classifier: &'a Classifier, flat: &'a [f64], name: &str) -> (&'a [usize], &'a [f64]) {
    let mut entries = classifier.layout().entries().iter();
    let entry = entries
        .find(|entry| entry.name == name)
        .unwrap_or_else(|| panic!("{name} is in the layout"));
    let count: usize = entry.shape.iter().product();
    (&entry.shape, &flat[entry.offset..entry.offset + count])
}

/// The number at `index` where linear weights are `[out, in]`.
fn in_file_order(classifier: &Classifier, flat: &[f64], name: &str, index: usize) -> f64 {
    match tensor(classifier, flat, name) {
        (&[input, output], values) if !name.contains("embeddings") => {
            values[index % input * output + index / input]
        }
        (_, values) => values[index],
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn norm_of(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Asserts closeness, and returns the relative error.
fn close(found: f64, expected: f64, relative: f64, absolute: f64, what: &str) -> f64 {
    let error = (found - expected).abs();
    assert!(
        error <= relative * expected.abs() + absolute,
        "{what}: {found}, and PyTorch has {expected}"
    );
    error / expected.abs()
}
