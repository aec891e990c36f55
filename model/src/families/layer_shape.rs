//! How a layer is put together, whatever its sizes.

/// How an encoder's layers are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// Whether states are normalised before attention and before the feed-forward layers, and once
    /// more behind the last layer; else behind each of the two.
    pub norm_first: bool,
    /// Whether linear layers and normalisations have biases, the classifier aside.
    pub biases: bool,
    /// Whether linear layers that read the same are one: queries, keys and values, and a gate with
    /// what it multiplies.
    pub joint: bool,
    /// Whether the first feed-forward layer is twice as wide, and its second half multiplies what
    /// the activation makes of the first (Shazeer 2020).
    pub gated: bool,
    /// Whether normalisations take the mean away first; else they divide by the root of the mean
    /// square alone (Zhang and Sennrich 2019).
    pub centred: bool,
}

impl LayerShape {
    /// BERT's.
    pub const BERT: Self = Self {
        norm_first: false,
        biases: true,
        joint: false,
        gated: false,
        centred: true,
    };

    /// ModernBERT's.
    pub const MODERN: Self = Self {
        norm_first: true,
        biases: false,
        joint: true,
        gated: true,
        centred: true,
    };

    /// GPT-2's.
    pub const GPT2: Self = Self {
        norm_first: true,
        biases: true,
        joint: true,
        gated: false,
        centred: true,
    };

    /// Llama's.
    pub const LLAMA: Self = Self {
        norm_first: true,
        biases: false,
        joint: false,
        gated: true,
        centred: false,
    };

    /// The name within its layer of the normalisation at attention.
    pub(crate) fn attention_norm(self) -> &'static str {
        match self.norm_first {
            true => "attention.LayerNorm",
            false => "attention.output.LayerNorm",
        }
    }

    /// The same at the feed-forward layers.
    pub(crate) fn output_norm(self) -> &'static str {
        match self.norm_first {
            true => "intermediate.LayerNorm",
            false => "output.LayerNorm",
        }
    }
}
