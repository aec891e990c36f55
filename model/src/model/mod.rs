//! A network with its tokeniser and labels on one device: what is trained, saved and sent, and
//! nothing that only makes it faster.

mod label_names;
mod last_layer;
mod load;
mod save;
mod stamp;

use last_layer::last_layer;
pub(crate) use stamp::Stamp;

use burn::tensor::Device;
use umbel_proto::classifier::ClassifierOptions;
use umbel_proto::task::{Task, Threshold};

use crate::checkpoint::Reading;
use crate::compute_precision::ComputePrecision;
use crate::error::ModelError;
use crate::families::TransformerSpec;
use crate::metrics::Temperature;
use crate::network::{Batch, Network};
use crate::parameters::{ParameterLayout, scale, trains};
use crate::tokenizer::Tokenizer;
use crate::tokens::{TokenRow, Tokens};

/// A text classifier's weights, tokeniser and labels.
#[derive(Clone, Debug)]
pub struct Model {
    network: Network,
    tokenizer: Tokenizer,
    options: ClassifierOptions,
    layout: ParameterLayout,
    device: Device,
    precision: ComputePrecision,
    stamp: Stamp,
    /// What the last layer was divided by after training.
    temperature: Option<Temperature>,
    /// From which probabilities on labels are given, where that was said.
    thresholds: Option<Vec<Threshold>>,
    /// `config.json` and `tokenizer.json` as they were read, to be saved again.
    config_json: Vec<u8>,
    tokenizer_json: Vec<u8>,
    reading: Reading,
}

impl Model {
    /// The labels, in the order of the outputs.
    pub fn labels(&self) -> &[String] {
        &self.options.labels
    }

    /// What the classifier was built with.
    pub fn options(&self) -> &ClassifierOptions {
        &self.options
    }

    /// What it answers about a text.
    pub fn task(&self) -> Task {
        self.options.task
    }

    /// Refuses what only a model with one label a text can do.
    ///
    /// # Errors
    /// [`ModelError::Task`] for the others.
    pub fn require_single_label(&self, purpose: &'static str) -> Result<(), ModelError> {
        match self.task() {
            Task::SingleLabel => Ok(()),
            task => Err(ModelError::Task {
                task: task.kind(),
                purpose,
            }),
        }
    }

    /// What was made of its files: one line.
    pub fn reading(&self) -> &Reading {
        &self.reading
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
    pub(crate) fn computing_in(mut self, precision: ComputePrecision) -> Result<Self, ModelError> {
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

    /// The tokens of a text, or of a pair of texts, and how many they are before they are cut to
    /// [`Self::most_tokens`]. Of a pair, the longer text is cut first, a token at a time.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`] where they give none that the model knows.
    pub fn tokens(&self, text: &str, second: Option<&str>) -> Result<(Tokens, usize), ModelError> {
        // What has no segments is told apart by the tokens between them.
        let (tokens, whole) = self.tokenizer.tokens(text, second)?;
        Ok(match self.spec().token_types {
            Some(_) => (tokens, whole),
            None => (tokens.to_vec().into(), whole),
        })
    }

    /// Tokens of a text that are read, at most.
    pub fn most_tokens(&self) -> usize {
        self.tokenizer.max_tokens()
    }

    /// The trained parameters, flat, in layout order.
    pub fn parameters(&self) -> Vec<f32> {
        let mut flat = Vec::with_capacity(self.layout.len());
        let set = self.options.train;
        // Clones share the tensors' memory.
        let Ok(()) = self.network.clone().visit(&mut |_, (part, role), weight| {
            if trains(set, part, role) {
                let values = weight.host_values().into_iter();
                match scale(set, role) {
                    Some(scale) => flat.extend(values.map(|w| w / scale)),
                    None => flat.extend(values),
                }
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
                let values = match scale(set, role) {
                    Some(scale) => values.iter().map(|p| p * scale).collect(),
                    None => values.to_vec(),
                };
                weight.put(values, &device);
            }
            Ok::<(), std::convert::Infallible>(())
        });
        self.stamp = self.stamp.of_other_parameters();
        self.temperature = None;
        Ok(())
    }

    /// Divides the last layer's weights and bias by a temperature, and so every score. Done once,
    /// after training: [`Self::set_parameters`] forgets it.
    pub(crate) fn divide_scores(&mut self, temperature: Temperature) {
        last_layer(&mut self.network, &self.device, |_, values| {
            temperature.temper(values)
        });
        self.stamp = self.stamp.of_other_parameters();
        self.temperature = Some(temperature);
    }

    /// What the last layer was divided by after training, if it was: `umbel_temperature` in the
    /// folder's `config.json`.
    pub fn temperature(&self) -> Option<Temperature> {
        self.temperature
    }

    /// The probabilities from which on a multi-label model gives its labels, in their order:
    /// `umbel_thresholds` in the folder's `config.json`, or 0.5 each.
    pub fn thresholds(&self) -> Vec<Threshold> {
        let own = self.thresholds.clone();
        own.unwrap_or_else(|| vec![Threshold::default(); self.labels().len()])
    }

    /// From which probabilities on labels are given, in their order. One for each, or none is changed.
    pub(crate) fn set_thresholds(&mut self, thresholds: Vec<Threshold>) {
        if thresholds.len() == self.labels().len() {
            self.thresholds = Some(thresholds);
        }
    }

    /// Which weights these are.
    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Pads rows of token ids into a batch.
    ///
    /// # Errors
    /// [`ModelError::Row`] for a row that is empty, too long or has an unknown token.
    pub(crate) fn batch(&self, rows: &[TokenRow<'_>]) -> Result<Batch, ModelError> {
        let longest = rows.iter().map(|row| row.ids().len()).max();
        self.batch_of(rows, longest.unwrap_or(1))
    }

    /// Pads rows of token ids to so many tokens.
    ///
    /// # Errors
    /// As [`Model::batch`], and for a row of more tokens.
    pub(crate) fn batch_of(
        &self,
        rows: &[TokenRow<'_>],
        tokens: usize,
    ) -> Result<Batch, ModelError> {
        for (row, found) in rows.iter().enumerate() {
            self.check_row(row, *found)?;
            let found = found.ids().len();
            if found > tokens {
                let reason = format!("its {found} tokens are more than {tokens}");
                return Err(ModelError::Row { row, reason });
            }
        }
        let (spec, device) = (self.spec(), &self.device);
        let read = spec.read(self.options.pooling);
        Ok(Batch::new(
            rows,
            tokens.max(1),
            spec.positions,
            read,
            device,
        ))
    }

    /// Checks that a row fits the model; `row` is its place in what the caller was given.
    ///
    /// # Errors
    /// [`ModelError::Row`] for one that is empty, too long or has an unknown token.
    pub(crate) fn check_row(&self, row: usize, found: TokenRow<'_>) -> Result<(), ModelError> {
        let (spec, tokens) = (self.spec(), found.ids());
        // What has no segments tells two texts apart by the tokens between them.
        let segments = spec.token_types.unwrap_or(usize::MAX);
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
        } else if found.has_second() && segments < 2 {
            "it is a pair of texts, and the model has one kind of segments (type_vocab_size)".into()
        } else {
            return Ok(());
        };
        Err(ModelError::Row { row, reason })
    }
}
