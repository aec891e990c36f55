//! The generators that noise and samples are drawn from: ChaCha20, seeded by the
//! operating system; or by a number, for runs that must be repeatable and protect nobody.

use std::convert::Infallible;

use rand::rngs::SysRng;
use rand::{Rng, SeedableRng, TryCryptoRng, TryRng};
use rand_chacha::ChaCha20Rng;
use sha2::{Digest, Sha256};

/// A cryptographic generator that knows whether anybody else may know its seed.
#[derive(Debug)]
pub enum NoiseSource {
    /// Seeded by the operating system: nobody can repeat what it gives.
    System(ChaCha20Rng),
    /// Seeded by a number: whoever knows the number can take the noise off again, so that
    /// **nobody is protected**. For tests and repeatable experiments.
    Seeded(ChaCha20Rng),
}

/// The operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no randomness ({0}); without it no noise can be drawn")]
pub struct NoRandomness(String);

impl NoiseSource {
    /// A generator seeded with 256 bits by the operating system.
    ///
    /// # Errors
    /// [`NoRandomness`] if the operating system has none to give.
    pub fn from_os() -> Result<Self, NoRandomness> {
        let mut seed = [0; 32];
        SysRng
            .try_fill_bytes(&mut seed)
            .map_err(|error| NoRandomness(error.to_string()))?;
        Ok(Self::System(ChaCha20Rng::from_seed(seed)))
    }

    /// A generator that gives the same for the same `seed` and `domain`, and is
    /// independent of those of all other domains. Name in `domain` all that tells this
    /// use of randomness from others, e.g. `noise/round 3/site-a`, so that no stream is
    /// ever used twice.
    pub fn seeded(seed: u64, domain: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"umbel noise source 1\0");
        hash.update(seed.to_le_bytes());
        hash.update(domain.as_bytes());
        Self::Seeded(ChaCha20Rng::from_seed(hash.finalize().into()))
    }

    /// Whether the noise can be repeated by whoever knows the seed.
    pub fn is_seeded(&self) -> bool {
        matches!(self, Self::Seeded(_))
    }

    #[inline]
    fn generator(&mut self) -> &mut ChaCha20Rng {
        match self {
            Self::System(generator) | Self::Seeded(generator) => generator,
        }
    }
}

impl TryRng for NoiseSource {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.generator().next_u32())
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.generator().next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.generator().fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for NoiseSource {}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(mut source: NoiseSource) -> [u64; 4] {
        std::array::from_fn(|_| source.next_u64())
    }

    #[test]
    fn the_same_seed_and_domain_give_the_same_stream_and_others_do_not() {
        let stream = |seed, domain| first(NoiseSource::seeded(seed, domain));
        assert_eq!(stream(7, "round 1"), stream(7, "round 1"));
        assert_ne!(stream(7, "round 1"), stream(7, "round 2"));
        assert_ne!(stream(7, "round 1"), stream(8, "round 1"));
        assert_ne!(stream(7, ""), stream(7, "\0"));
    }

    #[test]
    fn the_system_seeds_every_generator_anew() {
        let (one, other) = (
            NoiseSource::from_os().unwrap(),
            NoiseSource::from_os().unwrap(),
        );
        assert!(!one.is_seeded());
        assert_ne!(first(one), first(other));
        assert!(NoiseSource::seeded(1, "").is_seeded());
    }
}
