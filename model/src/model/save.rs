//! Models to folders.

use std::path::Path;

use umbel_proto::task::Task;

use super::Model;
use super::last_layer::to_values;
use crate::checkpoint::{NamedWeight, Precision, SavedModel, Saving, write_folder};
use crate::error::ModelError;
use crate::network::{Network, Weight};
use crate::parameters::{Part, Role, trains};

impl Model {
    /// Saves the classifier in Hugging Face layout: `config.json`, `model.safetensors`,
    /// `tokenizer.json`, and where transformers needs it, the code that reads it. Adapters are
    /// merged into the weights. The folder is written beside and moved into place, so that it
    /// is there whole or not at all.
    ///
    /// # Errors
    /// [`ModelError::Unwritable`] naming the file.
    pub fn save(&self, folder: &Path, precision: Precision) -> Result<(), ModelError> {
        let mut network = self.answering_values();
        network.merge();
        let tensors = named_weights(&mut network, |_, _| true);
        let files = self.saving().files(tensors, precision)?;
        write_folder(folder, &files)
    }

    /// Saves the adapters and the head as PEFT does: `adapter_config.json` and
    /// `adapter_model.safetensors`, and the files besides that turn the base model into a
    /// classifier. `base` is where Python finds the base model. Written like
    /// [`Model::save`].
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
        let set = self.options.train;
        let chosen = |part, role| role == Role::AdapterA || trains(set, part, role);
        let tensors = named_weights(&mut self.answering_values(), chosen);
        let files = self.saving().adapter_files(&lora, base, tensors)?;
        write_folder(folder, &files)
    }

    /// The network as files have it: a regression answers values, whatever training's scale.
    fn answering_values(&self) -> Network {
        let mut network = self.network.clone();
        if let Task::Regression(values) = self.options.task {
            to_values(&mut network, &self.device, values);
        }
        network
    }

    fn saving(&self) -> Saving<'_> {
        Saving {
            spec: self.spec(),
            model: SavedModel {
                labels: self.options.labels.clone(),
                pooling: self.options.pooling,
                task: self.options.task,
                pairs: self.options.pairs,
                max_tokens: Some(self.tokenizer.max_tokens()),
                temperature: self.temperature,
                thresholds: self.thresholds.clone(),
            },
            original: serde_json::from_slice(&self.config_json).unwrap_or_default(),
            tokenizer: &self.tokenizer_json,
        }
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
