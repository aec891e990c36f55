//! A text classifier: network, tokeniser and labels on one device.

use std::path::Path;

use burn::tensor::Device;
use rand::{Rng, RngExt};
use serde_json::Value;
use umbel_proto::classifier::{ClassifierOptions, Dropout, MaxTokens, TrainableSet};

use crate::bert::{Batch, Network, Weight};
use crate::checkpoint::{
    ModelFiles, NamedWeight, Precision, SavedModel, Saving, load_weights, missing, write_folder,
};
use crate::compute_precision::ComputePrecision;
use crate::error::ModelError;
use crate::families::TransformerSpec;
use crate::gradient::isolation::Isolation;
use crate::host::HostCache;
use crate::parameters::{ParameterLayout, Part, Role, trains};
use crate::tokenizer::Tokenizer;

/// A classifier.
#[derive(Clone, Debug)]
pub struct Classifier {
    network: Network,
    tokenizer: Tokenizer,
    options: ClassifierOptions,
    layout: ParameterLayout,
    device: Device,
    precision: ComputePrecision,
    host: HostCache,
    isolation: Isolation,
    /// `config.json` and `tokenizer.json` as they were read, to be saved again.
    config_json: Vec<u8>,
    tokenizer_json: Vec<u8>,
}

impl Classifier {
    /// Builds a classifier from a model's files. A classifier or pooler that the files lack
    /// is drawn from `rng` (normal, deviation 0.02, as BERT's own).
    ///
    /// # Errors
    /// [`ModelError`] naming the file or tensor.
    pub fn load<R: Rng>(
        files: &ModelFiles,
        options: ClassifierOptions,
        rng: &mut R,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let spec = TransformerSpec::from_json(&files.config)?;
        let (mut model, found) = Self::assemble(&spec, files, options, device)?;
        model.network.visit(&mut |name, (part, _), weight| {
            // A layer of which a part is missing is drawn anew as a whole.
            let layer = name.split('.').next().unwrap_or(name);
            let fresh = part == Part::Head && !found.has(layer);
            if fresh {
                initialise(weight, rng, device);
            }
            Ok::<(), ModelError>(())
        })?;
        Ok(model)
    }

    /// Builds a classifier whose head is zero where the files have none, for someone who is
    /// about to set all its parameters.
    ///
    /// # Errors
    /// [`ModelError`] naming the file or tensor.
    pub fn load_without_head(
        files: &ModelFiles,
        options: ClassifierOptions,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let spec = TransformerSpec::from_json(&files.config)?;
        Ok(Self::assemble(&spec, files, options, device)?.0)
    }

