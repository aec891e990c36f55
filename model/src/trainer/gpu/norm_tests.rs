//! Norms and clipped sums of single parts, whatever numbers they are made of.

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use umbel_privacy::clip::ClippingNorm;
use umbel_privacy::lattice::{LatticeStep, LatticeVector};

use super::parts::{Factors, Part};
use super::shape::Shape;
use super::squares::Squares;
use crate::trainer::Clipping;

const TOKENS: usize = 4;
const INPUTS: usize = 6;
const OUTPUTS: usize = 8;

fn tensor(values: &[f32], width: usize) -> Tensor<3> {
    let data = TensorData::new(values.to_vec(), [1, values.len() / width, width]);
    Tensor::from_data(data, &Device::flex())
}

/// One unit's part: by the ghost norm, and multiplied out, as it is where there are more
/// tokens. Tokens of zeros change no gradient.
fn both(x: &[f32], g: &[f32]) -> [Part; 2] {
    let part = |tokens: usize| {
        let padded = |values: &[f32], width: usize| {
            let mut values = values.to_vec();
            values.resize(tokens.max(values.len() / width) * width, 0.0);
            tensor(&values, width)
        };
        let (x, g) = (padded(x, INPUTS), padded(g, OUTPUTS));
        let shape = Shape {
            units: 1,
            rows: 1,
            tokens: x.dims()[1],
        };
        Part::product("weight".into(), &x, &g, shape)
    };
    [part(0), part(8)]
}

/// A part's norm, where it can be relied on.
fn norm_of(part: &Part) -> Option<f64> {
    Squares::norms(Some(part.squares()), &[0.0])[0]
}

/// XᵀG in double precision.
fn exact(x: &[f32], g: &[f32]) -> Vec<f64> {
    let mut product = vec![0.0; INPUTS * OUTPUTS];
    for (x, g) in x.chunks(INPUTS).zip(g.chunks(OUTPUTS)) {
        for (i, x) in x.iter().enumerate() {
            for (j, g) in g.iter().enumerate() {
                product[i * OUTPUTS + j] += f64::from(*x) * f64::from(*g);
            }
        }
    }
    product
}

fn length(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Magnitudes from 1e-30 to 1e30, zeros, infinities and NaN.
fn any_value() -> impl Strategy<Value = f32> {
    let extreme = (-30.0..30.0_f64, any::<bool>()).prop_map(|(power, negative)| {
        let value = 10_f64.powf(power) as f32;
        if negative { -value } else { value }
    });
    prop_oneof![
        8 => extreme,
        4 => -2.0..2.0_f32,
        1 => Just(0.0),
        1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX]),
    ]
}

/// All numbers of one magnitude, or each of its own.
fn any_matrix(width: usize) -> impl Strategy<Value = Vec<f32>> {
    let count = TOKENS * width;
    let scaled = (-30.0..30.0_f64, prop::collection::vec(-1.0..1.0_f64, count)).prop_map(
        |(power, values)| {
            let scale = 10_f64.powf(power);
            values.iter().map(|x| (x * scale) as f32).collect()
        },
    );
    prop_oneof![scaled, prop::collection::vec(any_value(), count)]
}

/// Adds tokens with the same inputs and opposite gradients, but for a small share.
fn any_cancelling() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
    (
        prop::collection::vec(-1.0..1.0_f32, INPUTS),
        prop::collection::vec(-1.0..1.0_f32, OUTPUTS),
        -8.0..0.0_f64,
    )
        .prop_map(|(x, g, power)| {
            let less = 1.0 - 10_f64.powf(power) as f32;
            let opposite: Vec<f32> = g.iter().map(|g| -g * less).collect();
            ([x.clone(), x].concat(), [g, opposite].concat())
        })
}

