//! Which of the processor's vector instructions loops run in.

use std::sync::OnceLock;

use pulp::{Arch, Simd, WithSimd};

/// Set to `avx2`, it keeps this engine's loops and its products of matrices from AVX-512.
const VARIABLE: &str = "UMBEL_INSTRUCTIONS";

/// Instructions that this processor has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Instructions {
    /// Registers of 16 numbers, 32 of them.
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    /// Registers of 8 numbers, 16 of them.
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    /// What else there is.
    Other(Arch),
}

impl Instructions {
    /// Those that loops are run in: the widest that there are, unless the environment forbids.
    #[inline(always)]
    pub(super) fn used() -> Self {
        static USED: OnceLock<Instructions> = OnceLock::new();
        *USED.get_or_init(Self::choose)
    }

    /// Whether this processor has AVX-512 and the environment forbids it.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn are_narrowed() -> bool {
        static NARROWED: OnceLock<bool> = OnceLock::new();
        *NARROWED.get_or_init(|| Self::narrow() && Self::all()[0].is_avx512())
    }

    fn narrow() -> bool {
        std::env::var_os(VARIABLE).is_some_and(|value| value == "avx2")
    }

    #[inline(never)]
    fn choose() -> Self {
        let narrow = Self::narrow();
        let all = Self::all();
        let allowed = all.iter().find(|each| !(narrow && each.is_avx512()));
        *allowed.unwrap_or(&Self::Other(Arch::new()))
    }

    /// All that the kernels are compiled for and this processor has, the widest first.
    pub(super) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(pulp::x86::V4::try_new().map(Self::Avx512));
            all.extend(pulp::x86::V3::try_new().map(Self::Avx2));
        }
        if all.is_empty() {
            all.push(Self::Other(Arch::new()));
        }
        all
    }

    /// Whether these have 32 registers of 16 numbers.
    pub(super) fn is_avx512(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => true,
            _ => false,
        }
    }

    /// Runs `work`, compiled once for each set of instructions. Whatever it calls must be inlined
    /// into it.
    #[inline(always)]
    pub(super) fn dispatch<W: WithSimd>(self, work: W) -> W::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => Simd::vectorize(simd, work),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => Simd::vectorize(simd, work),
            Self::Other(arch) => arch.dispatch(work),
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    /// Where a feature of `pulp` is missing, it silently takes one number at a time.
    #[test]
    fn loops_use_the_widest_instructions_of_the_processor() {
        let widest = Instructions::all()[0];
        if std::arch::is_x86_feature_detected!("avx512f") {
            assert!(widest.is_avx512(), "{widest:?}");
        } else if std::arch::is_x86_feature_detected!("avx2") {
            assert!(matches!(widest, Instructions::Avx2(_)), "{widest:?}");
        }
    }
}