    /// Opens a folder that [`Classifier::save`] wrote, or any other with a model for sequence
    /// classification of a family that is supported.
    ///
    /// # Errors
    /// [`ModelError`] naming the file or tensor; also where there is no trained classifier.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let files = ModelFiles::read(folder)?;
        let spec = TransformerSpec::from_json(&files.config)?;
        let saved = SavedModel::from_json(&files.config)?;
        let options = ClassifierOptions {
            labels: saved.labels,
            pooling: saved.pooling,
            max_tokens: MaxTokens::try_from(saved.max_tokens)
                .map_err(|e| ModelError::Config(e.to_string()))?,
            dropout: Dropout::NONE,
            train: TrainableSet::Head,
        };
        let (model, found) = Self::assemble(&spec, &files, options, device)?;
        if let Some(name) = found.missing() {
            return Err(missing(&spec, name, model.options.pooling));
        }
        Ok(model)
    }

    /// A classifier of random weights, for tests and benchmarks.
    ///
    /// # Errors
    /// [`ModelError::Config`] for sizes that can't be; [`ModelError::Tokenizer`] where
    /// `tokenizer_json` is none.
    pub fn random<R: Rng>(
        spec: &TransformerSpec,
        tokenizer_json: &[u8],
        options: ClassifierOptions,
        rng: &mut R,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let spec = &spec.clone().checked()?;
        let tokenizer =
            Tokenizer::from_json(tokenizer_json, options.max_tokens.get(), spec.vocab_size)?;
        let mut network = Network::zeros(spec, options.pooling, options.labels.len(), device);
        if let Some(lora) = options.train.lora() {
            network.adapt(&lora);
        }
        let config_json = Value::Object(spec.family.config(spec)).to_string();
        let mut model = Self::of_parts(network, tokenizer, options, device);
        model.config_json = config_json.into_bytes();
        model.tokenizer_json = tokenizer_json.to_vec();
        model.network.visit(&mut |name, _, weight| {
            // Scales near 1 and everything else near 0, so that no gradient vanishes.
            let centre = if name.ends_with("LayerNorm.weight") {
                1.0
            } else {
                0.0
            };
            let count = weight.shape().iter().product();
            let values = (0..count).map(|_| centre + 0.1 * normal(rng)).collect();
            weight.put(values, device);
            Ok::<(), ModelError>(())
        })?;
        Ok(model)
    }

    fn assemble(
        spec: &TransformerSpec,
        files: &ModelFiles,
        options: ClassifierOptions,
        device: &Device,
    ) -> Result<(Self, crate::checkpoint::HeadFound), ModelError> {
        // Before memory is asked for: a size with a digit too many would end the program.
        if spec.encoder_parameters() > files.weights.len() as u128 {
            return Err(ModelError::Config(format!(
                "its sizes ask for {} parameters, more than the {} bytes of model.safetensors \
                 can hold; the two files don't belong together",
                spec.encoder_parameters(),
                files.weights.len()
            )));
        }
        let max_tokens = options.max_tokens.get().min(spec.max_tokens());
        let tokenizer = Tokenizer::from_json(&files.tokenizer, max_tokens, spec.vocab_size)?;
        let mut network = Network::zeros(spec, options.pooling, options.labels.len(), device);
        let found = load_weights(&mut network, &files.weights, device)?;
        if let Some(lora) = options.train.lora() {
            if lora.rank.get() > spec.hidden_size {
                return Err(ModelError::Lora(format!(
                    "rank is {}, more than this model's hidden size {}; choose a smaller one",
                    lora.rank.get(),
                    spec.hidden_size
                )));
            }
            network.adapt(&lora);
        }
        let mut model = Self::of_parts(network, tokenizer, options, device);
        model.config_json.clone_from(&files.config);
        model.tokenizer_json.clone_from(&files.tokenizer);
        Ok((model, found))
    }

    fn of_parts(
        mut network: Network,
        tokenizer: Tokenizer,
        options: ClassifierOptions,
        device: &Device,
    ) -> Self {
        let mut trained = Vec::new();
        let Ok(()) = network.visit(&mut |name, (part, role), weight| {
            if trains(options.train, part, role) {
                trained.push((name.to_owned(), weight.shape()));
            }
            Ok::<(), std::convert::Infallible>(())
        });
        Self {
            network,
            tokenizer,
            options,
            layout: ParameterLayout::new(trained),
            device: device.clone(),
            precision: ComputePrecision::default(),
            host: HostCache::default(),
            isolation: Isolation::default(),
            config_json: Vec::new(),
            tokenizer_json: Vec::new(),
        }
    }

    /// The labels, in the order of the outputs.
    pub fn labels(&self) -> &[String] {
        &self.options.labels
    }

    /// What the classifier was built with.
    pub fn options(&self) -> &ClassifierOptions {
        &self.options
    }

    /// What the network is built from.
    pub fn spec(&self) -> &TransformerSpec {
        self.network.spec()
    }

    /// The order of the trained parameters.
    pub fn layout(&self) -> &ParameterLayout {
        &self.layout
    }

    /// The device that it computes on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The same, but trained with products in this precision. Scores are always computed in
    /// single precision.
    ///
    /// # Errors
    /// [`ModelError::Device`] where its device doesn't compute in it.
    pub fn computing_in(mut self, precision: ComputePrecision) -> Result<Self, ModelError> {
        precision.check(&self.device)?;
        self.precision = precision;
        Ok(self)
    }

    /// In what training multiplies matrices.
    pub(crate) fn precision(&self) -> ComputePrecision {
        self.precision
    }

    /// A text's token ids.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`] where it gives none that the model knows.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        self.tokenizer.encode(text)
    }

    /// The trained parameters, flat, in layout order.
    pub fn parameters(&self) -> Vec<f32> {
        let mut flat = Vec::with_capacity(self.layout.len());
        let set = self.options.train;
        // Clones share the tensors' memory.
        let Ok(()) = self.network.clone().visit(&mut |_, (part, role), weight| {
            if trains(set, part, role) {
                flat.extend(weight.host_values());
            }
            Ok::<(), std::convert::Infallible>(())
        });
        flat
    }

    /// Replaces the trained parameters, flat, in layout order.
    ///
    /// # Errors
    /// [`ModelError::ParameterCount`] and [`ModelError::NotFinite`]; then nothing is changed.
    pub fn set_parameters(&mut self, parameters: &[f32]) -> Result<(), ModelError> {
        if parameters.len() != self.layout.len() {
            return Err(ModelError::ParameterCount {
                expected: self.layout.len(),
                found: parameters.len(),
            });
        }
        if let Some(index) = parameters.iter().position(|value| !value.is_finite()) {
            return Err(ModelError::NotFinite {
                place: "the parameter vector".into(),
                index,
            });
        }
        let set = self.options.train;
        let device = self.device.clone();
        let mut rest = parameters;
        let Ok(()) = self.network.visit(&mut |_, (part, role), weight| {
            if trains(set, part, role) {
                let (values, after) = rest.split_at(weight.shape().iter().product());
                rest = after;
                weight.put(values.to_vec(), &device);
            }
            Ok::<(), std::convert::Infallible>(())
        });
        self.host.forget_trained();
        Ok(())
    }

    /// Which shapes its device is known to keep units apart in.
    pub(crate) fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    /// What training and inference on the CPU keep.
    pub(crate) fn host(&self) -> &HostCache {
        &self.host
    }

    /// Saves the classifier in Hugging Face layout: `config.json`, `model.safetensors`,
    /// `tokenizer.json`, and where transformers needs it, the code that reads it. Adapters are
    /// merged into the weights. The folder is written beside and moved into place, so that it
    /// is there whole or not at all.
    ///
    /// # Errors
    /// [`ModelError::Unwritable`] naming the file.
    pub fn save(&self, folder: &Path, precision: Precision) -> Result<(), ModelError> {
        let mut network = self.network.clone();
        network.merge();
        let tensors = named_weights(&mut network, |_, _| true);
        let files = self.saving().files(tensors, precision)?;
        write_folder(folder, &files)
    }

    /// Saves the adapters and the head as PEFT does: `adapter_config.json` and
    /// `adapter_model.safetensors`, and the files besides that turn the base model into a
    /// classifier. `base` is where Python finds the base model. Written like
    /// [`Classifier::save`].
    ///
    /// # Errors
    /// [`ModelError::Lora`] where there are no adapters; [`ModelError::Unwritable`] naming
    /// the file.
    pub fn save_adapter(&self, folder: &Path, base: &str) -> Result<(), ModelError> {
        let Some(lora) = self.options.train.lora() else {
            return Err(ModelError::Lora(format!(
                "there are no adapters to save: the trainable set is `{}`",
                self.options.train
            )));
        };
        // A frozen A belongs to the adapter, too.
        let chosen =
            |part, role| part == Part::Head || matches!(role, Role::AdapterA | Role::AdapterB);
        let tensors = named_weights(&mut self.network.clone(), chosen);
        let files = self.saving().adapter_files(&lora, base, tensors)?;
        write_folder(folder, &files)
    }

    fn saving(&self) -> Saving<'_> {
        Saving {
            spec: self.spec(),
            model: SavedModel {
                labels: self.options.labels.clone(),
                pooling: self.options.pooling,
                max_tokens: self.tokenizer.max_tokens(),
            },
            original: serde_json::from_slice(&self.config_json).unwrap_or_default(),
            tokenizer: &self.tokenizer_json,
        }
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Pads rows of token ids into a batch.
    ///
    /// # Errors
    /// [`ModelError::Row`] for a row that is empty, too long or has an unknown token.
    pub(crate) fn batch(&self, rows: &[&[u32]]) -> Result<Batch, ModelError> {
        let longest = rows.iter().map(|row| row.len()).max();
        self.batch_of(rows, longest.unwrap_or(1))
    }

    /// Pads rows of token ids to so many tokens.
    ///
    /// # Errors
    /// As [`Classifier::batch`], and for a row of more tokens.
    pub(crate) fn batch_of(&self, rows: &[&[u32]], tokens: usize) -> Result<Batch, ModelError> {
        for (row, ids) in rows.iter().enumerate() {
            self.check_row(row, ids)?;
            if ids.len() > tokens {
                let reason = format!("its {} tokens are more than {tokens}", ids.len());
                return Err(ModelError::Row { row, reason });
            }
        }
        let positions = self.spec().positions;
        Ok(Batch::new(rows, tokens.max(1), positions, &self.device))
    }

    /// Checks that a row fits the model; `row` is its place in what the caller was given.
    ///
    /// # Errors
    /// [`ModelError::Row`] for one that is empty, too long or has an unknown token.
    pub(crate) fn check_row(&self, row: usize, tokens: &[u32]) -> Result<(), ModelError> {
        let spec = self.spec();
        let reason = if tokens.is_empty() {
            "it has no tokens".to_owned()
        } else if tokens.len() > spec.max_tokens() {
            format!(
                "its {} tokens are more than {}",
                tokens.len(),
                spec.max_tokens()
            )
        } else if tokens.iter().any(|id| *id as usize >= spec.vocab_size) {
            format!("it has a token that isn't below {}", spec.vocab_size)
        } else {
            return Ok(());
        };
        Err(ModelError::Row { row, reason })
    }
}

