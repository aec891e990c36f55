//! The published schemas describe what is really written.
//!
//! Checked by a reader of the part of JSON Schema (draft 2020-12) that they use; a word of
//! it that it doesn't know fails the test.

use serde_json::{Value, json};
use umbel_privacy::accountant::Delta;
use umbel_privacy::ledger::{MemoryLedgerStorage, UnprotectedDraft};
use umbel_privacy::{
    Adjacency, ClippingNorm, EntryDraft, LatticeStep, Ledger, MechanismEvent, NoiseMultiplier,
    NoisePlacement, PrivacyUnit, SamplingRate, Sha256Digest,
};

fn schema(name: &str) -> Value {
    let path = format!("{}/schema/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Whether a value is as a schema says.
fn fits(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("{value} {why}: {schema}"));
    for (word, says) in schema.as_object().expect("a schema is an object") {
        let number = || value.as_f64().is_none_or(|n| n.is_finite());
        let at = |limit: &Value| (value.as_f64(), limit.as_f64().expect("a number"));
        let length = || value.as_str().map(|text| text.chars().count() as f64);
        let ok = match word.as_str() {
            "$schema" | "$defs" | "title" | "description" => true,
            "$ref" => {
                let pointer = says
                    .as_str()
                    .and_then(|p| p.strip_prefix('#'))
                    .expect("a pointer");
                fits(root, root.pointer(pointer).expect("a definition"), value)?;
                true
            }
            "const" => value == says || says.as_f64().is_some_and(|n| value.as_f64() == Some(n)),
            "enum" => says.as_array().expect("a list").contains(value),
            "type" => match says {
                Value::Array(kinds) => kinds.iter().any(|kind| is(kind, value)),
                kind => is(kind, value),
            },
            "required" => {
                let there = |key: &Value| value.get(key.as_str().expect("a key")).is_some();
                says.as_array().expect("a list").iter().all(there)
            }
            "additionalProperties" => {
                assert_eq!(says, &json!(false));
                let known = &schema["properties"];
                value
                    .as_object()
                    .is_none_or(|o| o.keys().all(|key| known.get(key).is_some()))
            }
            "properties" => {
                for (key, schema) in says.as_object().expect("an object") {
                    if let Some(value) = value.get(key) {
                        fits(root, schema, value)?;
                    }
                }
                true
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    fits(root, says, item)?;
                }
                true
            }
            "oneOf" => {
                let choices = says.as_array().expect("a list").iter();
                choices
                    .filter(|choice| fits(root, choice, value).is_ok())
                    .count()
                    == 1
            }
            "not" => fits(root, says, value).is_err(),
            "minimum" => number() && at(says).0.is_none_or(|n| n >= at(says).1),
            "maximum" => number() && at(says).0.is_none_or(|n| n <= at(says).1),
            "exclusiveMinimum" => at(says).0.is_none_or(|n| n > at(says).1),
            "exclusiveMaximum" => at(says).0.is_none_or(|n| n < at(says).1),
            "minLength" => length().is_none_or(|n| n >= at(says).1),
            "maxLength" => length().is_none_or(|n| n <= at(says).1),
            "pattern" => {
                let digits = match says.as_str() {
                    Some("^[0-9a-f]{64}$") => 64,
                    Some("^[0-9a-f]{128}$") => 128,
                    other => panic!("an unknown pattern {other:?}"),
                };
                let hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                value
                    .as_str()
                    .is_none_or(|t| t.len() == digits && t.bytes().all(hexadecimal))
            }
            other => panic!("an unknown word {other:?} in a schema"),
        };
        if !ok {
            return refuse(word);
        }
    }
    Ok(())
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().expect("a kind") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("an unknown kind {other:?}"),
    }
}

