//! How fast this machine trains: examples a second, plain and private, beside the rate of its
//! matrix products.
//!
//! [`Bench::rows`] measures on one device. Plain and private steps take turns, so that both
//! meet the same disturbances, and the median counts.

mod device_peak;
mod memory;
mod operations;

use std::thread;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde::Serialize;
use umbel_model::families::{
    Activation, BERT, LayerShape, PoolerActivation, PoolerShape, Positions, TransformerSpec,
};
use umbel_model::{
    Classifier, ClassifierOptions, Clipping, ComputePrecision, Dropout, Example, GradientSum,
    HeadScale, LoraConfig, MaxTokens, ModelError, ModelFiles, PhysicalBatch, Pooling, Target, Task,
    TrainableSet, gradient_sum,
};
use umbel_proto::classifier::TrainableKind;

pub use device_peak::peak_gflops;
pub use memory::peak_memory_mb;
pub use operations::operations;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The model.
    pub model: BenchModel,
    /// Examples of a step, of each client.
    pub batch: usize,
    /// In what matrices are multiplied.
    pub precision: ComputePrecision,
    /// Rows that pass through the network at a time, at most.
    pub micro_batch: usize,
    /// Bytes of memory that training may take; no limit if `None`.
    pub memory: Option<u64>,
    /// Tokens of every example.
    pub tokens: usize,
    /// How an example becomes one vector.
    pub pooling: Pooling,
    /// Clients that train at the same time, each a batch of its own.
    pub clients: usize,
    /// The least time that each row is measured for.
    pub least: Duration,
}

/// The model that is trained.
#[derive(Clone, Debug)]
pub enum BenchModel {
    /// Random weights in these sizes.
    Random(Box<TransformerSpec>),
    /// A Hugging Face folder.
    Files(Box<ModelFiles>),
}

/// One line of the result.
#[derive(Clone, Debug, Serialize)]
pub struct BenchRow {
    /// The device's name.
    pub device: String,
    /// `plain` or `private`.
    pub mode: &'static str,
    /// The trainable set.
    pub train: String,
    /// All clients' together.
    pub examples_per_s: f64,
    /// What an ordinary training step needs ([`operations`]), in 10⁹ operations a second.
    pub gflops: f64,
    /// The rate of this device's matrix products.
    pub peak_gflops: f64,
    /// The most memory that the process had during steps, where the system tells.
    pub peak_memory_mb: Option<f64>,
    /// Of a private row: its examples a second over those of plain training.
    pub ratio_to_plain: Option<f64>,
    /// Examples of a step.
    pub batch: usize,
    /// Tokens of an example.
    pub tokens: usize,
    /// How an example becomes one vector.
    pub pooling: String,
    /// Clients that trained at the same time.
    pub clients: usize,
}

/// How units are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Gradients are added as they are.
    Plain,
    /// Each example's gradient is clipped first.
    Private,
}

impl Mode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Private];

    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Private => "private",
        }
    }

    fn clipping(self) -> Clipping {
        match self {
            Self::Plain => Clipping::None,
            // Below every norm that random weights give, so that every example is scaled.
            Self::Private => Clipping::Flat(1e-3),
        }
    }
}

/// The sizes that `--size` names: those of BERT-tiny, MiniLM-L6 and BERT-base.
pub fn named_size(name: &str) -> Option<TransformerSpec> {
    let (layers, hidden_size, heads) = match name {
        "tiny" => (2, 128, 2),
        "minilm" => (6, 384, 12),
        "base" => (12, 768, 12),
        _ => return None,
    };
    Some(TransformerSpec {
        family: BERT,
        vocab_size: 30_522,
        embedding_size: hidden_size,
        projects_embeddings: false,
        hidden_size,
        layers,
        shared_layers: false,
        layer: LayerShape::BERT,
        heads,
        key_value_heads: heads,
        causal: false,
        intermediate_size: 4 * hidden_size,
        position_rows: 512,
        positions: Positions::FromZero,
        norms_embeddings: true,
        padding: None,
        rotations: Vec::new(),
        token_types: Some(2),
        relative_bias: false,
        disentangled: None,
        layer_norm_epsilon: 1e-12,
        activation: Activation::Gelu,
        pooler: PoolerShape::of(PoolerActivation::Tanh),
    })
}

/// The trainable set of this name; adapters are of rank 8, on queries and values.
///
/// # Errors
/// [`ModelError::Word`].
pub fn named_set(name: &str) -> Result<TrainableSet, ModelError> {
    let kind: TrainableKind = name.parse()?;
    let lora = (kind == TrainableKind::Lora).then(LoraConfig::default);
    kind.with(lora).map_err(|e| ModelError::Lora(e.to_string()))
}

/// A word-piece tokeniser with next to no words: examples are random token ids.
const TOKENIZER: &[u8] = br###"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
"normalizer":null,"pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,"decoder":null,
"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",
"max_input_chars_per_word":100,"vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3}}}"###;

