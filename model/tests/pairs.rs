//! Pairs of texts with any number of labels: tokens, scores and gradients as PyTorch and transformers have
//! them (`examples/make_pair_fixtures.py`).

use std::collections::BTreeMap;
use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use serde::Deserialize;
use umbel_model::{
    Classifier, ClassifierOptions, Clipping, DeviceChoice, Example, ModelFiles, PhysicalBatch,
    Pooling, Target, Task, TokenRow, Tokens, TrainableSet, gradient_sum, logits,
};

mod support;

#[derive(Deserialize)]
struct Expected {
    max_tokens: usize,
    families: BTreeMap<String, Vec<Pair>>,
}

#[derive(Deserialize)]
struct Pair {
    text: String,
    second: String,
    ids: Vec<u32>,
    segments: Vec<u32>,
    whole: usize,
    labels: Vec<usize>,
    logits: Vec<f32>,
    loss: f64,
    gradient_norm: f64,
}

fn expected() -> Expected {
    serde_json::from_str(include_str!("fixtures/pairs.json")).expect("a fixture")
}

fn classifier(
    family: &str,
    max_tokens: usize,
    device: &DeviceChoice,
) -> Result<Classifier, String> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/family_fixtures");
    let files = ModelFiles::read(&home.join(family)).expect("the files");
    let options = ClassifierOptions {
        task: Task::MultiLabel,
        pairs: true,
        max_tokens: max_tokens.try_into().expect("a length"),
        ..support::options(Pooling::Pooler, TrainableSet::Full)
    };
    let (device, _) = device.resolve().map_err(|e| e.to_string())?;
    // The head was saved for one label a text, which says nothing of its numbers.
    let config = String::from_utf8(files.config.clone()).expect("UTF-8");
    let mut config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    config["problem_type"] = "multi_label_classification".into();
    let files = ModelFiles {
        config: config.to_string().into_bytes(),
        ..files
    };
    Ok(Classifier::load_without_head(&files, options, &device).expect("a classifier"))
}

fn compare(device: &DeviceChoice) {
    let expected = expected();
    for (family, pairs) in &expected.families {
        let model = match classifier(family, expected.max_tokens, device) {
            Ok(model) => model,
            Err(reason) => return println!("skipped: {reason}"),
        };
        let mut examples = Vec::new();
        for pair in pairs {
            let (tokens, whole) = model
                .tokens(&pair.text, Some(&pair.second))
                .expect("tokens");
            assert_eq!(
                (&tokens[..], whole),
                (&pair.ids[..], pair.whole),
                "{family}: {}",
                pair.text
            );
            let kinds: Vec<u32> = TokenRow::from(&tokens).types().collect();
            match model.spec().token_types {
                Some(kinds_there) if kinds_there > 1 => {
                    assert_eq!(kinds, pair.segments, "{family}")
                }
                _ => assert!(kinds.iter().all(|kind| *kind == 0), "{family}"),
            }
            examples.push(Example {
                tokens,
                target: Target::labels(pair.labels.clone()),
            });
        }
        let tokens: Vec<Tokens> = examples
            .iter()
            .map(|example| example.tokens.clone())
            .collect();
        let scores = logits(&model, &tokens, 3).expect("scores");
        let units: Vec<Vec<usize>> = (0..examples.len()).map(|row| vec![row]).collect();
        let sum = gradient_sum(
            &model,
            &examples,
            &units,
            Clipping::Flat(f64::MAX),
            PhysicalBatch::of_rows(3),
            &mut ChaCha12Rng::seed_from_u64(0),
        );
        let sum = sum.expect("gradients");
        for ((pair, scores), norm) in pairs.iter().zip(&scores).zip(&sum.norms) {
            for (x, y) in scores.iter().zip(&pair.logits) {
                assert!((x - y).abs() <= 1e-4, "{family}, {}: {x}, {y}", pair.text);
            }
            let error = (norm / pair.gradient_norm - 1.0).abs();
            assert!(
                error <= 1e-4,
                "{family}, {}: {norm}, {}",
                pair.text,
                pair.gradient_norm
            );
        }
        let loss: f64 = pairs.iter().map(|pair| pair.loss).sum();
        assert!(
            (sum.loss / loss - 1.0).abs() <= 1e-4,
            "{family}: {}",
            sum.loss
        );
    }
}

#[test]
fn pairs_are_what_pytorch_makes_of_them_on_the_cpu() {
    compare(&DeviceChoice::Cpu);
}

#[test]
fn pairs_are_what_pytorch_makes_of_them_on_a_gpu() {
    compare(&DeviceChoice::Gpu(None));
}

/// Which text a word stands in counts for models with segments, and for no others.
#[test]
fn the_second_text_is_another_segment() {
    let model = classifier("bert", 12, &DeviceChoice::Cpu).expect("the CPU");
    let (tokens, _) = model.tokens("good", Some("film")).expect("tokens");
    let alone = Tokens::from(tokens.to_vec());
    let scores = logits(&model, &[tokens, alone], 2).expect("scores");
    assert_ne!(scores[0], scores[1]);
}

#[test]
fn a_limit_without_room_for_a_pair_is_refused() {
    let model = classifier("bert", 3, &DeviceChoice::Cpu).expect("the CPU");
    assert!(model.tokens("good", None).is_ok());
    let refused = model
        .tokens("good", Some("film"))
        .expect_err("no room")
        .to_string();
    assert!(
        refused.contains("adds 3 special tokens to each pair"),
        "{refused}"
    );
}
