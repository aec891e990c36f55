//! How a low-rank adapter begins, and which layer it stands beside.

use rand::RngExt;
use umbel_privacy::private_rng::NoiseSource;
use umbel_proto::lora::{LoraConfig, LoraTarget};

use crate::families::LayerShape;

/// The layer of queries, keys and values, where that is one.
const JOINT_PROJECTIONS: &str = "attention.self.qkv";

/// What a gate multiplies, where that is a layer of its own.
pub(crate) const GATED: &str = "intermediate.gated";

/// The names within their encoder layer of the layers that a target means: the ends of their names in
/// BERT's files. Queries, keys and values are one target where they are one layer, and a gate goes with
/// what it multiplies.
pub(crate) fn adapted_layers(target: LoraTarget, shape: LayerShape) -> &'static [&'static str] {
    match target {
        LoraTarget::Query | LoraTarget::Key | LoraTarget::Value if shape.joint => {
            &[JOINT_PROJECTIONS]
        }
        LoraTarget::Query => &["attention.self.query"],
        LoraTarget::Key => &["attention.self.key"],
        LoraTarget::Value => &["attention.self.value"],
        LoraTarget::AttentionOutput => &["attention.output.dense"],
        LoraTarget::Intermediate if shape.gated && !shape.joint => &["intermediate.dense", GATED],
        LoraTarget::Intermediate => &["intermediate.dense"],
        LoraTarget::Output => &["output.dense"],
    }
}

/// The start of a layer's A, `[inputs, rank]` in row-major order: uniform between
/// ±1/√inputs, as PEFT starts it (Kaiming's rule with a = √5). By multiplication and
/// square root alone, so every machine draws the same bits.
pub(crate) fn initial_a(lora: &LoraConfig, layer: &str, inputs: usize) -> Vec<f32> {
    let mut rng = NoiseSource::seeded(lora.seed(), &format!("lora/{layer}"));
    let bound = 1.0 / (inputs as f64).sqrt();
    (0..inputs * lora.rank.get())
        .map(|_| ((2.0 * rng.random::<f64>() - 1.0) * bound) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &str = "encoder.layer.0.attention.self.query";

    fn start(seed: u64, layer: &str) -> Vec<f32> {
        let lora = LoraConfig {
            rank: 4.try_into().expect("a rank"),
            seed: Some(seed),
            ..LoraConfig::default()
        };
        initial_a(&lora, layer, 16)
    }

    #[test]
    fn a_starts_the_same_for_one_seed_and_layer_and_within_its_bound() {
        let a = start(1, QUERY);
        assert_eq!(a, start(1, QUERY));
        assert_ne!(a, start(2, QUERY));
        assert_ne!(a, start(1, "encoder.layer.1.attention.self.query"));
        assert!(a.iter().all(|x| x.abs() <= 0.25));
        // Uniform on ±1/4 has a mean square of 1/48; 64 draws scatter by 12 %.
        let mean_square = a.iter().map(|x| x * x).sum::<f32>() / a.len() as f32;
        assert!((0.01..0.04).contains(&mean_square), "{mean_square}");
    }
}
