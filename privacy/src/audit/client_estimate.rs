//! An **estimate** of epsilon for the unit `client`, from random canaries: Andrew et al. 2023,
//! "One-shot Empirical Privacy Estimation for Federated Learning", Algorithm 2.
//!
//! Canary clients send random vectors. After the run, the cosine of each canary with the sum
//! of all releases is near 0 for those that were out and larger for those that were in. A
//! Gaussian is fitted to either group, and epsilon is that of telling the two Gaussians apart.
//!
//! It is no bound: it takes the cosines for Gaussian and the fits for exact, and it sees the
//! sum of all rounds only. The truth may be above it or below it.

use std::f64::consts::SQRT_2;

use rand::CryptoRng;

use super::canaries::{Canaries, LENGTH};
use super::path::{AuditedMechanism, PathError, PathUnderAudit};
use super::power::normal;
use crate::accountant::Delta;
use crate::lattice::LatticeVector;

/// Canary clients.
pub const CLIENTS: usize = 500;
/// Parameters of their made-up model: many, so that random vectors are nearly at right angles.
pub const PARAMETERS: usize = 10_000;
/// No estimate is reported above this; e^ε is still a float.
const LARGEST_EPSILON: f64 = 500.0;

/// An estimate of epsilon, which may be too high or too low.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClientEstimate {
    /// The estimate; `None` where the cosines can't be told from chance or aren't numbers.
    pub epsilon: Option<f64>,
    /// Canary clients that it rests on.
    pub clients: usize,
}

/// A Gaussian fitted to cosines.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fit {
    mean: f64,
    deviation: f64,
}

/// Runs every round of `path`, which has to be made for [`PARAMETERS`] coordinates.
///
/// # Errors
/// [`PathError`].
pub fn estimate<P: PathUnderAudit, R: CryptoRng + ?Sized>(
    mechanism: &AuditedMechanism,
    delta: Delta,
    path: &mut P,
    rng: &mut R,
    round_done: &mut dyn FnMut(u64),
) -> Result<ClientEstimate, PathError> {
    let canaries = Canaries::toss(CLIENTS, rng);
    let directions: Vec<Vec<f32>> = (0..CLIENTS).map(|_| direction(rng)).collect();
    let length = (LENGTH * mechanism.clipping_norm.get()) as f32;
    let contribution = |unit: usize| -> Result<Option<LatticeVector>, PathError> {
        if !canaries.included()[unit] {
            return Ok(None);
        }
        let update = directions[unit].iter().map(|x| x * length).collect();
        path.contribute(update).map(Some)
    };
    let contributions: Vec<_> = (0..CLIENTS).map(contribution).collect::<Result<_, _>>()?;
    let mut total = vec![0.0; PARAMETERS];
    for round in 1..=mechanism.rounds {
        let drawn = path.draw(CLIENTS);
        let mut sum = LatticeVector::zeros(PARAMETERS);
        for vector in drawn
            .iter()
            .filter_map(|&unit| contributions[unit].as_ref())
        {
            sum.checked_add_assign(vector)?;
        }
        let released = path.release(sum, drawn.len())?;
        total.iter_mut().zip(released).for_each(|(t, x)| *t += x);
        round_done(round);
    }
    let cosines = directions.iter().map(|d| cosine(d, &total));
    let (included, left_out): (Vec<_>, Vec<_>) = cosines
        .zip(canaries.included())
        .partition(|&(_, &included)| included);
    let cosines_of = |group: Vec<(f64, &bool)>| group.into_iter().map(|(c, _)| c).collect();
    let (with, without) = (fit(cosines_of(included)), fit(cosines_of(left_out)));
    Ok(ClientEstimate {
        epsilon: with.zip(without).map(|(p, q)| told_apart(p, q, delta)),
        clients: CLIENTS,
    })
}

/// A random unit vector.
fn direction<R: CryptoRng + ?Sized>(rng: &mut R) -> Vec<f32> {
    let normals: Vec<f64> = (0..PARAMETERS).map(|_| normal(rng)).collect();
    let norm = normals.iter().map(|x| x * x).sum::<f64>().sqrt();
    normals.iter().map(|x| (x / norm) as f32).collect()
}

fn cosine(direction: &[f32], total: &[f64]) -> f64 {
    let product: f64 = direction
        .iter()
        .zip(total)
        .map(|(&d, t)| f64::from(d) * t)
        .sum();
    product / total.iter().map(|t| t * t).sum::<f64>().sqrt()
}

