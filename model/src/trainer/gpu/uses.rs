//! Layers that a pass uses several times, as one use of as many more tokens.
//!
//! Where all depths share a layer, its gradient is the sum over its uses, Σₗ XₗᵀGₗ, and a unit's
//! norm is that of the sum, with the cross terms ⟨XₗᵀGₗ, XₘᵀGₘ⟩ between uses. Let X have the rows of
//! X₁, X₂ and so on one after the other, and G those of G₁, G₂. Then the sum is XᵀG, a product like
//! any other layer's: its ghost norm has the cross terms in the Gram matrices' blocks beside the
//! diagonal, and what is multiplied out or added has them anyway. Sums over tokens, of biases and
//! normalisations, go over all uses' tokens for the same reason.

use burn::tensor::Tensor;

use crate::network::{AdapterInputs, Kept};

/// A layer's use: its name, what its gradient is made of, and ∂L/∂(output), `[rows, tokens, out]`.
pub(super) type Use = (String, Kept, Tensor<3>);

/// Each layer once, in the order of their first uses.
pub(super) fn gathered(uses: Vec<Use>) -> Vec<Use> {
    let mut layers: Vec<(String, Vec<(Kept, Tensor<3>)>)> = Vec::new();
    for (name, kept, g) in uses {
        match layers.iter_mut().find(|(known, _)| *known == name) {
            Some((_, uses)) => uses.push((kept, g)),
            None => layers.push((name, vec![(kept, g)])),
        }
    }
    let one_use = |(name, uses): (String, Vec<(Kept, Tensor<3>)>)| {
        let (kept, g): (Vec<Kept>, Vec<Tensor<3>>) = uses.into_iter().unzip();
        Some((name, one_after_the_other(kept)?, joined(g)))
    };
    layers.into_iter().filter_map(one_use).collect()
}

/// The inputs of all uses along the tokens; `None` of none.
fn one_after_the_other(uses: Vec<Kept>) -> Option<Kept> {
    let mut uses = uses.into_iter();
    let first = uses.next()?;
    let rest: Vec<Kept> = uses.collect();
    if rest.is_empty() {
        return Some(first);
    }
    Some(match first {
        Kept::Linear(x) => Kept::Linear(with_others(x, &rest, |kept| match kept {
            Kept::Linear(x) => Some(x),
            _ => None,
        })),
        Kept::Norm(x) => Kept::Norm(with_others(x, &rest, |kept| match kept {
            Kept::Norm(x) => Some(x),
            _ => None,
        })),
        Kept::Adapter(inputs) => {
            let AdapterInputs {
                x,
                scaled_xa,
                scaled_b,
            } = *inputs;
            let x = x.map(|x| with_others(x, &rest, |kept| adapter(kept)?.x.as_ref()));
            let scaled_xa = with_others(scaled_xa, &rest, |kept| Some(&adapter(kept)?.scaled_xa));
            Kept::Adapter(Box::new(AdapterInputs {
                x,
                scaled_xa,
                // The matrix is one, whatever the use.
                scaled_b,
            }))
        }
        other @ (Kept::Bias | Kept::Embedding | Kept::Copy) => other,
    })
}

fn with_others<'a>(
    first: Tensor<3>,
    rest: &'a [Kept],
    inputs: impl Fn(&'a Kept) -> Option<&'a Tensor<3>>,
) -> Tensor<3> {
    let others = rest.iter().filter_map(inputs).cloned();
    joined([first].into_iter().chain(others).collect())
}

fn adapter(kept: &Kept) -> Option<&AdapterInputs> {
    match kept {
        Kept::Adapter(inputs) => Some(inputs),
        _ => None,
    }
}

/// `[rows, tokens, n]` along the tokens.
fn joined(mut parts: Vec<Tensor<3>>) -> Tensor<3> {
    match parts.len() {
        1 => parts.swap_remove(0),
        _ => Tensor::cat(parts, 1),
    }
}
