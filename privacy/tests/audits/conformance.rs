//! Conformance of a private path, by what it does: its divisor is public, each release is
//! charged, its batches are Poisson samples. Each check passes for the product's path and is
//! shown to catch a build that gets it wrong. Such builds exist in this file only.
//!
//! Checks of batches are statistical, at six standard deviations of sums that are near normal:
//! below one choice of seeds in 10⁸ for each, and there are fewer than ten. The others are exact.

use rand::seq::SliceRandom;
use umbel_privacy::audit::{
    AuditSettings, AuditedMechanism, PathError, PathUnderAudit, PrivatePath,
};
use umbel_privacy::{
    Adjacency, ClippingNorm, Delta, LatticeVector, NoiseMultiplier, NoisePlacement, NoiseSource,
    PrivacyUnit, SamplingRate,
};

const UNITS: usize = 200;
const ROUNDS: usize = 2_000;
/// Releases of which the mean is taken.
const RELEASES: usize = 200;
const RATE: f64 = 0.1;
const SIGMA: f64 = 1.0;
/// Deviations that a statistic may be off by.
const DEVIATIONS: f64 = 6.0;

fn path(seed: u64) -> PrivatePath<NoiseSource> {
    let rate = SamplingRate::try_from(RATE).unwrap();
    let mechanism = AuditedMechanism {
        noise_multiplier: NoiseMultiplier::try_from(SIGMA).unwrap(),
        sampling_rate: rate,
        rounds: ROUNDS as u64,
        clipping_norm: ClippingNorm::try_from(1.0).unwrap(),
        unit: PrivacyUnit::Client,
        placement: NoisePlacement::Central,
        adjacency: Adjacency::AddOrRemove,
    };
    let delta = Delta::try_from(1e-5).unwrap();
    let divisor = AuditSettings::public_divisor(UNITS, rate);
    let rng = NoiseSource::seeded(seed, "conformance");
    PrivatePath::new(mechanism, delta, 1, divisor, rng).unwrap()
}

/// A path with one step replaced; every other step is the product's.
struct Faulty {
    right: PrivatePath<NoiseSource>,
    fault: Fault,
    rng: NoiseSource,
    /// The rest of a shuffled epoch.
    epoch: Vec<usize>,
    released: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    CountedDivisor,
    UnchargedRound,
    FixedSize,
    Shuffled,
}

impl Faulty {
    fn new(fault: Fault, seed: u64) -> Self {
        Self {
            right: path(seed),
            fault,
            rng: NoiseSource::seeded(seed, "fault"),
            epoch: Vec::new(),
            released: 0,
        }
    }

    fn shuffled(&mut self, units: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..units).collect();
        order.shuffle(&mut self.rng);
        order
    }
}

impl PathUnderAudit for Faulty {
    fn contribute(&self, update: Vec<f32>) -> Result<LatticeVector, PathError> {
        self.right.contribute(update)
    }

    fn draw(&mut self, units: usize) -> Vec<usize> {
        let size = (RATE * units as f64) as usize;
        let mut batch = match self.fault {
            Fault::FixedSize => self.shuffled(units),
            Fault::Shuffled => {
                if self.epoch.len() < size {
                    self.epoch = self.shuffled(units);
                }
                self.epoch.split_off(self.epoch.len() - size)
            }
            Fault::CountedDivisor | Fault::UnchargedRound => return self.right.draw(units),
        };
        batch.truncate(size);
        batch.sort_unstable();
        batch
    }

    fn release(&mut self, sum: LatticeVector, units: usize) -> Result<Vec<f64>, PathError> {
        self.released += 1;
        if self.fault == Fault::UnchargedRound && self.released == 3 {
            // As if a round were published a second time with other noise.
            return Ok(sum.to_f64(self.right.step()));
        }
        let mut mean = self.right.release(sum, units)?;
        if self.fault == Fault::CountedDivisor {
            let counted = units.max(1) as f64;
            mean.iter_mut()
                .for_each(|x| *x *= self.right.divisor() / counted);
        }
        Ok(mean)
    }

    fn divisor(&self) -> f64 {
        self.right.divisor()
    }

    fn charged(&self) -> u64 {
        self.right.charged()
    }
}

