//! Dropout's masks (Srivastava et al. 2014), scaled so that no state changes in expectation.

use rand::Rng;
use umbel_privacy::NoiseSource;

use super::workspace::Workspace;

/// Dropout's masks.
pub(super) struct Masks {
    rate: f64,
    source: NoiseSource,
}

impl Masks {
    /// Masks that drop this share, drawn from this seed.
    pub(super) fn new(rate: f64, seed: u64) -> Self {
        Self {
            rate,
            source: NoiseSource::seeded(seed, "dropout"),
        }
    }

    /// A mask of `len` numbers, 0 or 1/(1 - rate); `None` where nothing is dropped.
    pub(super) fn draw(&mut self, len: usize, workspace: &mut Workspace) -> Option<Vec<f32>> {
        if self.rate <= 0.0 {
            return None;
        }
        let keep = 1.0 - self.rate;
        let below = (keep * f64::from(u32::MAX)) as u32;
        let scale = (1.0 / keep) as f32;
        let mut mask = workspace.take(len);
        for x in &mut mask {
            *x = if self.source.next_u32() < below {
                scale
            } else {
                0.0
            };
        }
        Some(mask)
    }
}
