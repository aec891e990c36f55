//! A coordinator that tells a site one thing and does another, against the real client.

use std::path::Path;
use std::sync::Arc;

use tempfile::tempdir;
use umbel_client::compute::ComputeSlots;
use umbel_client::participate::participate;
use umbel_client::site::SiteSettings;
use umbel_client::site_ledger::LedgerPlace;
use umbel_client::site_table::SiteTable;
use umbel_model::ComputePrecision;
use umbel_model::data::TableSchema;
use umbel_privacy::disk::RealDisk;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::{BlobDigest, ModelFile};
use umbel_proto::plan::Plan;

use crate::coordinator::{Call, Coordinator, Script, certificates, north, security};

/// A plan that says that it trains from these weights.
fn plan_from(weights: BlobDigest) -> Plan {
    let example = include_bytes!("../../proto/plan.example.json");
    let example = Plan::from_json(example).unwrap();
    example
        .changed(|plan| plan.classifier.base.weights = weights)
        .unwrap()
}

fn settings(folder: &Path) -> SiteSettings {
    SiteSettings {
        name: "north".parse().unwrap(),
        table: SiteTable::File(folder.join("rows.csv")),
        schema: TableSchema::default(),
        labels: Vec::new(),
        policy: None,
        ledger: LedgerPlace {
            path: folder.join("ledger.jsonl"),
            data_set: "rows".into(),
            new_data_set: false,
            disk: Arc::new(RealDisk),
            taken_up_again: true,
        },
        device: "cpu".parse().unwrap(),
        precision: ComputePrecision::default(),
        memory: None,
        compute: Arc::new(ComputeSlots::alone()),
        results: None,
        unix_seconds: || 1_700_000_000,
        signing_key: None,
    }
}

#[test]
fn a_site_refuses_another_base_model_than_the_plan_names() {
    let dir = tempdir().unwrap();
    let mut script = Script {
        plan: plan_from(BlobDigest::of(b"the public model")).to_json(),
        ..Script::default()
    };
    for (name, content) in [
        ("config.json", "{}"),
        ("tokenizer.json", "{}"),
        ("model.safetensors", "a model trained on these very rows"),
    ] {
        let content: Arc<[u8]> = content.as_bytes().into();
        script.files.push(ModelFile {
            name: name.into(),
            digest: BlobDigest::of(&content),
            bytes: content.len() as u64,
        });
        script.blobs.insert(BlobDigest::of(&content), content);
    }
    let script = Arc::new(script);
    let report = certificates(dir.path(), 0);
    let coordinator = Coordinator::start(&script, security(&report, &report));
    let mut transport = north(coordinator.address.port(), &report);

    let refused = participate(&mut transport, settings(dir.path()), &mut |_| {}).unwrap_err();
    let why = refused.to_string();
    for word in [
        "the plan names the base model",
        &BlobDigest::of(b"the public model").to_string(),
        "the coordinator offers",
        "nothing was trained",
    ] {
        assert!(why.contains(word), "{why}");
    }
    assert_eq!(refused.exit_kind(), ExitKind::Configuration);
    let calls = script.calls();
    assert!(!calls.iter().any(|call| matches!(call, Call::Submit(..))));
    assert!(
        !dir.path().join("ledger.jsonl").exists(),
        "nothing is spent"
    );
}
