//! Which parameters are trained, and in which order they travel.

use sha2::{Digest, Sha256};
use umbel_proto::classifier::TrainableSet;

/// The part of a model that a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Embeddings and their layer normalisation.
    Embeddings,
    /// The encoder's layers.
    Encoder,
    /// Pooler and classifier.
    Head,
}

/// What a tensor is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A linear layer's weight W.
    Weight,
    /// The bias of a linear layer, or of a layer normalisation (β).
    Bias,
    /// The scale of a layer normalisation (γ).
    Scale,
    /// The table of word embeddings.
    WordTable,
    /// Another table of embeddings.
    Table,
    /// An adapter's A.
    AdapterA,
    /// An adapter's B.
    AdapterB,
}

/// Whether tensors of this role are trained in this part of the model.
pub(crate) fn trains(set: TrainableSet, part: Part, role: Role) -> bool {
    match set {
        TrainableSet::Full => true,
        TrainableSet::Encoder => part != Part::Embeddings,
        TrainableSet::Lora(lora) => match role {
            Role::AdapterA => !lora.freeze_a,
            Role::AdapterB => true,
            Role::WordTable => lora.words.is_some(),
            _ => part == Part::Head,
        },
        TrainableSet::Bias => role == Role::Bias || part == Part::Head,
        TrainableSet::Head => part == Part::Head,
    }
}

/// Which embedding tables a set trains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum TrainedTables {
    None,
    /// That of words, at this [`scale`].
    Words(Option<f32>),
    All,
}

impl TrainedTables {
    pub(crate) fn of(set: TrainableSet) -> Self {
        let [words, others] =
            [Role::WordTable, Role::Table].map(|role| trains(set, Part::Embeddings, role));
        match (words, others) {
            (_, true) => Self::All,
            (true, false) => Self::Words(scale(set, Role::WordTable)),
            (false, false) => Self::None,
        }
    }

    /// What the gradient at them is multiplied by, if by anything.
    pub(crate) fn scale(self) -> Option<f32> {
        match self {
            Self::Words(scale) => scale,
            Self::None | Self::All => None,
        }
    }
}

/// The scale at which tensors of this role are trained, if it isn't their own: at `s`, a tensor W travels
/// and is trained as P = W / s, so that a step of P is one of W that is `s` times as long, and
/// ∂L/∂P = s ∂L/∂W.
pub(crate) fn scale(set: TrainableSet, role: Role) -> Option<f32> {
    match role {
        Role::WordTable => Some(set.lora()?.words?.get() as f32),
        _ => None,
    }
}

/// One trained tensor's place among the flat parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutEntry {
    /// Its Hugging Face name, without the `bert.` prefix.
    pub name: String,
    /// Its shape as it lies in the flat vector: `[in, out]` for a linear layer's weight.
    pub shape: Vec<usize>,
    /// Where it begins.
    pub offset: usize,
}

/// The order of all trained tensors in the flat parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterLayout {
    entries: Vec<LayoutEntry>,
    len: usize,
}

impl ParameterLayout {
    /// Lays tensors out one after the other.
    pub(crate) fn new(tensors: impl IntoIterator<Item = (String, Vec<usize>)>) -> Self {
        let mut offset = 0;
        let entries = tensors
            .into_iter()
            .map(|(name, shape)| {
                let entry = LayoutEntry {
                    name,
                    offset,
                    shape,
                };
                offset += entry.shape.iter().product::<usize>();
                entry
            })
            .collect();
        Self {
            entries,
            len: offset,
        }
    }

    /// The trained tensors in their order.
    pub fn entries(&self) -> &[LayoutEntry] {
        &self.entries
    }

    /// How many numbers they are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is trained.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// SHA-256 over names, shapes and order, by which two sites know that they mean the same.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for entry in &self.entries {
            hash.update(format!("{} {:?}\n", entry.name, entry.shape));
        }
        hash.finalize().into()
    }

    /// Where a tensor begins, if it is trained.
    pub(crate) fn offset_of(&self, name: &str) -> Option<usize> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        Some(entry.offset)
    }
}
