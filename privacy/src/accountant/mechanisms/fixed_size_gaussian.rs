//! The Gaussian mechanism over a sample of fixed size.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::{Known, Renyi, sensitivity};
use crate::accountant::event::InvalidEvent;
use crate::accountant::noise_multiplier::NoiseMultiplier;
use crate::accountant::{AccountingError, fixed_size};
use crate::unit::Adjacency;

/// The Gaussian mechanism over a sample of fixed size without replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "WrittenFixedSizeGaussian")]
pub struct FixedSizeGaussian {
    dataset_size: NonZeroU64,
    sample_size: NonZeroU64,
    noise_multiplier: NoiseMultiplier,
}

/// The same as it is written, where the sample may be larger than the data set.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFixedSizeGaussian {
    dataset_size: NonZeroU64,
    sample_size: NonZeroU64,
    noise_multiplier: NoiseMultiplier,
}

impl FixedSizeGaussian {
    /// A sum over `sample_size` of `dataset_size` units, with noise of σ clipping norms (not of the sensitivity, which
    /// is two of them).
    ///
    /// # Errors
    /// [`InvalidEvent::SampleTooLarge`], where there aren't as many units.
    pub fn new(
        dataset_size: NonZeroU64,
        sample_size: NonZeroU64,
        noise_multiplier: NoiseMultiplier,
    ) -> Result<Self, InvalidEvent> {
        if sample_size > dataset_size {
            return Err(InvalidEvent::SampleTooLarge {
                sample_size,
                dataset_size,
            });
        }
        Ok(Self {
            dataset_size,
            sample_size,
            noise_multiplier,
        })
    }

    /// σ, the noise over the clipping norm.
    pub fn noise_multiplier(&self) -> NoiseMultiplier {
        self.noise_multiplier
    }
}

impl TryFrom<WrittenFixedSizeGaussian> for FixedSizeGaussian {
    type Error = InvalidEvent;

    fn try_from(written: WrittenFixedSizeGaussian) -> Result<Self, InvalidEvent> {
        Self::new(
            written.dataset_size,
            written.sample_size,
            written.noise_multiplier,
        )
    }
}

impl Known for FixedSizeGaussian {
    fn name(&self) -> &'static str {
        "the Gaussian mechanism over samples of fixed size"
    }

    /// Known for replace-one adjacency alone, under which the number of units is public.
    fn renyi(&self, adjacency: Adjacency) -> Result<Renyi, AccountingError> {
        if adjacency != Adjacency::ReplaceOne {
            return Err(AccountingError::Unsupported {
                accountant: "rdp",
                mechanism: self.name(),
                adjacency,
            });
        }
        let q = self.sample_size.get() as f64 / self.dataset_size.get() as f64;
        // σ is in clipping norms, the theorem's over the sensitivity 2 C.
        let sigma = self.noise_multiplier.get() / sensitivity(adjacency);
        Ok(Box::new(move |order| fixed_size::rdp(q, sigma, order)))
    }
}
