//! Compositions of very many distinct mechanisms, with their parameters rounded so that few are left.
//!
//! Rounded the one way they bound epsilon from above, and rounded the other way from below: more noise and less
//! sampling are post-processing (privacy/proofs/grid.md, "Very many distinct mechanisms").

use std::collections::BTreeMap;

use super::loss::Loss;
use super::total::Total;

/// Which way parameters are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Towards {
    /// Less noise, more sampling.
    More,
    /// More noise, less sampling.
    Less,
}

/// Steps of the logarithms of noise and rate that are tried.
const STEPS: [f64; 4] = [0.01, 0.03, 0.1, 0.3];

/// More than rounding takes of a logarithm and back.
const HAIR: f64 = 1e-12;

/// `total` with the parameters of its sampled Gaussians rounded as finely as leaves no more than `most` distinct
/// ones; None where none of the steps does.
pub(super) fn rounded(total: &Total, towards: Towards, most: usize) -> Option<Total> {
    STEPS
        .into_iter()
        .map(|step| by(total, towards, step))
        .find(|rounded| rounded.runs.len() <= most)
}

fn by(total: &Total, towards: Towards, step: f64) -> Total {
    let up = |value: f64| ((value.ln() / step).ceil() * step).exp() * (1.0 + HAIR);
    let down = |value: f64| ((value.ln() / step).floor() * step).exp() * (1.0 - HAIR);
    let mut counts: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    let mut runs = Vec::new();
    for &(mechanism, count) in &total.runs {
        let Loss::Sampled { q, sigma } = mechanism else {
            runs.push((mechanism, count));
            continue;
        };
        let (rate, noise) = match towards {
            Towards::More => (up(q), down(sigma)),
            Towards::Less => (down(q), up(sigma)),
        };
        // A sampled Gaussian has a rate below one.
        let rate = if rate < 1.0 { rate } else { q };
        *counts.entry((rate.to_bits(), noise.to_bits())).or_default() += count;
    }
    let sampled = counts.into_iter().map(|((rate, noise), count)| {
        let mechanism = Loss::Sampled {
            q: f64::from_bits(rate),
            sigma: f64::from_bits(noise),
        };
        (mechanism, count)
    });
    runs.extend(sampled);
    Total {
        runs,
        ..total.clone()
    }
}
