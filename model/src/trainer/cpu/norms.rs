//! Normalisations in the host's memory, with their places among the trained parameters.

use super::layer_norm::Norm;

/// An encoder layer's normalisations, by where they stand.
pub(super) enum HostNorms {
    First(NormsFirst),
    Last(NormsLast),
}

/// Before attention and before the feed-forward layers.
pub(super) struct NormsFirst {
    /// The first layer has none where the embeddings were just normalised.
    pub(super) attention: Option<HostNorm>,
    pub(super) output: HostNorm,
}

/// Behind attention and behind the feed-forward layers.
pub(super) struct NormsLast {
    pub(super) attention: HostNorm,
    pub(super) output: HostNorm,
}

/// A layer normalisation.
pub(super) struct HostNorm {
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
    pub(super) epsilon: f32,
    /// Whether the mean is taken away first.
    pub(super) centred: bool,
    pub(super) gamma_offset: Option<usize>,
    pub(super) beta_offset: Option<usize>,
}

impl HostNorm {
    /// What its passes need.
    pub(super) fn view(&self) -> Norm<'_> {
        Norm {
            gamma: &self.gamma,
            beta: &self.beta,
            epsilon: self.epsilon,
            centred: self.centred,
        }
    }

    /// Whether anything of it is trained.
    pub(super) fn is_trained(&self) -> bool {
        self.gamma_offset.or(self.beta_offset).is_some()
    }
}
