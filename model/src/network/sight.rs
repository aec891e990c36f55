//! What a layer's attention sees, and how it turns queries and keys.

use burn::tensor::{Device, Tensor, TensorData};

use super::Network;
use super::batch::{Batch, MASKED};
use crate::families::Rotation;

/// What attention needs beside a layer's weights.
#[derive(Clone)]
pub(super) struct Sight {
    /// Added to the scores, `[batch or 1, heads or 1, tokens or 1, tokens]`.
    pub(super) bias: Tensor<4>,
    /// Cosines and sines of each token's angles, `[1, 1, tokens, width / 2]`.
    angles: Option<[Tensor<4>; 2]>,
}

impl Sight {
    fn new(bias: &Tensor<4>, rotation: Rotation, tokens: usize, width: usize) -> Self {
        let device = bias.device();
        let (cosines, sines) = rotation.angles(tokens, width);
        let shape = [1, 1, tokens, width / 2];
        let angles =
            [cosines, sines].map(|x| Tensor::from_data(TensorData::new(x, shape), &device));
        let bias = match rotation.reach {
            Some(_) => bias.clone() + out_of_reach(rotation, tokens, &device),
            None => bias.clone(),
        };
        Self {
            bias,
            angles: Some(angles),
        }
    }

    /// Queries or keys of the first tokens, `[batch, heads, tokens, width]`, by their places.
    pub(super) fn turned(&self, x: Tensor<4>) -> Tensor<4> {
        let Some(angles) = &self.angles else {
            return x;
        };
        let [rows, heads, tokens, width] = x.dims();
        let half = width / 2;
        let [cosines, sines] = angles
            .clone()
            .map(|x| x.slice([0..1, 0..1, 0..tokens, 0..half]));
        let part = |from, to| x.clone().slice([0..rows, 0..heads, 0..tokens, from..to]);
        let (first, second) = (part(0, half), part(half, width));
        let turned = [
            first.clone() * cosines.clone() - second.clone() * sines.clone(),
            second * cosines + first * sines,
        ];
        Tensor::cat(turned.to_vec(), 3)
    }
}

impl Network {
    /// What the layers see of a batch: one for all, or one for each. `bias` is what all have.
    pub(super) fn sights(&self, batch: &Batch, bias: &Tensor<4>) -> Vec<Sight> {
        let [_, tokens] = batch.shape();
        let width = self.spec.hidden_size / self.spec.heads;
        if self.spec.rotations.is_empty() {
            return vec![Sight {
                bias: bias.clone(),
                angles: None,
            }];
        }
        let mut known: Vec<(Rotation, Sight)> = Vec::new();
        let mut sights = Vec::new();
        for rotation in &self.spec.rotations {
            let found = known.iter().find(|(seen, _)| seen == rotation);
            let sight = match found {
                Some((_, sight)) => sight.clone(),
                None => {
                    let sight = Sight::new(bias, *rotation, tokens, width);
                    known.push((*rotation, sight.clone()));
                    sight
                }
            };
            sights.push(sight);
        }
        sights
    }
}

/// What leaves no weight to tokens out of reach, `[1, 1, tokens, tokens]`.
fn out_of_reach(rotation: Rotation, tokens: usize, device: &Device) -> Tensor<4> {
    let pairs = (0..tokens).flat_map(|query| (0..tokens).map(move |key| (query, key)));
    let masks = pairs.map(|(query, key)| match rotation.sees(query, key) {
        true => 0.0,
        false => MASKED,
    });
    let masks: Vec<f32> = masks.collect();
    Tensor::from_data(TensorData::new(masks, [1, 1, tokens, tokens]), device)
}