/// What is added for a unit, or nothing where its norm is doubtful: then the gradient is
/// multiplied out, or refused.
fn clipped(part: &Part, clipping: Clipping) -> Vec<f64> {
    let Some(norm) = norm_of(part) else {
        return Vec::new();
    };
    let factors = Factors::new(&[clipping.factor(norm, 1.0)], &Device::flex());
    part.scaled_sum(&factors).iter::<f64>().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_unit_with_a_sound_norm_is_within_the_clipping_norm_after_rounding(
        (x, g) in prop_oneof![
            (any_matrix(INPUTS), any_matrix(OUTPUTS)),
            any_cancelling(),
        ],
        power in -6.0..6.0_f64,
    ) {
        let c = ClippingNorm::try_from(10_f64.powf(power)).expect("a clipping norm");
        let step = LatticeStep::for_sum(c, INPUTS * OUTPUTS);
        for part in both(&x, &g) {
            for clipping in [
                Clipping::Flat(c.with_slack()),
                Clipping::Automatic(c.with_slack()),
                Clipping::Residual(c.with_slack()),
            ] {
                let sum = clipped(&part, clipping);
                prop_assert!(sum.iter().all(|value| value.is_finite()));
                let vector = LatticeVector::quantize(&sum, step)?;
                prop_assert!(vector.check_norm(c, step).is_ok(), "{clipping:?} {:?}", norm_of(&part));
            }
        }
    }

    #[test]
    fn a_sound_norm_is_right_to_well_below_the_slack(
        (x, g) in prop_oneof![
            (prop::collection::vec(-1.0..1.0_f32, TOKENS * INPUTS),
             prop::collection::vec(-1.0..1.0_f32, TOKENS * OUTPUTS)),
            any_cancelling(),
        ],
    ) {
        let [ghost, direct] = both(&x, &g);
        if let Some(norm) = norm_of(&ghost) {
            let expected = length(&exact(&x, &g));
            prop_assert!((norm - expected).abs() <= 1e-4 * expected, "{norm} {expected}");
        }
        // Multiplied out, it is the norm of what is added, whatever cancels.
        let norm = norm_of(&direct).expect("a finite norm");
        let expected = length(&clipped(&direct, Clipping::None));
        prop_assert!((norm - expected).abs() <= 1e-5 * expected, "{norm} {expected}");
    }
}

#[test]
fn ordinary_tokens_have_a_sound_ghost_norm_and_cancelling_ones_do_not() {
    let x = [1.0, 2.0, 3.0, -1.0, 0.5, 0.25];
    let g = [1.0, -1.0, 2.0, 0.5, 0.1, 3.0, -2.0, 1.0];
    let opposite = g.map(|x| -0.9999 * x);
    let twice = |a: &[f32], b: &[f32]| [a, b].concat();
    let [ghost, direct] = both(&twice(&x, &x), &twice(&g, &g));
    let expected = length(&exact(&twice(&x, &x), &twice(&g, &g)));
    for part in [ghost, direct] {
        let norm = norm_of(&part).expect("sound");
        assert!((norm - expected).abs() < 1e-5 * expected);
    }
    let [ghost, direct] = both(&twice(&x, &x), &twice(&g, &opposite));
    assert_eq!(norm_of(&ghost), None);
    assert!(norm_of(&direct).is_some());
}

#[test]
fn what_is_no_number_or_of_no_ordinary_magnitude_is_doubtful() {
    let ones = |value: f32, width| vec![value; TOKENS * width];
    let norms = |x, g| both(&ones(x, INPUTS), &ones(g, OUTPUTS)).map(|part| norm_of(&part));
    for bad in [f32::NAN, f32::INFINITY, 1e30, 1e25] {
        assert_eq!(norms(bad, 1.0)[0], None, "{bad}");
    }
    // The factors' squares vanish or overflow, but the gradient is ordinary.
    let [ghost, direct] = norms(1e-25, 1e25);
    assert_eq!(ghost, None);
    assert!(direct.expect("sound") > 1.0);
    assert_eq!(norms(0.0, 1.0), [Some(0.0), Some(0.0)]);
}

/// The choice is made by the padded length of these very rows, and for groups by all of
/// their rows' tokens: either way gives one norm.
#[test]
fn short_and_long_rows_alone_and_in_groups_have_the_norm_of_their_product() {
    for (units, rows, tokens) in [(4, 1, 3), (4, 1, 20), (2, 3, 3), (3, 2, 2)] {
        let shape = Shape {
            units,
            rows,
            tokens,
        };
        let value = |i: usize| (i as f32 * 0.7).sin();
        let places = units * rows * tokens;
        let x: Vec<f32> = (0..places * INPUTS).map(value).collect();
        let g: Vec<f32> = (0..places * OUTPUTS).map(|i| value(i + 5)).collect();
        let shaped = |values: &[f32], width| {
            let data = TensorData::new(values.to_vec(), [units * rows, tokens, width]);
            Tensor::<3>::from_data(data, &Device::flex())
        };
        let (wide, tall) = (shaped(&x, INPUTS), shaped(&g, OUTPUTS));
        let part = Part::product("weight".into(), &wide, &tall, shape);
        let norms = Squares::norms(Some(part.squares()), &vec![0.0; units]);
        for (unit, norm) in norms.into_iter().enumerate() {
            let own = |values: &[f32], width: usize| {
                let size = rows * tokens * width;
                values[unit * size..(unit + 1) * size].to_vec()
            };
            let expected = length(&exact(&own(&x, INPUTS), &own(&g, OUTPUTS)));
            let norm = norm.expect("sound");
            assert!(
                (norm - expected).abs() < 1e-5 * expected,
                "{norm} {expected}"
            );
        }
    }
}
