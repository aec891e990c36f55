//! Gradients of every family are those of finite differences of the loss.

use umbel_model::families::{FAMILIES, Family};
use umbel_model::{Classifier, Clipping, DeviceChoice, Example, Pooling, TrainableSet, logits};

use crate::support::{lora, options, tiny_of};
use crate::{each_alone, examples, norm, sum};

/// The summed cross-entropy, from f32 logits on in double precision.
fn loss(model: &Classifier, examples: &[Example]) -> f64 {
    let rows: Vec<_> = examples.iter().map(|e| e.tokens.clone()).collect();
    let scores = logits(model, &rows, 16).expect("logits");
    let entropy = |(scores, example): (&Vec<f32>, &Example)| {
        let sum: f64 = scores.iter().map(|s| f64::from(*s).exp()).sum();
        sum.ln() - f64::from(scores[example.target.classes()[0]])
    };
    scores.iter().zip(examples).map(entropy).sum()
}

/// The derivative of the loss in a direction, by the central difference of fourth order.
///
/// The logits are exact to about 1e-6, so with a step of 0.01 the difference is to about
/// 1e-4; its own error, h⁴/30 times the fifth derivative, is far below. Where the loss has a kink
/// within the step, as behind a ReLU, the difference says nothing, and changes with the step.
fn slope(
    model: &Classifier,
    examples: &[Example],
    (offset, direction): (usize, &[f64]),
    step: f64,
) -> f64 {
    let parameters = model.parameters();
    let at = |steps: f64| {
        let mut moved = parameters.clone();
        for (p, d) in moved[offset..].iter_mut().zip(direction) {
            *p += (steps * step * d) as f32;
        }
        let mut model = model.clone();
        model.set_parameters(&moved).expect("finite parameters");
        loss(&model, examples)
    };
    (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * step)
}

/// How far the parameters are moved.
const STEP: f64 = 0.01;

/// Compares every tensor's gradient in its own direction, at its largest coordinate and at
/// four more.
fn compare_with_finite_differences(family: &dyn Family, pooling: Pooling, train: TrainableSet) {
    let model = tiny_of(family, &DeviceChoice::Cpu, options(pooling, train));
    let model = model.expect("the CPU");
    let examples = examples();
    let gradient = sum(&model, &examples, &each_alone(&examples), Clipping::None);
    let exact = loss(&model, &examples);
    assert!((gradient.loss - exact).abs() < 1e-5 * exact);
    let (mut worst, mut compared, mut kinks) = (0.0_f64, 0, 0);
    for entry in model.layout().entries() {
        let count: usize = entry.shape.iter().product();
        let part = &gradient.sum[entry.offset..entry.offset + count];
        let largest = (0..count)
            .max_by(|a, b| part[*a].abs().total_cmp(&part[*b].abs()))
            .expect("a coordinate");
        let unit = |index: usize| (0..count).map(|i| f64::from(i == index)).collect();
        let spread = (0..4).map(|i| i * (count - 1) / 3);
        let mut directions: Vec<Vec<f64>> = spread.chain([largest]).map(unit).collect();
        let length = norm(part);
        if length > 1e-3 {
            directions.push(part.iter().map(|x| x / length).collect());
        }
        for direction in directions {
            let along = (entry.offset, &direction[..]);
            let found: f64 = part.iter().zip(&direction).map(|(x, d)| x * d).sum();
            let near = |shorter: f64| {
                let expected = slope(&model, &examples, along, STEP / shorter);
                let error = (found - expected).abs() / expected.abs().max(1.0);
                // The logits' last digits count for more in a shorter step.
                (error < 1e-4 * shorter).then_some(error).ok_or(expected)
            };
            let error = match near(1.0) {
                Ok(error) => error,
                // A kink may be within the step, and not within a shorter one.
                Err(expected) => match near(2.0).or_else(|_| near(4.0)) {
                    Ok(error) => {
                        kinks += 1;
                        error
                    }
                    Err(finer) => panic!("{}: {found}, {expected}, {finer}", entry.name),
                },
            };
            compared += 1;
            worst = worst.max(error);
        }
    }
    assert!(kinks * 20 <= compared, "{kinks} kinks, {compared} compared");
    println!(
        "{family:?} {pooling} {train}, {kinks} kinks: gradients are off by {worst:e} of max(1, gradient) at most"
    );
}

/// In every family that pools so; the number of those.
fn compare_families(pooling: Pooling) -> usize {
    let all = FAMILIES.iter();
    let fitting: Vec<_> = all.filter(|f| f.poolings().contains(&pooling)).collect();
    for family in &fitting {
        compare_with_finite_differences(**family, pooling, TrainableSet::Full);
    }
    fitting.len()
}

#[test]
fn gradients_with_mean_pooling_are_those_of_finite_differences() {
    assert_eq!(compare_families(Pooling::Mean), FAMILIES.len());
}

#[test]
fn gradients_with_a_pooler_are_those_of_finite_differences() {
    assert!(compare_families(Pooling::Pooler) > 0);
}

#[test]
fn gradients_with_the_first_token_are_those_of_finite_differences() {
    assert!(compare_families(Pooling::Cls) > 0);
}

#[test]
fn gradients_with_the_last_token_are_those_of_finite_differences() {
    assert_eq!(compare_families(Pooling::Last), 2);
}

#[test]
fn gradients_of_adapters_and_biases_are_those_of_finite_differences() {
    // Without the pooler: behind DistilBERT's ReLU a difference may say nothing.
    for family in FAMILIES {
        for train in [
            TrainableSet::Bias,
            lora(&["all"], false),
            lora(&["key"], true),
        ] {
            compare_with_finite_differences(*family, Pooling::Mean, train);
        }
    }
}
