//! What a layer's attention sees, and how it turns queries and keys.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::batch::{Batch, MASKED};
use super::{Network, RELATIVE_STATES, Tape};
use crate::families::Rotation;

/// What attention needs beside a layer's weights.
#[derive(Clone)]
pub(super) struct Sight {
    /// Added to the scores, `[batch or 1, heads or 1, tokens or 1, tokens]`.
    pub(super) bias: Tensor<4>,
    /// Cosines and sines of each token's angles, `[1, 1, tokens, width / 2]`.
    angles: Option<[Tensor<4>; 2]>,
    /// Relative places that content is scored against, in families that do so.
    pub(super) places: Option<RelativePlaces>,
}

/// The states of a batch's relative places.
#[derive(Clone)]
pub(super) struct RelativePlaces {
    /// `[batch or 1, states, hidden]`
    pub(super) states: Tensor<3>,
    /// Which of them a query and a key have, `[1, 1, tokens, tokens]`.
    which: Tensor<4, Int>,
}

impl RelativePlaces {
    /// Scores of queries, `[batch, heads, asked, width]` of the first tokens, against places' keys,
    /// and of keys, `[batch, heads, tokens, width]`, against places' queries: `[batch, heads, asked,
    /// tokens]`. Which place it is depends on the query's place less the key's in both.
    pub(super) fn scores(
        &self,
        queries: &Tensor<4>,
        keys: &Tensor<4>,
        place_queries: Tensor<4>,
        place_keys: Tensor<4>,
    ) -> Tensor<4> {
        let [rows, heads, asked, _] = queries.dims();
        let tokens = keys.dims()[2];
        let of = |x: &Tensor<4>, places: Tensor<4>| x.clone().matmul(places.swap_dims(2, 3));
        let which = |which: Tensor<4, Int>| which.repeat_dim(0, rows).repeat_dim(1, heads);
        let forth = self.which.clone().slice([0..1, 0..1, 0..asked, 0..tokens]);
        let forth = of(queries, place_keys).gather(3, which(forth));
        let back = self.which.clone().swap_dims(2, 3);
        let back = of(keys, place_queries)
            .gather(3, which(back))
            .swap_dims(2, 3);
        forth + back.slice([0..rows, 0..heads, 0..asked, 0..tokens])
    }
}

impl Sight {
    fn new(bias: &Tensor<4>, rotation: Rotation, tokens: usize, width: usize) -> Self {
        let device = bias.device();
        let (cosines, sines) = rotation.angles(tokens, width);
        let shape = [1, 1, tokens, width / 2];
        let angles =
            [cosines, sines].map(|x| Tensor::from_data(TensorData::new(x, shape), &device));
        let bias = match rotation.reach {
            Some(_) => bias.clone() + unseen(tokens, &device, |q, k| rotation.sees(q, k)),
            None => bias.clone(),
        };
        Self {
            bias,
            angles: Some(angles),
            places: None,
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
    pub(super) fn sights(
        &self,
        batch: &Batch,
        bias: &Tensor<4>,
        tape: &mut Tape<'_>,
    ) -> Vec<Sight> {
        let [_, tokens] = batch.shape();
        let width = self.spec.hidden_size / self.spec.heads;
        let bias = &match self.spec.causal {
            true => bias.clone() + unseen(tokens, &bias.device(), |query, key| key <= query),
            false => bias.clone(),
        };
        if self.spec.rotations.is_empty() {
            return vec![Sight {
                bias: bias.clone(),
                angles: None,
                places: self.relative_places(batch, tape),
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

    /// The relative places of a batch.
    fn relative_places(&self, batch: &Batch, tape: &mut Tape<'_>) -> Option<RelativePlaces> {
        let (shape, states) = (self.spec.disentangled?, self.relative_states.as_ref()?);
        let [rows, tokens] = batch.shape();
        let used = shape.rows(tokens);
        let table = tape.for_each_row(RELATIVE_STATES, &states.table, rows);
        let [copies, _, hidden] = table.dims();
        let near = table.slice([0..copies, used.clone(), 0..hidden]);
        let near = tape.one_for_each_row(near, rows);
        let pairs = (0..tokens).flat_map(|query| (0..tokens).map(move |key| (query, key)));
        let which = pairs.map(|(query, key)| (shape.row(query, key) - used.start) as i32);
        let which = TensorData::new(which.collect::<Vec<i32>>(), [1, 1, tokens, tokens]);
        Some(RelativePlaces {
            which: Tensor::from_data(which, &states.table.device()),
            states: tape.norm(&states.norm, near),
        })
    }
}

/// What leaves no weight to tokens that a query doesn't see, `[1, 1, tokens, tokens]`.
fn unseen(tokens: usize, device: &Device, sees: impl Fn(usize, usize) -> bool) -> Tensor<4> {
    let pairs = (0..tokens).flat_map(|query| (0..tokens).map(move |key| (query, key)));
    let masks = pairs.map(|(query, key)| match sees(query, key) {
        true => 0.0,
        false => MASKED,
    });
    let masks: Vec<f32> = masks.collect();
    Tensor::from_data(TensorData::new(masks, [1, 1, tokens, tokens]), device)
}
