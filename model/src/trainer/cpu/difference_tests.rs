//! Each fused operation against its definition in double precision, and its pass back against
//! finite differences of that definition.

use std::ops::Range;

use super::activation::activate;
use super::attention::{Attention, Beside, Span};
use super::layer_norm::{Norm, Summands};
use super::workspace::Workspace;
use crate::families::Activation;

/// Numbers between -1 and 1, the same in every run.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn widened(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

/// ∂(Σ weight · f(x))/∂x by central differences.
fn differences(x: &[f64], weights: &[f32], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let step = 1e-5;
    let along = |x: &[f64]| -> f64 {
        let weighted = f(x).into_iter().zip(weights);
        weighted.map(|(y, w)| y * f64::from(*w)).sum()
    };
    let mut moved = x.to_vec();
    let slopes = (0..x.len()).map(|i| {
        moved[i] = x[i] + step;
        let above = along(&moved);
        moved[i] = x[i] - step;
        let below = along(&moved);
        moved[i] = x[i];
        (above - below) / (2.0 * step)
    });
    slopes.collect()
}

/// Asserts that both agree to 10^-5 of the largest number.
fn assert_close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.0_f64, |top, x| top.max(x.abs()));
    for (found, expected) in found.iter().zip(expected) {
        let error = (f64::from(*found) - expected).abs();
        assert!(
            error <= 1e-5 * scale,
            "{what}: {found} where {expected} is right"
        );
    }
}

const ROWS: [Range<usize>; 4] = [0..1, 1..6, 6..39, 39..40];
const TOKENS: usize = 40;
const ATTENTION: Attention = Attention {
    hidden: 12,
    heads: 3,
    key_value_heads: 3,
    causal: false,
    reach: None,
    kinds: 1,
};

/// A decoder's: tokens attend to those before, and three heads of queries read one of keys and values.
const DECODER: Attention = Attention {
    key_value_heads: 1,
    causal: true,
    ..ATTENTION
};

/// The rows, of which all tokens attend to all, or the first alone does.
fn spans(only_first: bool) -> Vec<Span> {
    let rows = ROWS.into_iter().enumerate();
    let span = |(index, tokens): (usize, Range<usize>)| Span {
        outputs: match only_first {
            true => index..index + 1,
            false => tokens.clone(),
        },
        tokens,
    };
    rows.map(span).collect()
}

/// Attention by its definition, of queries, keys and values side by side.
fn attention(kind: Attention, qkv: &[f64], spans: &[Span], mask: Option<&[f32]>) -> Vec<f64> {
    let (hidden, width) = (kind.hidden, kind.hidden / kind.heads);
    let keys = kind.key_value_heads * width;
    // Of a column of queries, and the same of the keys and values that its head reads.
    let at = |token: usize, which: usize, column: usize| {
        let own = column / width * kind.key_value_heads / kind.heads * width + column % width;
        let start = token * (hidden + 2 * keys);
        match which {
            0 => qkv[start + column],
            1 => qkv[start + hidden + own],
            _ => qkv[start + hidden + keys + own],
        }
    };
    let outputs: usize = spans.iter().map(|span| span.outputs.len()).sum();
    let mut context = vec![0.0; outputs * hidden];
    let mut place = 0;
    for Span { tokens, outputs } in spans {
        for head in 0..kind.heads {
            let columns = head * width..(head + 1) * width;
            for (i, output) in tokens.clone().zip(outputs.clone()) {
                let score = |j: usize| -> f64 {
                    let products = columns.clone().map(|c| at(i, 0, c) * at(j, 1, c));
                    products.sum::<f64>() / (width as f64).sqrt()
                };
                let weights: Vec<f64> = tokens
                    .clone()
                    .map(|j| {
                        if kind.causal && j > i {
                            0.0
                        } else {
                            score(j).exp()
                        }
                    })
                    .collect();
                let total: f64 = weights.iter().sum();
                for (j, weight) in tokens.clone().zip(weights) {
                    let kept = mask.map_or(1.0, |mask| f64::from(mask[place]));
                    place += 1;
                    for c in columns.clone() {
                        context[output * hidden + c] += weight / total * kept * at(j, 2, c);
                    }
                }
            }
        }
    }
    context
}

#[test]
fn attention_and_its_pass_back_are_those_of_the_definition() {
    for (kind, only_first) in [
        (ATTENTION, false),
        (ATTENTION, true),
        (DECODER, false),
        (DECODER, true),
    ] {
        let qkv: Vec<f32> = numbers(TOKENS * kind.stride(), 1)
            .iter()
            .map(|x| 2.0 * x)
            .collect();
        let spans = spans(only_first);
        let outputs: usize = spans.iter().map(|span| span.outputs.len()).sum();
        let g = numbers(outputs * ATTENTION.hidden, 2);
        let dropout: Vec<f32> = numbers(ATTENTION.weights(&spans), 3)
            .iter()
            .map(|x| if *x < -0.5 { 0.0 } else { 4.0 / 3.0 })
            .collect();
        for mask in [None, Some(dropout)] {
            let workspace = &mut Workspace::default();
            let mut context = vec![f32::NAN; g.len()];
            let attended = kind.forward(
                &qkv,
                &spans,
                Beside::Nothing,
                mask.clone(),
                &mut context,
                workspace,
            );
            let define = |qkv: &[f64]| attention(kind, qkv, &spans, mask.as_deref());
            assert_close(&context, &define(&widened(&qkv)), "context");
            let mut g_qkv = vec![f32::NAN; qkv.len()];
            kind.backward(
                &qkv,
                &spans,
                &attended,
                &g,
                &mut g_qkv,
                (Beside::Nothing, None),
                workspace,
            );
            let expected = differences(&widened(&qkv), &g, define);
            assert_close(&g_qkv, &expected, "gradient of queries, keys and values");
        }
    }
}

