//! Folders in Hugging Face layout: what is saved opens again, other dialects load, and
//! damage is an error.

mod damaged;
mod heads;
mod layouts;
mod other_files;
#[path = "../support/mod.rs"]
mod support;
mod tasks;

use std::path::{Path, PathBuf};

use half::bf16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde_json::Value;
use support::{options, tiny};
use umbel_model::{Classifier, DeviceChoice, ModelError, Pooling, Precision, TrainableSet, logits};

/// A classifier, and the folder that it was saved in.
struct Saved {
    classifier: Classifier,
    home: tempfile::TempDir,
}

/// A tensor in `model.safetensors`.
struct Stored {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Saved {
    fn new(pooling: Pooling, precision: Precision) -> Self {
        let classifier = tiny(options(pooling, TrainableSet::Full));
        let home = tempfile::tempdir().expect("a folder");
        let saved = Self { classifier, home };
        saved
            .classifier
            .save(&saved.folder(), precision)
            .expect("saved");
        saved
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("classifier")
    }

    fn open(&self) -> Result<Classifier, ModelError> {
        open(&self.folder())
    }

    fn complaint(&self) -> String {
        self.open().expect_err("an error").to_string()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder().join(name)).expect("a file")
    }

    fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.folder().join(name), content).expect("a file");
    }

    /// Changes the tensors of `model.safetensors`.
    fn change_tensors(&self, change: impl FnOnce(&mut Vec<Stored>)) {
        let bytes = self.read("model.safetensors");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let mut tensors = file
            .iter()
            .map(|(name, view)| Stored {
                name: name.to_owned(),
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                data: view.data().to_vec(),
            })
            .collect();
        change(&mut tensors);
        let views = tensors.iter().map(|t| {
            let view = TensorView::new(t.dtype, t.shape.clone(), &t.data).expect("a tensor");
            (t.name.as_str(), view)
        });
        let bytes = serialize(views.collect::<Vec<_>>(), None).expect("safetensors");
        self.write("model.safetensors", &bytes);
    }

    /// Sets a key of `config.json`.
    fn set(&self, key: &str, value: Value) {
        let mut config: Value =
            serde_json::from_slice(&self.read("config.json")).expect("config.json");
        config[key] = value;
        self.write("config.json", config.to_string().as_bytes());
    }

    /// The largest difference between the saved and the opened classifier's logits.
    fn difference(&self) -> f32 {
        let opened = self.open().expect("a classifier");
        let (before, after) = (scores(&self.classifier), scores(&opened));
        assert_eq!(before.len(), after.len());
        let pairs = before.iter().flatten().zip(after.iter().flatten());
        pairs.map(|(x, y)| (x - y).abs()).fold(0.0, |worst, d| {
            assert!(!d.is_nan());
            d.max(worst)
        })
    }
}

fn open(folder: &Path) -> Result<Classifier, ModelError> {
    Classifier::open(folder, &DeviceChoice::Cpu.resolve()?.0)
}

fn scores(classifier: &Classifier) -> Vec<Vec<f32>> {
    let texts = ["the film was good", "bad", "a cab faced the bad film"];
    let rows: Vec<Vec<u32>> = texts
        .iter()
        .map(|text| classifier.encode(text).expect("token ids"))
        .collect();
    logits(classifier, &rows, 8).expect("logits")
}

#[test]
fn a_saved_classifier_opens_with_the_same_logits_and_labels() {
    for pooling in [Pooling::Cls, Pooling::Mean, Pooling::Pooler] {
        let saved = Saved::new(pooling, Precision::F32);
        assert_eq!(saved.difference(), 0.0, "{pooling}");
        let opened = saved.open().expect("a classifier");
        assert_eq!(opened.labels(), saved.classifier.labels());
        assert_eq!(opened.options().pooling, pooling);
    }
}

#[test]
fn half_precision_keeps_the_logits_to_a_hundredth() {
    let worst = Saved::new(Pooling::Mean, Precision::F16).difference();
    println!("F16: logits differ by {worst:e} at most");
    assert!(worst > 0.0 && worst < 1e-2, "{worst}");
}

#[test]
fn saving_again_replaces_the_folder_whatever_its_name() {
    let saved = Saved::new(Pooling::Mean, Precision::F32);
    for name in ["classifier", "v1.0", "v1.1", "classifier.draft"] {
        let folder = saved.home.path().join(name);
        for precision in [Precision::F16, Precision::F32] {
            saved.classifier.save(&folder, precision).expect("saved");
        }
        assert_eq!(
            scores(&open(&folder).expect("opened")),
            scores(&saved.classifier)
        );
    }
    let left = std::fs::read_dir(saved.home.path())
        .expect("a folder")
        .count();
    assert_eq!(left, 4, "no draft is left behind");
}

#[test]
fn the_dialects_of_other_checkpoints_load() {
    type Change = fn(&mut Vec<Stored>);
    let dialects: [(&str, Change, f32); 5] = [
        (
            "no prefix",
            |tensors| {
                for tensor in tensors {
                    tensor.name = tensor.name.trim_start_matches("bert.").to_owned();
                }
            },
            0.0,
        ),
        (
            "a prefix",
            |tensors| {
                assert!(tensors.iter().any(|t| t.name.starts_with("bert.encoder")));
            },
            0.0,
        ),
        (
            "gamma and beta",
            |tensors| {
                for tensor in tensors.iter_mut().filter(|t| t.name.contains("LayerNorm")) {
                    let name = tensor.name.replace(".weight", ".gamma");
                    tensor.name = name.replace(".bias", ".beta");
                }
            },
            0.0,
        ),
        (
            "a buffer of position ids",
            |tensors| {
                tensors.push(Stored {
                    name: "bert.embeddings.position_ids".into(),
                    dtype: Dtype::I64,
                    shape: vec![1, 32],
                    data: (0..32_i64).flat_map(i64::to_le_bytes).collect(),
                });
            },
            0.0,
        ),
        (
            "BF16",
            |tensors| {
                for tensor in tensors {
                    let numbers = tensor.data.as_chunks::<4>().0.iter();
                    let values = numbers.map(|b| bf16::from_f32(f32::from_le_bytes(*b)));
                    tensor.data = values.flat_map(|v| v.to_le_bytes()).collect();
                    tensor.dtype = Dtype::BF16;
                }
            },
            5e-2,
        ),
    ];
    for (dialect, change, tolerance) in dialects {
        let saved = Saved::new(Pooling::Pooler, Precision::F32);
        saved.change_tensors(change);
        let worst = saved.difference();
        println!("{dialect}: logits differ by {worst:e} at most");
        assert!(worst <= tolerance, "{dialect}: {worst}");
    }
}
