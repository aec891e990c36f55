//! Attention of long rows, whose weights are computed again, beside the same with weights kept.

use std::ops::Range;

use super::attention::{Attention, Beside, Span};
use super::relative_bias::RelativeBias;
use super::workspace::Workspace;
use crate::families::relative::BUCKETS;

const ATTENTION: Attention = Attention {
    hidden: 12,
    heads: 3,
    key_value_heads: 3,
    causal: false,
    reach: None,
    kinds: 1,
};
/// The same, where tokens see near ones alone.
const NEAR: Attention = Attention {
    reach: Some(9),
    ..ATTENTION
};
/// A decoder's, of which three heads of queries read one of keys and values.
const DECODER: Attention = Attention {
    key_value_heads: 1,
    causal: true,
    ..ATTENTION
};
const ROWS: [Range<usize>; 3] = [0..150, 150..157, 157..230];
const TOKENS: usize = 230;

fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let number = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(77)) >> 8;
    let number = |i| number(i) as f32 / 8_388_608.0 - 1.0;
    (0..count).map(number).collect()
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    let scale = expected.iter().fold(0.0_f32, |top, x| top.max(x.abs()));
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs();
        assert!(error <= 1e-6 * scale, "{what}: {found} for {expected}");
    }
}

/// Context, ∂L/∂(queries, keys, values) and ∂L/∂(the bias of each row), where the weights of rows
/// of up to `kept` tokens are kept.
fn passes(attention: Attention, kept: usize, spans: &[Span], bias: &RelativeBias) -> [Vec<f32>; 3] {
    let workspace = &mut Workspace::default();
    // A buffer that was used before.
    workspace.give(vec![f32::NAN; 1 << 16]);
    let outputs: usize = spans.iter().map(|span| span.outputs.len()).sum();
    let qkv = numbers(TOKENS * attention.stride(), 1);
    let g = numbers(outputs * ATTENTION.hidden, 2);
    let mut context = vec![f32::NAN; g.len()];
    let to = &mut context;
    let beside = Beside::Bias(bias);
    let attended = attention.forward_keeping(kept, &qkv, spans, beside, None, to, workspace);
    let mut g_qkv = vec![f32::NAN; qkv.len()];
    let mut g_bias = vec![0.0; ROWS.len() * bias.len()];
    let asked = (beside, Some(g_bias.as_mut_slice()));
    attention.backward(&qkv, spans, &attended, &g, &mut g_qkv, asked, workspace);
    [context, g_qkv, g_bias]
}

#[test]
fn weights_that_are_computed_again_give_what_kept_ones_do() {
    let bias = RelativeBias::new(numbers(BUCKETS * ATTENTION.heads, 3), None);
    for (attention, only_first) in [
        (ATTENTION, false),
        (ATTENTION, true),
        (NEAR, false),
        (NEAR, true),
        (DECODER, false),
        (DECODER, true),
    ] {
        let spans = ROWS.into_iter().enumerate().map(|(index, tokens)| Span {
            outputs: match only_first {
                true => index..index + 1,
                false => tokens.clone(),
            },
            tokens,
        });
        let spans: Vec<Span> = spans.collect();
        let expected = passes(attention, usize::MAX, &spans, &bias);
        for kept in [0, 10, 100] {
            let found = passes(attention, kept, &spans, &bias);
            let names = ["context", "gradient", "gradient of the bias"];
            for ((found, expected), name) in found.iter().zip(&expected).zip(names) {
                assert_close(found, expected, name);
            }
        }
    }
}
