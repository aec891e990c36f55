//! Where epsilon is likely to be if a few large losses are left out: a look at a few hundred outcomes of each mechanism.
//!
//! It steers and proves nothing.

use super::cumulants::Cumulants;
use super::loss::Loss;
use super::saddle::Saddle;
use super::sampled_gaussian::SampledGaussian;
use super::total::Total;

/// Outcomes by their distance, in standard deviations, from -10 to 1/σ + 12.
const STEP: f64 = 1.0 / 12.0;
const REACH: (f64, f64) = (-10.0, 12.0);
const MOST_OUTCOMES: f64 = 4000.0;

/// The largest loss that is kept, in epsilons.
const ROOM: f64 = 1.5;

/// Of δ so much at least has to be left for the others.
const LEAST_REST: f64 = 0.05;

/// Halvings of the range in which the largest loss is looked for.
const HALVINGS: u32 = 10;

/// One mechanism's outcomes as (loss, ln of P's mass), from the lowest loss up, and how often it runs.
type Outcomes = (Vec<(f64, f64)>, f64);

/// Epsilon, about, with the losses left out that are larger, or with what is rare left out only, those above `highest`;
/// None where that leaves nothing.
pub(super) fn epsilon(total: &Total, delta: f64, highest: f64) -> Option<f64> {
    let sampled = |(mechanism, count): &(Loss, u64)| match *mechanism {
        Loss::Sampled { q, sigma } => {
            let law = SampledGaussian {
                q,
                sigma,
                side: total.side,
                cut: None,
            };
            Some((outcomes(law)?, *count as f64))
        }
        _ => None,
    };
    let all: Vec<Outcomes> = total.runs.iter().filter_map(sampled).collect();
    let others = Total {
        runs: total
            .runs
            .iter()
            .filter(|(mechanism, _)| !matches!(mechanism, Loss::Sampled { .. }))
            .copied()
            .collect(),
        ..total.clone()
    };
    // ln of the largest loss that is kept.
    let (mut low, mut high) = (highest.ln() - 30.0, highest.ln());
    let mut found = without_above(&all, &others, highest, delta);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        let epsilon = without_above(&all, &others, middle.exp(), delta);
        match epsilon {
            Some(epsilon) if middle.exp() >= ROOM * epsilon => {
                found = Some(epsilon);
                high = middle;
            }
            _ => low = middle,
        }
    }
    found
}

/// Epsilon without the losses above `most`; None where too much of δ would be theirs.
fn without_above(all: &[Outcomes], others: &Total, most: f64, delta: f64) -> Option<f64> {
    let mut gone = 0.0;
    let kept: Vec<(&[(f64, f64)], f64)> = all
        .iter()
        .map(|(outcomes, times)| {
            let (kept, large) = outcomes.split_at(outcomes.partition_point(|o| o.0 < most));
            gone += times * large.iter().map(|(_, ln_p)| ln_p.exp()).sum::<f64>();
            (kept, *times)
        })
        .collect();
    let rest = delta - gone;
    let is_enough = rest > LEAST_REST * delta;
    if !is_enough {
        return None;
    }
    let cumulants = |theta: f64| {
        let mut sum = others.cumulants(theta)?;
        for (outcomes, times) in &kept {
            let tilted: Vec<(f64, f64)> = outcomes
                .iter()
                .map(|(loss, ln_p)| (*loss, ln_p + theta * loss))
                .collect();
            sum.add(Cumulants::of(&tilted), *times);
        }
        (sum.log_moment.is_finite() && sum.mean.is_finite()).then_some(sum)
    };
    let epsilon = Saddle::of(&cumulants, rest.ln())?.epsilon;
    (epsilon > 0.0).then_some(epsilon)
}

fn outcomes(law: SampledGaussian) -> Option<Vec<(f64, f64)>> {
    let from = REACH.0 / STEP;
    let count = (1.0 / law.sigma + REACH.1) / STEP - from;
    let are_few = count < MOST_OUTCOMES;
    if !are_few {
        return None;
    }
    let outcomes: Vec<(f64, f64)> = (0..count as usize)
        .map(|k| {
            let x = (from + k as f64) * STEP * law.sigma;
            let loss = law.loss(x);
            (loss, law.ln_density(x, loss))
        })
        .collect();
    let sum: f64 = outcomes.iter().map(|(_, ln)| ln.exp()).sum();
    let all = outcomes.into_iter();
    Some(all.map(|(loss, ln)| (loss, ln - sum.ln())).collect())
}