/// Whether what is released scales with the sum alone: with noise of standard deviation
/// σ C / divisor, whoever came. The mean over many rounds of a sum of `came` units of norm C
/// has to be came · C / divisor.
fn divides_by_the_public_number(path: &mut impl PathUnderAudit) -> bool {
    let divisor = path.divisor();
    [1usize, 10, 40].into_iter().all(|came| {
        let mut total = 0.0;
        for _ in 0..RELEASES {
            let mut sum = LatticeVector::zeros(1);
            for _ in 0..came {
                let unit = path.contribute(vec![1.0]).unwrap();
                sum.checked_add_assign(&unit).unwrap();
            }
            total += path.release(sum, came).unwrap()[0];
        }
        let off = total / RELEASES as f64 - came as f64 / divisor;
        off.abs() < DEVIATIONS * SIGMA / divisor / (RELEASES as f64).sqrt() + 1e-6 * came as f64
    })
}

/// Whether each of some releases stands in the ledger.
fn charges_every_release(path: &mut impl PathUnderAudit) -> bool {
    (1..=10).all(|released| {
        path.release(LatticeVector::zeros(1), 0).unwrap();
        path.charged() == released
    })
}

/// Batches of many rounds.
fn batches(path: &mut impl PathUnderAudit) -> Vec<Vec<usize>> {
    (0..ROUNDS).map(|_| path.draw(UNITS)).collect()
}

/// Whether the mean of `values` is `expected`, by their own spread.
fn mean_is(values: &[f64], expected: f64, deviation: f64) -> bool {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (mean - expected).abs() < DEVIATIONS * deviation / (values.len() as f64).sqrt()
}

/// Whether batches have the sizes of Poisson samples: variance n q (1 - q), not 0.
fn sizes_vary_as_poisson_s_do(batches: &[Vec<usize>]) -> bool {
    let (n, q) = (UNITS as f64, RATE);
    let (mean, variance) = (n * q, n * q * (1.0 - q));
    let sizes: Vec<f64> = batches.iter().map(|batch| batch.len() as f64).collect();
    let squares: Vec<f64> = sizes.iter().map(|size| (size - mean).powi(2)).collect();
    // A binomial's fourth central moment is variance (1 + 3 variance (1 - 2/n) …) < 4 variance²
    // here, so that a square's deviation is below √3 variance.
    mean_is(&sizes, mean, variance.sqrt()) && mean_is(&squares, variance, 3f64.sqrt() * variance)
}

/// Whether a batch says nothing about the next: n q² units are in both, not fewer.
fn rounds_are_independent(batches: &[Vec<usize>]) -> bool {
    let expected = UNITS as f64 * RATE * RATE;
    let common: Vec<f64> = batches
        .windows(2)
        .map(|pair| pair[0].iter().filter(|unit| pair[1].contains(unit)).count() as f64)
        .collect();
    // Var = n q² (1 - q²); neighbouring pairs share a batch, which at most trebles it.
    mean_is(&common, expected, (3.0 * expected).sqrt())
}

fn draws_poisson_samples(path: &mut impl PathUnderAudit) -> bool {
    let batches = batches(path);
    sizes_vary_as_poisson_s_do(&batches) && rounds_are_independent(&batches)
}

#[test]
fn the_product_s_path_conforms() {
    assert!(divides_by_the_public_number(&mut path(1)));
    assert!(charges_every_release(&mut path(2)));
    assert!(draws_poisson_samples(&mut path(3)));
}

#[test]
fn a_divisor_that_counts_who_came_is_caught() {
    assert!(!divides_by_the_public_number(&mut Faulty::new(
        Fault::CountedDivisor,
        4
    )));
}

#[test]
fn a_round_that_is_not_charged_is_caught() {
    assert!(!charges_every_release(&mut Faulty::new(
        Fault::UnchargedRound,
        5
    )));
}

#[test]
fn batches_of_fixed_size_are_caught() {
    assert!(!draws_poisson_samples(&mut Faulty::new(
        Fault::FixedSize,
        6
    )));
}

#[test]
fn shuffled_batches_are_caught_by_their_size_and_by_their_overlap() {
    let batches = batches(&mut Faulty::new(Fault::Shuffled, 7));
    assert!(!sizes_vary_as_poisson_s_do(&batches));
    assert!(!rounds_are_independent(&batches));
}

#[test]
fn a_right_step_in_a_faulty_build_is_not_blamed() {
    assert!(charges_every_release(&mut Faulty::new(Fault::Shuffled, 8)));
    assert!(divides_by_the_public_number(&mut Faulty::new(
        Fault::FixedSize,
        9
    )));
    assert!(draws_poisson_samples(&mut Faulty::new(
        Fault::CountedDivisor,
        10
    )));
}