impl Bench {
    /// The classifier that trains `set`, with two labels.
    ///
    /// # Errors
    /// [`ModelError`] where the model's files don't make one, or have fewer positions than there
    /// are tokens.
    pub fn classifier(&self, set: TrainableSet, device: &Device) -> Result<Classifier, ModelError> {
        let options = ClassifierOptions {
            task: Task::SingleLabel,
            pairs: false,
            labels: ["negative", "positive"].map(str::to_owned).to_vec(),
            class_weights: None,
            pooling: self.pooling,
            max_tokens: MaxTokens::try_from(self.tokens)
                .map_err(|e| ModelError::Config(e.to_string()))?,
            dropout: Dropout::NONE,
            head_scale: HeadScale::ONE,
            train: set,
        };
        let rng = &mut ChaCha12Rng::seed_from_u64(1);
        let model = match &self.model {
            BenchModel::Random(config) => {
                Classifier::random(config, TOKENIZER, options, rng, device)?
            }
            BenchModel::Files(files) => Classifier::load(files, options, rng, device)?,
        };
        let positions = model.spec().max_tokens();
        if self.tokens > positions {
            return Err(ModelError::Config(format!(
                "examples of {} tokens were asked for, but the model reads {positions} at most",
                self.tokens
            )));
        }
        model.computing_in(self.precision)
    }

    /// A client's examples: random token ids.
    fn examples(&self, model: &Classifier, client: usize) -> Vec<Example> {
        let rng = &mut ChaCha12Rng::seed_from_u64(client as u64 + 2);
        let vocabulary = model.spec().vocab_size as u32;
        let example = |_| Example {
            tokens: (0..self.tokens)
                .map(|_| rng.random_range(0..vocabulary))
                .collect(),
            target: Target::Class(rng.random_range(0..2)),
        };
        (0..self.batch).map(example).collect()
    }

    /// Measures one trainable set, plain and private.
    ///
    /// # Errors
    /// As [`Bench::classifier`].
    pub fn rows(
        &self,
        (device, name): (&Device, &str),
        set: TrainableSet,
        peak: f64,
        memory: impl Fn(Mode) -> Option<f64>,
    ) -> Result<[BenchRow; 2], ModelError> {
        let model = self.classifier(set, device)?;
        let steps = Steps::new(self, &model)?;
        let times = steps.take_turns(self.least)?;
        let examples = (self.batch * self.clients) as f64;
        let needed = operations(model.spec(), self.tokens, self.pooling, set);
        let plain = examples / times[0].as_secs_f64();
        Ok(Mode::ALL.map(|mode| {
            let examples_per_s = examples / times[mode as usize].as_secs_f64();
            BenchRow {
                device: name.to_owned(),
                mode: mode.name(),
                train: set.to_string(),
                examples_per_s,
                gflops: examples_per_s * needed / 1e9,
                peak_gflops: peak,
                peak_memory_mb: memory(mode),
                ratio_to_plain: (mode == Mode::Private).then_some(examples_per_s / plain),
                batch: self.batch,
                tokens: self.tokens,
                pooling: self.pooling.to_string(),
                clients: self.clients,
            }
        }))
    }

    /// Takes two steps in one mode and gives the most memory that the process had meanwhile.
    ///
    /// # Errors
    /// As [`Bench::classifier`].
    pub fn memory_of_steps(
        &self,
        device: &Device,
        set: TrainableSet,
        mode: Mode,
    ) -> Result<Option<f64>, ModelError> {
        let model = self.classifier(set, device)?;
        let steps = Steps::new(self, &model)?;
        memory::forget_peak();
        for _ in 0..2 {
            steps.step(mode)?;
        }
        Ok(peak_memory_mb())
    }
}

/// A model and its clients' examples.
struct Steps<'a> {
    model: &'a Classifier,
    clients: Vec<Vec<Example>>,
    units: Vec<Vec<usize>>,
    batch: PhysicalBatch,
}

impl<'a> Steps<'a> {
    fn new(bench: &Bench, model: &'a Classifier) -> Result<Self, ModelError> {
        let mut batch = PhysicalBatch::of_rows(bench.micro_batch);
        if let Some(memory) = bench.memory {
            batch = batch.within(memory / bench.clients as u64, model)?;
        }
        Ok(Self {
            model,
            clients: (0..bench.clients)
                .map(|client| bench.examples(model, client))
                .collect(),
            units: (0..bench.batch).map(|row| vec![row]).collect(),
            batch,
        })
    }

    /// Has every client take one step, and measures how long all of them take.
    fn step(&self, mode: Mode) -> Result<Duration, ModelError> {
        let start = Instant::now();
        thread::scope(|scope| {
            let clients = self.clients.iter().map(|examples| {
                scope.spawn(|| {
                    let rng = &mut ChaCha12Rng::seed_from_u64(0);
                    let (units, clipping) = (&self.units, mode.clipping());
                    gradient_sum(
                        self.model,
                        examples.as_slice(),
                        units,
                        clipping,
                        self.batch,
                        rng,
                    )
                })
            });
            let clients: Vec<_> = clients.collect();
            clients
                .into_iter()
                .try_for_each(|client| match client.join() {
                    Ok(result) => result.map(GradientSum::recycle),
                    Err(panic) => std::panic::resume_unwind(panic),
                })
        })?;
        Ok(start.elapsed())
    }

    /// Median times of a step in each mode, after one of each to warm up.
    fn take_turns(&self, least: Duration) -> Result<[Duration; 2], ModelError> {
        let mut times = [Vec::new(), Vec::new()];
        for mode in Mode::ALL {
            self.step(mode)?;
        }
        let start = Instant::now();
        while times[1].is_empty() || start.elapsed() < 2 * least {
            for mode in Mode::ALL {
                times[mode as usize].push(self.step(mode)?);
            }
        }
        Ok(times.map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2]
        }))
    }
}