/// The chosen weights of a network with their names and numbers.
fn named_weights(network: &mut Network, chosen: impl Fn(Part, Role) -> bool) -> Vec<NamedWeight> {
    let mut tensors = Vec::new();
    let Ok(()) = network.visit(&mut |name, (part, role), weight| {
        if chosen(part, role) {
            tensors.push(NamedWeight {
                name: name.to_owned(),
                shape: weight.shape(),
                transposed: matches!(weight, Weight::Matrix(_)),
                values: weight.host_values(),
            });
        }
        Ok::<(), std::convert::Infallible>(())
    });
    tensors
}

/// BERT's own initialisation: matrices normal with deviation 0.02, biases 0, scales 1.
fn initialise<R: Rng>(weight: Weight<'_>, rng: &mut R, device: &Device) {
    let shape = weight.shape();
    let count: usize = shape.iter().product();
    let values = match &weight {
        Weight::Matrix(_) | Weight::Table(_) => (0..count).map(|_| 0.02 * normal(rng)).collect(),
        Weight::Vector(_) => vec![0.0; count],
    };
    weight.put(values, device);
}

/// A standard normal deviate by Box and Muller: good enough to initialise weights, and no
/// place for privacy's noise.
fn normal<R: Rng>(rng: &mut R) -> f32 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    let radius = (-2.0 * (1.0 - u).ln()).sqrt();
    (radius * (std::f64::consts::TAU * v).cos()) as f32
}