#[test]
fn normalisation_and_its_pass_back_are_those_of_the_definition() {
    let (rows, width, epsilon) = (5, 37, 1e-3);
    let x = numbers(rows * width, 4);
    let residual = numbers(rows * width, 5);
    let [bias, gamma, beta] = [6, 7, 8].map(|seed| numbers(width, seed));
    let g = numbers(rows * width, 9);
    let dropout: Vec<f32> = numbers(x.len(), 10)
        .iter()
        .map(|x| if *x < -0.5 { 0.0 } else { 4.0 / 3.0 })
        .collect();
    for (mask, centred) in [None, Some(dropout.as_slice())]
        .into_iter()
        .flat_map(|mask| [(mask, true), (mask, false)])
    {
        let norm = Norm {
            gamma: &gamma,
            beta: &beta,
            epsilon,
            centred,
        };
        let of_sum = |sum: &[f64]| -> Vec<f64> {
            let normalised = sum.chunks(width).flat_map(|row| {
                let mean = match centred {
                    true => row.iter().sum::<f64>() / width as f64,
                    false => 0.0,
                };
                let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                let scale = (variance + f64::from(epsilon)).sqrt();
                let affine = gamma.iter().zip(&beta).zip(row);
                affine
                    .map(|((gamma, beta), x)| {
                        (x - mean) / scale * f64::from(*gamma) + f64::from(*beta)
                    })
                    .collect::<Vec<_>>()
            });
            normalised.collect()
        };
        let summands = Summands {
            bias: &bias,
            mask,
            residual: &residual,
        };
        let mut normalised = x.clone();
        let mut inverse = vec![0.0; rows];
        let mut out = vec![f32::NAN; x.len()];
        norm.forward(&mut normalised, Some(&summands), &mut inverse, &mut out);
        let sum: Vec<f64> = (0..x.len())
            .map(|i| {
                let kept = mask.map_or(1.0, |mask| f64::from(mask[i]));
                f64::from(x[i] + bias[i % width]) * kept + f64::from(residual[i])
            })
            .collect();
        assert_close(&out, &of_sum(&sum), "normalised");
        let mut g_sum = g.clone();
        norm.backward(&mut g_sum, &normalised, &inverse);
        assert_close(&g_sum, &differences(&sum, &g, of_sum), "gradient");
    }
}

#[test]
fn activations_have_the_values_and_slopes_of_their_definitions() {
    let gelu_tanh = |x: f64| {
        let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
        0.5 * x * (1.0 + inner.tanh())
    };
    let relu = |x: f64| x.max(0.0);
    let silu = |x: f64| x / (1.0 + (-x).exp());
    let define = |kind: Activation, x: f64| match kind {
        Activation::GeluTanh => gelu_tanh(x),
        Activation::Silu => silu(x),
        // GELU by its error function is held against an integral beside its code.
        _ => relu(x),
    };
    // None at 0, where ReLU has no slope.
    let x: Vec<f32> = (-120..120).map(|i| (i as f32 + 0.37) / 15.0).collect();
    let bias = [0.25, -0.5, 0.125];
    for kind in [Activation::GeluTanh, Activation::Relu, Activation::Silu] {
        let mut value = x.clone();
        let mut slope = vec![f32::NAN; x.len()];
        activate(kind, &mut value, &bias, &mut slope);
        let sum: Vec<f64> = x
            .iter()
            .zip(bias.iter().cycle())
            .map(|(x, bias)| f64::from(x + bias))
            .collect();
        let of_sum = |x: &[f64]| x.iter().map(|x| define(kind, *x)).collect::<Vec<_>>();
        assert_close(&value, &of_sum(&sum), "value");
        let ones = vec![1.0; x.len()];
        assert_close(&slope, &differences(&sum, &ones, of_sum), "slope");
    }
}

#[test]
fn numbers_that_are_none_stay_so() {
    for kind in [
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Relu,
        Activation::Silu,
    ] {
        let mut value = [f32::NAN, 1.0];
        activate(kind, &mut value, &[0.0], &mut [0.0; 2]);
        assert!(value[0].is_nan() && value[1].is_finite(), "{kind:?}");
    }
    let mut qkv = numbers(TOKENS * 3 * ATTENTION.hidden, 11);
    qkv[0] = f32::NAN;
    let mut context = vec![0.0; TOKENS * ATTENTION.hidden];
    let workspace = &mut Workspace::default();
    ATTENTION.forward(
        &qkv,
        &spans(false),
        Beside::Nothing,
        None,
        &mut context,
        workspace,
    );
    let (first, others) = context.split_at(ATTENTION.hidden);
    assert!(first.iter().any(|x| x.is_nan()));
    assert!(others.iter().all(|x| x.is_finite()));
}
