//! A model with what trains it: the crate's front door.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use rand::Rng;
use umbel_proto::classifier::ClassifierOptions;
use umbel_proto::task::Threshold;

use crate::checkpoint::ModelFiles;
use crate::compute_precision::ComputePrecision;
use crate::error::ModelError;
use crate::families::TransformerSpec;
use crate::metrics::Temperature;
use crate::model::Model;
use crate::trainer::{self, Trainer};

/// A [`Model`] and the trainer of its device. Whatever is read of the model is read through it.
#[derive(Clone, Debug)]
pub struct Classifier {
    model: Model,
    /// Shared by clones: what it keeps of a model is kept by the model's stamp.
    trainer: Arc<dyn Trainer>,
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
        Model::load(files, options, rng, device).map(Self::of)
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
        Model::load_without_head(files, options, device).map(Self::of)
    }

    /// Opens a folder that [`Model::save`] wrote, or any other with a model for sequence
    /// classification of a family that is supported.
    ///
    /// # Errors
    /// [`ModelError`] naming the file or tensor; also where there is no trained classifier.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        Model::open(folder, device).map(Self::of)
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
        Model::random(spec, tokenizer_json, options, rng, device).map(Self::of)
    }

    fn of(model: Model) -> Self {
        let trainer = trainer::of_device(model.device());
        Self { model, trainer }
    }

    /// The same, but trained with products in this precision. Scores are always computed in
    /// single precision.
    ///
    /// # Errors
    /// [`ModelError::Device`] where its device doesn't compute in it.
    pub fn computing_in(self, precision: ComputePrecision) -> Result<Self, ModelError> {
        let Self { model, trainer } = self;
        let model = model.computing_in(precision)?;
        Ok(Self { model, trainer })
    }

    /// Replaces the trained parameters, flat, in layout order.
    ///
    /// # Errors
    /// [`ModelError::ParameterCount`] and [`ModelError::NotFinite`]; then nothing is changed.
    pub fn set_parameters(&mut self, parameters: &[f32]) -> Result<(), ModelError> {
        self.model.set_parameters(parameters)
    }

    /// Begins a new last layer at what the encoder makes of its labels' names, rather than at random:
    /// a text is then scored by how near it is to each name. Tells whether it did; a last layer that
    /// the files have stays as it is, and so does one that isn't for one label a text.
    ///
    /// # Errors
    /// As [`logits`](crate::logits), for names rather than rows.
    pub fn begin_at_label_names(&mut self) -> Result<bool, ModelError> {
        self.model.begin_at_label_names()
    }

    /// Divides the last layer's weights and bias by a temperature, and so every score. Done once,
    /// after training: [`Self::set_parameters`] forgets it.
    pub fn divide_scores(&mut self, temperature: Temperature) {
        self.model.divide_scores(temperature);
    }

    /// From which probabilities on a multi-label model gives its labels, in their order. One for each
    /// label, or none is changed.
    pub fn set_thresholds(&mut self, thresholds: Vec<Threshold>) {
        self.model.set_thresholds(thresholds);
    }

    /// What trains and scores it.
    pub(crate) fn trainer(&self) -> &dyn Trainer {
        &*self.trainer
    }
}

impl Deref for Classifier {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
}
