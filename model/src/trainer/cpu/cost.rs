//! What the ways of finding norms cost, so that each unit's faster one is taken: in
//! multiplications of a matrix product, by shape and instructions alone, so that one machine
//! always chooses alike.
//!
//! Measured at widths of 128 to 3072 and 32 to 512 tokens, on a core of an Intel server processor
//! of 2023: products reach 100 · 10⁹ multiplications a second in AVX-512, and 53 · 10⁹ in AVX2.

use super::instructions::Instructions;

/// What is worth how much in one set of instructions.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    /// Of a multiplication of a ghost norm, with many tokens.
    ghost: f64,
    /// What is added to that, divided by the tokens: edges of register tiles, and folding.
    ghost_edges: f64,
    /// Of a number of a gradient that is multiplied out, kept until its unit's norm is known, and
    /// then added: it goes to memory and back, which is no faster with wider registers.
    kept: f64,
}

/// Of a number of a gradient that is multiplied out, measured, and forgotten.
const MEASURED: f64 = 8.0;

impl Cost {
    /// In the instructions that are used.
    pub(super) fn here() -> Self {
        Self::of(Instructions::used())
    }

    fn of(instructions: Instructions) -> Self {
        if instructions.is_avx512() {
            Self {
                ghost: 1.4,
                ghost_edges: 24.0,
                kept: 200.0,
            }
        } else {
            Self {
                ghost: 1.05,
                ghost_edges: 14.0,
                kept: 100.0,
            }
        }
    }

    /// Of ‖XᵀG‖² from the inner products of X's and G's rows, p and d wide: T(T + 1)/2 pairs
    /// of p + d multiplications each.
    pub(super) fn ghost(self, tokens: usize, p: usize, d: usize) -> f64 {
        let pairs = (tokens * (tokens + 1) / 2) as f64;
        (self.ghost + self.ghost_edges / tokens.max(1) as f64) * pairs * (p + d) as f64
    }

    /// Of ‖XᵀG‖² from XᵀG itself.
    pub(super) fn direct(self, tokens: usize, p: usize, d: usize) -> f64 {
        (tokens as f64 + MEASURED) * (p * d) as f64
    }

    /// Of ‖XᵀG‖² from XᵀG, where that is kept for the sum, which needs it anyway.
    pub(super) fn kept(self, p: usize, d: usize) -> f64 {
        self.kept * (p * d) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_have_ghost_norms_and_long_ones_are_multiplied_out() {
        for instructions in Instructions::all() {
            let cost = Cost::of(instructions);
            for (p, d) in [(384, 384), (384, 1536), (768, 3072)] {
                let least = |tokens| cost.direct(tokens, p, d).min(cost.kept(p, d));
                assert!(
                    cost.ghost(128, p, d) < least(128),
                    "{instructions:?} {p} {d}"
                );
                assert!(
                    cost.ghost(1024, p, d) > least(1024),
                    "{instructions:?} {p} {d}"
                );
            }
            // An adapter's matrices are small, so that nothing is spared by not having them.
            assert!(cost.ghost(64, 384, 8) > cost.direct(64, 384, 8));
        }
    }
}
