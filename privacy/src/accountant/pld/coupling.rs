//! How much of a tilted law cancels at low frequencies, by pairing outcomes half of its mass apart.
//!
//! Of a law in two far clusters, like that of rare samples with little noise, no two neighbours cancel before one cluster
//! turns in itself; but the clusters cancel each other. Of outcomes a and b of the same mass m, |m e^{iua} + m e^{iub}|
//! = 2 m |cos(u (b - a)/2)|, whichever are paired (privacy/proofs/contour.md, "Decay").

use std::f64::consts::PI;

/// Mass, at least, in a stretch of losses.
#[derive(Clone, Copy)]
struct Block {
    low: f64,
    high: f64,
    mass: f64,
}

/// A tilted law in blocks, from the lowest losses up.
pub(super) struct Coupling(Vec<Block>);

/// About how many blocks a law has.
const BLOCKS: f64 = 128.0;

/// Cells of less mass aren't looked at.
const LEAST: f64 = 1e-9;

impl Coupling {
    /// Of cells (lowest loss, highest loss, mass at least), from the lowest up. Together they have a mass of one at most.
    pub(super) fn new(cells: impl Iterator<Item = (f64, f64, f64)>) -> Self {
        let mut blocks: Vec<Block> = Vec::new();
        let mut open = false;
        for (low, high, mass) in cells {
            if mass < LEAST {
                open = false;
                continue;
            }
            match blocks.last_mut().filter(|_| open) {
                Some(block) => {
                    block.high = high;
                    block.mass += mass;
                }
                None => blocks.push(Block { low, high, mass }),
            }
            open = blocks.last().is_some_and(|b| b.mass < 1.0 / BLOCKS);
        }
        Self(blocks)
    }

    /// An upper bound on |φ(u)| for every u in [`low`, `high`].
    pub(super) fn bound_between(&self, low: f64, high: f64) -> f64 {
        let all: f64 = self.0.iter().map(|block| block.mass).sum();
        // Every block of the lower half, or what is left of it, goes with the next of the upper half.
        let mut upper = self.0.iter();
        let mut lower = self.0.iter();
        let mut passed = 0.0;
        let (mut here, mut there) = (None, None);
        while passed < all / 2.0 {
            let Some(block) = upper.next() else { break };
            passed += block.mass;
            there = Some(Block {
                mass: passed - all / 2.0,
                ..*block
            });
        }
        // The lower half ends where the upper one begins.
        let mut left = all / 2.0;
        let mut gain = 0.0;
        loop {
            here = here
                .filter(|b: &Block| b.mass > 0.0)
                .or_else(|| lower.next().copied());
            there = there
                .filter(|b: &Block| b.mass > 0.0)
                .or_else(|| upper.next().copied());
            let (Some(a), Some(b)) = (&mut here, &mut there) else {
                break;
            };
            let mass = a.mass.min(b.mass).min(left);
            if mass <= 0.0 {
                break;
            }
            let worst = largest_cosine(low * (b.low - a.high) / 2.0, high * (b.high - a.low) / 2.0);
            gain += 2.0 * (1.0 - worst) * mass;
            a.mass -= mass;
            b.mass -= mass;
            left -= mass;
        }
        // What rounding may have put into both halves is less than this.
        (1.0 - gain * (1.0 - 1e-9)).clamp(0.0, 1.0)
    }
}

/// The largest |cos x| for x between `from` and `to`.
fn largest_cosine(from: f64, to: f64) -> f64 {
    // Within one half turn |cos| falls and rises again.
    let turn = (from / PI).floor();
    let inside = from > 0.0 && to < (turn + 1.0) * PI && to < MOST_TURNED;
    if inside {
        from.cos().abs().max(to.cos().abs())
    } else {
        1.0
    }
}

/// Beyond, rounding of an angle might matter.
const MOST_TURNED: f64 = 1e4;

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clusters of atoms.
    fn atoms() -> Vec<(f64, f64)> {
        let near = (0..50).map(|k| (f64::from(k) * 1e-3, 0.9 / 50.0));
        let far = (0..20).map(|k| (100.0 + f64::from(k) * 0.1, 0.1 / 20.0));
        near.chain(far).collect()
    }

    #[test]
    fn no_characteristic_function_is_above_its_bound() {
        let coupling = Coupling::new(atoms().into_iter().map(|(l, m)| (l, l, m)));
        for k in 1..4000 {
            let (low, high) = (f64::from(k) * 1e-4, f64::from(k) * 1.05e-4);
            let bound = coupling.bound_between(low, high);
            for u in [low, (low + high) / 2.0, high] {
                let (mut re, mut im) = (0.0, 0.0);
                for (loss, mass) in atoms() {
                    re += mass * (u * loss).cos();
                    im += mass * (u * loss).sin();
                }
                assert!(f64::hypot(re, im) <= bound + 1e-12, "{u} {bound}");
            }
        }
    }

    #[test]
    fn far_clusters_cancel_each_other() {
        let coupling = Coupling::new(atoms().into_iter().map(|(l, m)| (l, l, m)));
        // The smaller cluster turns about half way against the larger one.
        let bound = coupling.bound_between(0.028, 0.034);
        // All of it is paired, and no pair is less than 99.9 apart: half of that is turned by 1.4 at least.
        let expected = 1.0 - 2.0 * 0.1 * (1.0 - f64::cos(0.028 * 99.9 / 2.0));
        assert!(bound < expected, "{bound} {expected}");
        assert_eq!(largest_cosine(3.0, 3.2), 1.0);
        assert_eq!(largest_cosine(-0.1, 0.2), 1.0);
        assert!((largest_cosine(3.3, 4.0) - f64::cos(3.3).abs()).abs() < 1e-15);
    }
}
