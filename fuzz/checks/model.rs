//! What must hold of any folder that is read as a model: Hugging Face's layouts, and PEFT adapters.

use std::fs;
use std::path::{Component, Path};

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use umbel_model::{
    Classifier, ClassifierOptions, DeviceChoice, Dropout, HeadScale, ModelFiles, Pooling,
    Precision, Task, TrainableSet, check_scores,
};

use crate::folder;

/// Names of files that are looked for.
#[allow(dead_code, reason = "not every test changes them")]
pub const NAMES: &[&str] = &[
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "adapter_config.json",
    "adapter_model.safetensors",
    "adapter_model.bin",
    "modules.json",
    "base/config.json",
    "base/model.safetensors",
    "spiece.model",
];

/// What a tokeniser is tried on.
const TEXTS: [&str; 6] = [
    "a good film",
    "",
    " \t Ünïcode ﬁlm 映画\u{301}\0 <mask>[MASK] ",
    "x",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "\u{1f469}\u{200d}\u{1f52c}",
];

/// Layers beyond which a network is built, but not run: a configuration may ask for any number of
/// passes through one layer.
const LAYERS: usize = 8;

/// Writes a folder, reads it as a base model and as a trained one, and saves and opens that again.
pub fn check(input: &[u8]) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let named = home.path().join("model");
    fs::create_dir(&named).expect("a temporary folder");
    for (name, content) in folder::read(input) {
        write(&named, &name, &content);
    }
    starts_a_run(&named);
    opens(&named, &home.path().join("again"));
}

/// A file directly in the folder, or in one below. The line break before the next file's name isn't
/// a weight's.
fn write(home: &Path, name: &str, content: &[u8]) {
    let path = Path::new(name);
    let mut parts = path.components();
    let right = parts.all(|part| matches!(part, Component::Normal(_)));
    if !right || path.components().count() > 2 || name.len() > 100 || name.contains('\0') {
        return;
    }
    let is_binary = name.ends_with(".safetensors") || name.ends_with(".bin");
    let content = match content {
        [content @ .., b'\n'] if is_binary => content,
        content => content,
    };
    let path = home.join(path);
    if let Some(folder) = path.parent() {
        // Nothing can be where a file is.
        let _ = fs::create_dir(folder);
    }
    let _ = fs::write(path, content);
}

fn starts_a_run(named: &Path) {
    let files = match ModelFiles::read(named) {
        Ok(files) => files,
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    let labels = ["0", "1"].map(str::to_owned).to_vec();
    let Ok(own) = files.pooling(&labels) else {
        return;
    };
    let pooling = own.unwrap_or(Pooling::Mean);
    let options = ClassifierOptions {
        task: Task::SingleLabel,
        pairs: false,
        labels,
        class_weights: None,
        pooling,
        max_tokens: 16.try_into().expect("a length"),
        dropout: Dropout::NONE,
        head_scale: HeadScale::ONE,
        train: TrainableSet::Full,
    };
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    match Classifier::load(&files, options, &mut rng, &device) {
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
        Ok(classifier) => {
            assert!(!classifier.reading().to_string().is_empty());
            cuts(&classifier);
        }
    }
}

/// Opens a trained model. What is saved of it is opened again.
fn opens(named: &Path, again: &Path) {
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    let classifier = match Classifier::open(named, &device) {
        Ok(classifier) => classifier,
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    cuts(&classifier);
    classifier
        .save(again, Precision::F32)
        .expect("it can be saved");
    let opened = Classifier::open(again, &device).expect("what was saved is opened");
    assert_eq!(opened.options(), classifier.options());
    assert_eq!(opened.spec(), classifier.spec());
}

/// Every token is one that the model has, and its scores are numbers or refused.
fn cuts(classifier: &Classifier) {
    let spec = classifier.spec();
    for text in TEXTS {
        match classifier.encode(text) {
            Err(refusal) => assert!(!refusal.to_string().is_empty()),
            Ok(ids) => {
                assert!((1..=classifier.most_tokens()).contains(&ids.len()));
                assert!(ids.iter().all(|id| (*id as usize) < spec.vocab_size));
            }
        }
        let _pair = classifier.tokens(text, Some("and"));
    }
    if spec.layers <= LAYERS && spec.max_tokens() <= 1 << 12 {
        let _scores = check_scores(classifier);
    }
}
