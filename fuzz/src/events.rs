//! Events files that are mostly readable.

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::json;

/// Changes the question in the first line, or the events after it.
pub fn mutate(input: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let text = str::from_utf8(input).ok()?;
    let (question, file) = text.split_once('\n')?;
    let mut events: Value = serde_json::from_str(file).ok()?;
    let mut question = question.to_owned();
    match chance.below(8) {
        0 => question = asked(chance),
        1 => events = json!([event(chance)]),
        2 | 3 => {
            let new = event(chance);
            if let Some(list) = events.as_array_mut() {
                let at = chance.below(list.len() + 1);
                list.insert(at, new);
            }
        }
        _ => json::mutate(&mut events, chance),
    }
    Some(format!("{question}\n{events}").into_bytes())
}

fn asked(chance: &mut Chance) -> String {
    let delta = match chance.below(8) {
        0 => chance.log_uniform(1e-300, 1e-15),
        1 => chance.unit(),
        2 => 1.0 - chance.log_uniform(1e-16, 0.1),
        _ => chance.log_uniform(1e-15, 1e-2),
    };
    let adjacency = chance.pick(&["add-or-remove", "replace-one", "zero-out"]);
    format!("{delta:e} {adjacency}")
}

/// A valid event, most often.
pub fn event(chance: &mut Chance) -> Value {
    let sigma = match chance.below(10) {
        0 => chance.log_uniform(1e-300, 1e300),
        1 => chance.log_uniform(1e-6, 1e6),
        _ => chance.log_uniform(0.01, 50.0),
    };
    let q = match chance.below(10) {
        0 => chance.log_uniform(1e-300, 1.0),
        1 => 1.0,
        2 => 1.0 - chance.log_uniform(1e-16, 0.5),
        _ => chance.log_uniform(1e-7, 1.0),
    };
    // Counts beyond a million million take long, and hold few surprises.
    let count = match chance.below(40) {
        0 | 1 => 0,
        2 => chance.log_uniform(1.0, 1.8e19) as u64,
        3..16 => 1,
        _ => chance.log_uniform(1.0, 1e6) as u64,
    };
    let size = chance.log_uniform(1.0, 2e9) as u64;
    let part = chance.log_uniform(1.0, size as f64 + 1.0) as u64;
    match chance.below(12) {
        0 => json!({"type": "gaussian", "noise_multiplier": sigma, "count": count}),
        1 => json!({"type": "laplace", "scale_over_sensitivity": sigma, "count": count}),
        2 => {
            json!({"type": "laplace", "scale_over_sensitivity": sigma, "sampling_probability": q, "count": count})
        }
        3 => {
            json!({"type": "discrete_laplace", "parameter": sigma, "integer_sensitivity": part as u32, "count": count})
        }
        4 => {
            json!({"type": "truncated_poisson_gaussian", "dataset_size": size, "sampling_probability": q,
            "truncated_batch_size": part, "noise_multiplier": sigma, "count": count})
        }
        5 => json!({"type": "fixed_size_gaussian", "dataset_size": size, "sample_size": part,
            "noise_multiplier": sigma, "count": count}),
        6 => {
            json!({"type": "tree_aggregation", "noise_multiplier": sigma, "step_count": size, "count": count})
        }
        7 => {
            json!({"type": "banded_toeplitz", "noise_multiplier": sigma, "rounds": chance.below(3000),
            "bands": chance.below(100), "min_separation": chance.below(100),
            "max_participations": chance.below(20), "count": count})
        }
        8 if chance.one_in(3) => json!({"type": "non_private", "count": count}),
        9 if chance.one_in(2) => {
            json!({"type": "self_composed", "event": event(chance), "count": count})
        }
        10 if chance.one_in(2) => {
            json!({"type": "composed", "events": [event(chance), event(chance)]})
        }
        _ => {
            json!({"type": "poisson_gaussian", "noise_multiplier": sigma, "sampling_probability": q, "count": count})
        }
    }
}