fn lines() -> Vec<Value> {
    let mut ledger = Ledger::open(MemoryLedgerStorage::default()).unwrap();
    let sigma = NoiseMultiplier::try_from(1.1).unwrap();
    let clipping_norm = ClippingNorm::try_from(0.3).unwrap();
    let sampled = MechanismEvent::poisson_gaussian(SamplingRate::try_from(0.1).unwrap(), sigma);
    let whole = MechanismEvent::gaussian(sigma);
    let both = MechanismEvent::Composed {
        events: vec![sampled.clone(), whole.clone()],
    };
    for (plan, last_round, attempt, event) in [
        (None, None, 0, sampled.clone()),
        (Some(Sha256Digest::of(b"plan")), None, 2, whole),
        (None, Some(3), 0, sampled.times(3)),
        (None, None, 0, both),
    ] {
        ledger
            .spend(EntryDraft {
                data_set: "visits".into(),
                run_id: "run".into(),
                round: 1,
                last_round,
                attempt,
                filter_order: None,
                plan,
                unit: PrivacyUnit::Group,
                adjacency: Adjacency::AddOrRemove,
                placement: NoisePlacement::Local,
                event,
                clipping_norm,
                lattice_step: LatticeStep::for_clipping_norm(clipping_norm),
                delta: Delta::try_from(1e-5).unwrap(),
                unix_time: 1_700_000_000,
                seeded: false,
            })
            .unwrap();
    }
    let bytes = ledger.into_storage().bytes().to_vec();
    let text = String::from_utf8(bytes).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn ledger_lines_fit_their_schema() {
    let schema = schema("ledger-entry");
    for line in lines() {
        fits(&schema, &schema, &line).unwrap();
        for key in line.as_object().unwrap().keys().filter(|key| {
            !["plan", "last_round", "attempt", "filter_order"].contains(&key.as_str())
        }) {
            let mut without = line.clone();
            without.as_object_mut().unwrap().remove(key);
            assert!(
                fits(&schema, &schema, &without).is_err(),
                "{key} is required"
            );
        }
        for (key, wrong) in [
            ("unit", json!("none")),
            ("delta", json!(1)),
            ("hash", json!("00")),
            ("more", json!(1)),
            ("event", json!({"type": "gaussian"})),
        ] {
            let mut changed = line.clone();
            changed[key] = wrong;
            assert!(fits(&schema, &schema, &changed).is_err(), "{key}");
        }
    }
}

#[test]
fn the_mark_of_a_use_without_protection_fits_its_schema() {
    let schema = schema("ledger-entry");
    let mut ledger = Ledger::open(MemoryLedgerStorage::default()).unwrap();
    let mark = UnprotectedDraft {
        data_set: "visits".into(),
        run_id: "run".into(),
        plan: Sha256Digest::of(b"plan"),
        adjacency: Adjacency::ZeroOut,
        placement: NoisePlacement::Central,
        unix_time: 1_700_000_000,
        seeded: false,
    };
    ledger.mark_unprotected(mark).unwrap();
    let bytes = ledger.into_storage().bytes().to_vec();
    let line: Value = serde_json::from_slice(&bytes).unwrap();
    fits(&schema, &schema, &line).unwrap();
    for (key, wrong) in [
        ("unit", json!("record")),
        ("delta", json!(1e-5)),
        ("event", json!({"type": "gaussian", "noise_multiplier": 1})),
    ] {
        let mut changed = line.clone();
        changed[key] = wrong;
        assert!(fits(&schema, &schema, &changed).is_err(), "{key}");
    }
}

#[test]
fn the_schema_of_certificates_knows_every_field_and_no_other() {
    let schema = schema("certificate");
    // A certificate is read into structures that refuse unknown fields and miss none, so
    // that a value made from the schema's own fields must read, and do so exactly.
    let certificate: Value =
        serde_json::from_str(include_str!("certificate.example.json")).unwrap();
    fits(&schema, &schema, &certificate).unwrap();
    for pointer in [
        "",
        "/run",
        "/guarantee",
        "/guarantee/accountant",
        "/guarantee/run",
        "/ledger",
        "/base",
        "/lineage/0",
        "/participation/0",
        "/sites/0",
        "/sites/0/statement",
        "/sites/0/statement/coordinator",
        "/sites/0/statement/ledger_after",
        "/files/0",
    ] {
        let there = certificate.pointer(pointer).unwrap().as_object().unwrap();
        for key in there.keys() {
            let mut without = certificate.clone();
            let object = without
                .pointer_mut(pointer)
                .unwrap()
                .as_object_mut()
                .unwrap();
            object.remove(key);
            assert!(fits(&schema, &schema, &without).is_err(), "{pointer}/{key}");
        }
        let mut more = certificate.clone();
        more.pointer_mut(pointer).unwrap()["more"] = json!(1);
        assert!(fits(&schema, &schema, &more).is_err(), "{pointer}");
    }
    for pointer in [
        "/guarantee",
        "/participation",
        "/sites",
        "/base/certificate",
    ] {
        let mut none = certificate.clone();
        *none.pointer_mut(pointer).unwrap() = Value::Null;
        fits(&schema, &schema, &none).unwrap();
    }
}

#[test]
fn the_example_of_a_certificate_is_one() {
    let bytes = include_bytes!("certificate.example.json");
    let signed = umbel_privacy::certificate::SignedCertificate::read(bytes).unwrap();
    assert_eq!(signed.certificate().run.ending, "complete");
}
