//! A decoder's layer of the plain network, for tests: one head of queries after the other.

use burn::tensor::{Tensor, TensorData, activation};

use super::plain_network::Plain;

impl Plain<'_> {
    /// From and to `[tokens, hidden]`.
    pub(super) fn decoder_layer(&self, index: usize, hidden: Tensor<2>) -> Tensor<2> {
        let name = format!("encoder.layer.{index}");
        let inputs = self.norm(&format!("{name}.attention.LayerNorm"), hidden.clone());
        let context = self.causal_context(index, &name, inputs);
        let hidden = hidden + self.linear(&format!("{name}.attention.output.dense"), context);
        let inputs = self.norm(&format!("{name}.intermediate.LayerNorm"), hidden.clone());
        let middle =
            self.activate(self.linear(&format!("{name}.intermediate.dense"), inputs.clone()));
        let middle = match self.spec().layer.gated {
            true => middle * self.linear(&format!("{name}.intermediate.gated"), inputs),
            false => middle,
        };
        hidden + self.linear(&format!("{name}.output.dense"), middle)
    }

    /// The state of the last token that isn't padding.
    pub(super) fn last(&self, hidden: Tensor<2>, tokens: &[u32]) -> Tensor<2> {
        let [count, width] = hidden.dims();
        let mut last = count - 1;
        while last > 0 && Some(tokens[last]) == self.spec().padding {
            last -= 1;
        }
        hidden.slice([last..last + 1, 0..width])
    }

    fn causal_context(&self, index: usize, name: &str, inputs: Tensor<2>) -> Tensor<2> {
        let spec = self.spec();
        let [tokens, hidden] = inputs.dims();
        let width = hidden / spec.heads;
        let [queries, keys, values] = match spec.layer.joint {
            true => {
                let all = self.linear(&format!("{name}.attention.self.qkv"), inputs);
                [0, 1, 2].map(|which| {
                    let columns = which * hidden..(which + 1) * hidden;
                    all.clone().slice([0..tokens, columns])
                })
            }
            false => ["query", "key", "value"].map(|which| {
                self.linear(&format!("{name}.attention.self.{which}"), inputs.clone())
            }),
        };
        let head = |x: &Tensor<2>, head: usize| -> Tensor<3> {
            let columns = head * width..(head + 1) * width;
            x.clone().slice([0..tokens, columns]).unsqueeze()
        };
        let turned = |x: Tensor<3>| match spec.rotations.get(index) {
            Some(rotation) => self.turned(x, rotation.theta),
            None => x,
        };
        let pairs = (0..tokens * tokens).map(|pair| (pair / tokens, pair % tokens));
        let later = pairs.map(|(query, key)| if key > query { -1e9_f32 } else { 0.0 });
        let later = TensorData::new(later.collect::<Vec<f32>>(), [1, tokens, tokens]);
        let later = Tensor::<3>::from_data(later, self.device());
        let contexts = (0..spec.heads).map(|query_head| {
            let own = query_head * spec.key_value_heads / spec.heads;
            let query = turned(head(&queries, query_head));
            let key = turned(head(&keys, own));
            let scores = query.matmul(key.swap_dims(1, 2)) / (width as f64).sqrt();
            let weights = activation::softmax(scores + later.clone(), 2);
            weights.matmul(head(&values, own)).reshape([tokens, width])
        });
        Tensor::cat(contexts.collect(), 1)
    }
}
