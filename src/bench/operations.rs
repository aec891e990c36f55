//! How many floating-point operations a training step needs.

use umbel_model::families::TransformerSpec;
use umbel_model::{Pooling, TrainableSet};

/// Multiplications and additions that one example of `tokens` tokens needs in an ordinary
/// training step, products of matrices alone.
///
/// A product of `[n, k]` and `[k, m]` takes 2 n k m. With T tokens, an encoder layer of width H
/// and intermediate width I has the weights P = 4 H² + 2 H I, so that 2 P T go forward, 2 P T
/// back to the inputs, and 2 P T to the weights' gradients where they are trained; attention
/// takes 4 T² H forward and twice that back. Nothing goes below the lowest trained layer:
/// with frozen embeddings, the lowest queries, keys and values pass nothing on (6 H² T less).
/// Where pooling reads the first token alone, the others need no more of the last layer than
/// keys and values.
/// Adapters of rank r add 2 T r (in + out) to each of the three. Norms and clipping count as
/// nothing, nor do the head, the embeddings and what is done number by number.
pub fn operations(
    config: &TransformerSpec,
    tokens: usize,
    pooling: Pooling,
    set: TrainableSet,
) -> f64 {
    let [hidden, middle, layers, tokens] = [
        config.hidden_size,
        config.intermediate_size,
        config.layers,
        tokens,
    ]
    .map(|size| size as f64);
    // Tokens of all layers that states are computed of, and those that only others attend to.
    let unread = match pooling.reads_first_alone() {
        false => 0.0,
        true => tokens - 1.0,
    };
    let read = layers * tokens - unread;
    let keys_and_values = 2.0 * hidden * hidden;
    let others = 2.0 * hidden * hidden + 2.0 * hidden * middle;
    let weights = 2.0 * (layers * tokens * keys_and_values + read * others);
    let attention = 4.0 * read * tokens * hidden;
    let lowest = 6.0 * hidden * hidden * tokens;
    let forward = weights + attention;
    let back = weights + 2.0 * attention;
    match set {
        TrainableSet::Full => forward + back + weights,
        TrainableSet::Encoder => forward + back - lowest + weights,
        TrainableSet::Lora(lora) => {
            let pairs = lora.targets.iter().count() as f64;
            // Queries and values, as this command adapts.
            let adapters = 2.0 * tokens * lora.rank.get() as f64 * 2.0 * hidden * pairs * layers;
            forward + back - lowest + 3.0 * adapters
        }
        TrainableSet::Bias => forward + back,
        TrainableSet::Head => forward,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{named_set, named_size};

    #[test]
    fn a_step_costs_three_times_the_pass_forward_where_everything_is_trained() {
        let config = named_size("minilm").unwrap();
        let of = |set| operations(&config, 64, Pooling::Mean, named_set(set).unwrap());
        assert_eq!(of("full"), 3.0 * of("head"));
        assert!(of("encoder") < of("full") && of("encoder") > 0.95 * of("full"));
        assert!(of("bias") < of("encoder") && of("lora") < of("encoder"));
        // 6 layers of 1,769,472 weights, twice, by 64 tokens, and attention.
        assert_eq!(
            of("head"),
            2.0 * 64.0 * 6.0 * 1_769_472.0 + 4.0 * 64.0 * 64.0 * 384.0 * 6.0
        );
    }
    #[test]
    fn what_nobody_reads_costs_nothing() {
        let config = named_size("minilm").unwrap();
        let of = |pooling| operations(&config, 64, pooling, named_set("head").unwrap());
        // Of the last layer, queries, what follows attention, and attention of 63 tokens.
        let spared = 2.0 * 63.0 * (1_769_472.0 - 2.0 * 384.0 * 384.0) + 4.0 * 63.0 * 64.0 * 384.0;
        assert_eq!(of(Pooling::Mean) - of(Pooling::Pooler), spared);
        assert_eq!(of(Pooling::Cls), of(Pooling::Pooler));
    }
}
