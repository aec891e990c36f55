//! Schemas of the words of the privacy arithmetic, which knows nothing of schemas.

use schemars::{Schema, SchemaGenerator, json_schema};
use umbel_privacy::combination::Summed;
use umbel_privacy::unit::{Adjacency, NoisePlacement, PrivacyUnit};
use umbel_privacy::unit_word;

fn one_of(words: &[&str]) -> Schema {
    json_schema!({ "type": "string", "enum": words })
}

/// A privacy unit, or `none`.
pub fn unit_or_none(_: &mut SchemaGenerator) -> Schema {
    one_of(unit_word::WORDS)
}

/// A privacy unit.
pub fn unit(_: &mut SchemaGenerator) -> Schema {
    one_of(PrivacyUnit::WORDS)
}

/// Where noise is added.
pub fn placement(_: &mut SchemaGenerator) -> Schema {
    one_of(NoisePlacement::WORDS)
}

/// Which data sets are neighbours.
pub fn adjacency(_: &mut SchemaGenerator) -> Schema {
    one_of(Adjacency::WORDS)
}

/// What clients send.
pub fn summed(_: &mut SchemaGenerator) -> Schema {
    one_of(Summed::WORDS)
}

/// A number above 0: an epsilon, a clipping norm, a noise multiplier.
pub fn above_zero(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "exclusiveMinimum": 0 })
}

/// A sampling rate.
pub fn rate(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 })
}

/// A delta.
pub fn delta(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 })
}

/// A SHA-256.
pub fn digest(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
}

/// A list of SHA-256.
pub fn digests(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": digest(generator) })
}
