//! Models from files, and of random weights.

use std::path::Path;

use burn::tensor::Device;
use rand::{Rng, RngExt};
use serde_json::Value;
use umbel_proto::classifier::{
    ClassifierOptions, Dropout, HeadScale, MaxTokens, Pooling, TrainableSet,
};

use umbel_proto::task::Task;

use super::last_layer::to_scaled;
use super::{Model, Stamp};
use crate::checkpoint::{
    Found, HeadUse, ModelFiles, Reading, SavedModel, WeightFile, load_weights,
};
use crate::compute_precision::ComputePrecision;
use crate::error::ModelError;
use crate::families::TransformerSpec;
use crate::network::{Network, Weight};
use crate::parameters::{ParameterLayout, Part, Role, trains};
use crate::tokenizer::Tokenizer;

impl Model {
    /// Builds a classifier from a model's files. A classifier or pooler that the files lack
    /// is drawn from `rng` (normal, deviation 0.02, as BERT's own).
    ///
    /// # Errors
    /// [`ModelError`] naming the file or tensor.
    pub(crate) fn load<R: Rng>(
        files: &ModelFiles,
        options: ClassifierOptions,
        rng: &mut R,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let spec = TransformerSpec::from_json(&files.config)?;
        let head = head_use(files, &options)?;
        let (mut model, found) = Self::assemble(&spec, files, options, head, device)?;
        model.check_vocabulary()?;
        model.network.visit(&mut |name, (part, role), weight| {
            // A layer of which a part is missing is drawn anew as a whole.
            let layer = name.split('.').next().unwrap_or(name);
            let fresh = part == Part::Head && !found.has(layer);
            if fresh {
                initialise(weight, role, rng, device);
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
    pub(crate) fn load_without_head(
        files: &ModelFiles,
        options: ClassifierOptions,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let spec = TransformerSpec::from_json(&files.config)?;
        let head = head_use(files, &options)?;
        let (model, _) = Self::assemble(&spec, files, options, head, device)?;
        model.check_vocabulary()?;
        Ok(model)
    }

    /// Refuses a tokeniser whose words the model has no embeddings for, before anybody's text is
    /// found to have one.
    fn check_vocabulary(&self) -> Result<(), ModelError> {
        let (words, spec) = (self.tokenizer.words(), self.spec());
        if words <= spec.vocab_size {
            return Ok(());
        }
        Err(ModelError::Tokenizer(format!(
            "its vocabulary has {words} words, but config.json (model_type {:?}) has embeddings for \
             {}; the two files don't belong together",
            spec.family, spec.vocab_size
        )))
    }

    /// Opens a folder that [`Model::save`] wrote, or any other with a model for sequence
    /// classification of a family that is supported.
    ///
    /// # Errors
    /// [`ModelError`] naming the file or tensor; also where there is no trained classifier.
    pub(crate) fn open(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let files = ModelFiles::read(folder)?;
        let spec = TransformerSpec::from_json(&files.config)?;
        let saved = SavedModel::from_json(&files.config)?;
        let longest = files.origin.max_tokens.unwrap_or(usize::MAX);
        let max_tokens = saved.max_tokens.unwrap_or(spec.max_tokens().min(longest));
        let options = ClassifierOptions {
            task: saved.task,
            pairs: saved.pairs,
            labels: saved.labels,
            class_weights: None,
            pooling: saved.pooling,
            max_tokens: MaxTokens::try_from(max_tokens)
                .map_err(|e| ModelError::Config(e.to_string()))?,
            dropout: Dropout::NONE,
            head_scale: HeadScale::ONE,
            train: TrainableSet::Head,
        };
        let outputs = options.labels.len() as u128 * spec.hidden_size as u128;
        if outputs > files.weights.len() as u128 {
            return Err(ModelError::Config(format!(
                "it has {} labels (id2label or num_labels), more than {} of {} bytes can have outputs \
                 for; the two files don't belong together",
                options.labels.len(),
                files.origin.weights,
                files.weights.len()
            )));
        }
        let (mut model, found) = Self::assemble(&spec, &files, options, HeadUse::AsItIs, device)?;
        let pooling = model.options.pooling;
        if let Some(error) = found.incomplete(&files.origin.weights, &spec, pooling) {
            return Err(error);
        }
        model.temperature = saved.temperature;
        model.thresholds = saved.thresholds;
        Ok(model)
    }

    /// A classifier of random weights, for tests and benchmarks.
    ///
    /// # Errors
    /// [`ModelError::Config`] for sizes that can't be; [`ModelError::Tokenizer`] where
    /// `tokenizer_json` is none.
    pub(crate) fn random<R: Rng>(
        spec: &TransformerSpec,
        tokenizer_json: &[u8],
        options: ClassifierOptions,
        rng: &mut R,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let spec = &spec.clone().checked()?;
        check_head(spec, &options)?;
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
        head: HeadUse,
        device: &Device,
    ) -> Result<(Self, Found), ModelError> {
        check_head(spec, &options)?;
        // Before memory is asked for: a size with a digit too many would end the program.
        if spec.encoder_parameters() > files.weights.len() as u128 {
            return Err(ModelError::Config(format!(
                "its sizes ask for {} parameters, more than the {} bytes of {} can hold; the two \
                 files don't belong together",
                spec.encoder_parameters(),
                files.weights.len(),
                files.origin.weights
            )));
        }
        let max_tokens = options.max_tokens.get().min(spec.max_tokens());
        let tokenizer = Tokenizer::from_json(&files.tokenizer, max_tokens, spec.vocab_size)?;
        let mut network = Network::zeros(spec, options.pooling, options.labels.len(), device);
        let source = WeightFile {
            bytes: &files.weights,
            name: &files.origin.weights,
        };
        let found = load_weights(&mut network, source, head, device)?;
        if let (Task::Regression(values), true) = (options.task, found.has("classifier")) {
            to_scaled(&mut network, device, values);
        }
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
        let reading = reading(spec, files, &options, &found);
        let mut model = Self::of_parts(network, tokenizer, options, device);
        model.config_json.clone_from(&files.config);
        model.tokenizer_json.clone_from(&files.tokenizer);
        model.reading = reading;
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
            stamp: Stamp::new(),
            temperature: None,
            thresholds: None,
            config_json: Vec::new(),
            tokenizer_json: Vec::new(),
            reading: Reading::default(),
        }
    }
}

/// Refuses a head that a family can't have.
fn check_head(spec: &TransformerSpec, options: &ClassifierOptions) -> Result<(), ModelError> {
    spec.check_pooling(options.pooling)?;
    match options.task {
        Task::Regression(values)
            if values.offset.get() != 0.0 && !TransformerSpec::classifier_bias(options.pooling) =>
        {
            Err(ModelError::NoBias {
                model_type: spec.family.model_type(),
                offset: values.offset.get(),
            })
        }
        _ => Ok(()),
    }
}

/// What a run of these options makes of the files' head.
fn head_use(files: &ModelFiles, options: &ClassifierOptions) -> Result<HeadUse, ModelError> {
    let config = serde_json::from_slice(&files.config);
    let config = config.map_err(|e| ModelError::Config(e.to_string()))?;
    Ok(HeadUse::of(&config, options))
}

/// What was made of the files, in words.
fn reading(
    spec: &TransformerSpec,
    files: &ModelFiles,
    options: &ClassifierOptions,
    found: &Found,
) -> Reading {
    let mut notes = files.origin.notes.clone();
    let (asked, positions) = (options.max_tokens.get(), spec.max_tokens());
    if asked > positions {
        notes.push(format!(
            "max_tokens is {asked}, but the model has positions for {positions}: longer texts are \
             cut to {positions} tokens"
        ));
    }
    Reading {
        file: files.origin.weights.clone(),
        tensors: found.taken,
        head: Some(found.head.clone()),
        options: Some(options.clone()),
        fresh_pooler: options.pooling == Pooling::Pooler && !found.has("pooler"),
        unused: found.unused.clone(),
        notes,
    }
}

/// BERT's own initialisation: matrices normal with deviation 0.02, biases 0, scales 1.
fn initialise<R: Rng>(weight: Weight<'_>, role: Role, rng: &mut R, device: &Device) {
    let shape = weight.shape();
    let count: usize = shape.iter().product();
    let values = match &weight {
        Weight::Matrix(_) | Weight::Table(_) => (0..count).map(|_| 0.02 * normal(rng)).collect(),
        Weight::Vector(_) if role == Role::Scale => vec![1.0; count],
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