/// `None` for fewer than two numbers, or numbers that don't vary or aren't finite.
fn fit(cosines: Vec<f64>) -> Option<Fit> {
    let count = cosines.len() as f64;
    let mean = cosines.iter().sum::<f64>() / count;
    let squares: f64 = cosines.iter().map(|c| (c - mean) * (c - mean)).sum();
    let deviation = (squares / (count - 1.0)).sqrt();
    (deviation.is_finite() && deviation > 0.0).then_some(Fit { mean, deviation })
}

/// The epsilon at which two Gaussians are (ε, δ)-indistinguishable in both directions.
fn told_apart(p: Fit, q: Fit, delta: Delta) -> f64 {
    let differ = |epsilon: f64| {
        hockey_stick(p, q, epsilon) > delta.get() || hockey_stick(q, p, epsilon) > delta.get()
    };
    if !differ(0.0) {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, LARGEST_EPSILON);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if differ(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// P(L > ε) - e^ε Q(L > ε) for the loss L = ln p/q, which is a parabola in x.
fn hockey_stick(p: Fit, q: Fit, epsilon: f64) -> f64 {
    // In the variable z = (x - q.mean) / q.deviation: q is standard.
    let (m, s) = ((p.mean - q.mean) / q.deviation, p.deviation / q.deviation);
    // L - ε = a z² + b z + c.
    let precision = 1.0 / (s * s);
    let (a, b) = (0.5 * (1.0 - precision), m * precision);
    let c = -0.5 * m * m * precision - s.ln() - epsilon;
    let under_p = |low: f64, high: f64| between((low - m) / s, (high - m) / s);
    let mass = |low: f64, high: f64| under_p(low, high) - epsilon.exp() * between(low, high);
    let infinity = f64::INFINITY;
    if a.abs() < 1e-12 {
        return match b {
            b if b > 0.0 => mass(-c / b, infinity),
            b if b < 0.0 => mass(-infinity, -c / b),
            _ => 0.0,
        };
    }
    let discriminant = b * b - 4.0 * a * c;
    if discriminant <= 0.0 {
        return if a > 0.0 {
            mass(-infinity, infinity)
        } else {
            0.0
        };
    }
    // The product of the roots is c/a; so neither is computed as a difference of equals.
    let half = -0.5 * (b + discriminant.sqrt().copysign(b));
    let (one, other) = (half / a, c / half);
    let (low, high) = (one.min(other), one.max(other));
    if a > 0.0 {
        mass(-infinity, low) + mass(high, infinity)
    } else {
        mass(low, high)
    }
}

/// The standard normal's probability of an interval.
fn between(low: f64, high: f64) -> f64 {
    let above = |z: f64| 0.5 * libm::erfc(z / SQRT_2);
    if low > 0.0 {
        above(low) - above(high)
    } else {
        above(-high) - above(-low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accountant::gaussian;

    fn delta() -> Delta {
        Delta::try_from(1e-5).unwrap()
    }

    #[test]
    fn gaussians_of_one_width_have_the_closed_form_s_epsilon() {
        for mu in [0.1, 1.0, 3.0] {
            let (p, q) = (
                Fit {
                    mean: mu * 0.02,
                    deviation: 0.02,
                },
                Fit {
                    mean: 0.0,
                    deviation: 0.02,
                },
            );
            let (found, expected) = (told_apart(p, q, delta()), gaussian::epsilon(mu, delta()));
            assert!((found / expected.get() - 1.0).abs() < 1e-6, "{mu}: {found}");
        }
    }

    #[test]
    fn widths_tell_apart_too_in_either_direction() {
        let (narrow, wide) = (
            Fit {
                mean: 0.0,
                deviation: 1.0,
            },
            Fit {
                mean: 0.0,
                deviation: 2.0,
            },
        );
        let found = told_apart(narrow, wide, delta());
        assert_eq!(found, told_apart(wide, narrow, delta()));
        assert!(found > 1.0 && found.is_finite(), "{found}");
        assert_eq!(told_apart(wide, wide, delta()), 0.0);
    }

    #[test]
    fn cosines_that_say_nothing_have_no_fit() {
        assert_eq!(fit(vec![]), None);
        assert_eq!(fit(vec![1.0]), None);
        assert_eq!(fit(vec![0.5, 0.5]), None);
        assert_eq!(fit(vec![0.5, f64::NAN]), None);
    }
}
