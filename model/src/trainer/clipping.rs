//! What bounds a unit's part in a sum.

/// What is done to a unit's gradient before it is added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clipping {
    /// Nothing: plain training.
    None,
    /// It is scaled by min(1, C/norm) (Abadi et al. 2016, Algorithm 1), with this C.
    Flat(f64),
    /// It is scaled by C/(norm + 0.01), with this C (AUTO-S of Bu et al. 2023, "Automatic
    /// Clipping", with their γ = 0.01): every unit counts about the same, and the norm stays
    /// below C.
    Automatic(f64),
}

/// γ of automatic clipping: it keeps the factor finite, and gradients much smaller than it
/// small.
const STABILITY: f64 = 0.01;

impl Clipping {
    /// The factor of a unit whose gradient has this norm, a finite number.
    pub(crate) fn factor(self, norm: f64) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Flat(c) if norm > c => c / norm,
            Self::Flat(_) => 1.0,
            Self::Automatic(c) => c / (norm + STABILITY),
        }
    }

    /// Whether a factor may be above 1, so that a product with it may overflow though the
    /// gradient is finite.
    pub(crate) fn may_enlarge(self) -> bool {
        match self {
            Self::None | Self::Flat(_) => false,
            Self::Automatic(_) => true,
        }
    }
}
