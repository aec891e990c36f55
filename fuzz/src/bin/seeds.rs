//! Writes the valid seeds of all but events and tables, by the code that runs use:
//! `cargo +nightly run --manifest-path fuzz/Cargo.toml --bin seeds`.

use std::fs;
use std::path::Path;

use umbel_fuzz::folder::Folder;
use umbel_fuzz::{certificate, files, folder, kept, models, run};
use umbel_privacy::Sha256Digest;
use umbel_privacy::budget::Budget;
use umbel_privacy::ledger::LedgerPoint;
use umbel_privacy::ledger::{Ledger, MemoryLedgerStorage, UnprotectedDraft};
use umbel_privacy::{Adjacency, NoisePlacement};
use umbel_proto::message::UpdateAnnouncement;
use umbel_proto::message::{
    BlobDigest, CoordinatorLedger, Ending, Hello, Instance, ModelFile, PROTOCOL_VERSION, Receipt,
    Task, Welcome,
};
use umbel_proto::wire::convert::BlobWish;
use umbel_proto::wire::{self, Message};

fn main() {
    for (name, plan) in run::plans() {
        write("plan", name, &plan.to_json());
        if let Some(ledger) = run::ledger(&plan.to_json(), &[]) {
            write("ledger", name, &ledger);
        }
    }
    ledgers();
    certificates();
    messages();
    folders();
    configurations();
}

fn write(target: &str, name: &str, content: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(target);
    fs::create_dir_all(&folder).expect("seeds can be written");
    fs::write(folder.join(name), content).expect("seeds can be written");
}

fn ledgers() {
    let plan = run::plan().to_json();
    let ledger = run::ledger(&plan, &[]).expect("it fits the budget");
    write("ledger", "torn", &ledger[..ledger.len() - 40]);
    write("ledger", "unterminated", &ledger[..ledger.len() - 1]);
    let renamed = run::plan().changed(|other| {
        other.run = "another".parse().expect("it is a name");
    });
    let other = renamed.expect("it is a plan");
    let other = run::ledger(&other.to_json(), &ledger).expect("it fits the budget");
    write("ledger", "two-runs", &other);
    write("ledger", "unprotected", &marked(other));
}

/// The ledger with the mark of a run of unit none.
fn marked(ledger: Vec<u8>) -> Vec<u8> {
    let mut ledger = Ledger::open(MemoryLedgerStorage::with_bytes(ledger)).expect("it is sound");
    let draft = UnprotectedDraft {
        data_set: "visits".into(),
        run_id: "unprotected".into(),
        plan: Sha256Digest::of(b"plan"),
        adjacency: Adjacency::AddOrRemove,
        placement: NoisePlacement::Central,
        unix_time: 1_700_000_000,
        seeded: false,
    };
    ledger.mark_unprotected(draft).expect("it can be marked");
    ledger.into_storage().bytes().to_vec()
}

fn certificates() {
    for (name, plan) in run::plans() {
        if let Some(folder) = run::folder(&plan, &[], None, b"released\n") {
            write("certificate", name, &certificate::written(&folder));
        }
    }
    let first = run::folder(&run::plan(), &[], None, b"released\n").expect("it holds");
    let base = folder::document(&first, "certificate.json").expect("it is there");
    let ledger = folder::document(&first, "ledger.jsonl").expect("it is there");
    let changed = run::plan().changed(|next| {
        next.run = "next".parse().expect("it is a name");
        let promise = next.protection.as_mut().expect("the example promises");
        promise.budget = Budget::new(20.0, 1e-5).expect("it is a budget");
        next.classifier.base.weights = BlobDigest::of(b"released\n");
        next.classifier.base.certificate = Some(BlobDigest::of(base));
    });
    let next = changed.expect("it is a plan");
    for (name, earlier) in [("lineage", &[][..]), ("lineage-same-ledger", ledger)] {
        let folder = run::folder(&next, earlier, Some(base), b"again\n").expect("it holds");
        write("certificate", name, &certificate::written(&folder));
    }
}

fn messages() {
    let digest = BlobDigest::of(b"blob");
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        software: "umbel 0.1.0".into(),
        labels: vec!["no".into(), "yes".into()],
        ledger: LedgerPoint::START,
        instance: Instance(1),
    };
    let file = ModelFile {
        name: "config.json".into(),
        digest,
        bytes: 600,
    };
    let welcome = Welcome {
        plan: b"{}".to_vec(),
        files: vec![file.clone()],
        coordinator: CoordinatorLedger {
            public_key: [7; 32].into(),
            point: LedgerPoint::START,
            digest,
        },
        remembered: Some(LedgerPoint::START),
    };
    let train = Task::Train {
        round: 3,
        parameters: digest,
        counted: None,
    };
    let refused = Receipt::Refused {
        reason: "it is late".into(),
    };
    let announced = UpdateAnnouncement {
        round: 3,
        bytes: 1000,
        digest,
        offset: 0,
    };
    let wish = BlobWish { digest, offset: 9 };
    let messages = [
        ("0-hello", wire::JoinRequest::from(hello).encode_to_vec()),
        ("1-welcome", wire::JoinReply::from(welcome).encode_to_vec()),
        ("2-file", wire::ModelFile::from(file).encode_to_vec()),
        ("3-task", wire::TaskReply::from(Some(train)).encode_to_vec()),
        ("3-no-task", wire::TaskReply::from(None).encode_to_vec()),
        (
            "4-ending",
            wire::Finished::from(Ending::Diverged { round: 2 }).encode_to_vec(),
        ),
        (
            "5-receipt",
            wire::SubmitReply::from(refused).encode_to_vec(),
        ),
        (
            "6-update",
            wire::UpdateHeader::from(announced).encode_to_vec(),
        ),
        ("7-wish", wire::BlobRequest::from(wish).encode_to_vec()),
        (
            "8-blob",
            b"\x02\x05\x01\x09\xff\x01\x01\x03forty bytes of a blob, sent in few chunks".to_vec(),
        ),
        ("9-values", b"\x03\x02\x01\x00\xff\x7f\x00\x80".to_vec()),
        ("10-name", b"oslo-1".to_vec()),
    ];
    for (name, content) in messages {
        let kind: u8 = name
            .split('-')
            .next()
            .and_then(|n| n.parse().ok())
            .expect("it has a number");
        write("wire", name, &[&[kind], content.as_slice()].concat());
    }
}

/// Models, what processes keep, and tables in several files.
fn folders() {
    for (name, folder) in models::all() {
        write("model", &name, &files::written(&folder));
    }
    for (name, folder) in kept::all() {
        write("kept", name, &files::written(&folder));
    }
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/table");
    let table = |name: &str| fs::read(home.join(name)).expect("it is kept");
    let file = |name: &str, content: Vec<u8>| (name.to_owned(), content);
    let part = table("arrow-stream-lz4");
    let state = br#"{"_data_files": [{"filename": "data-00000-of-00002.arrow"}, {"filename": "data-00001-of-00002.arrow"}], "_split": "train"}"#;
    let saved: Folder = vec![
        file(
            "dataset_info.json",
            br#"{"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}"#
                .to_vec(),
        ),
        file("state.json", state.to_vec()),
        file("data-00000-of-00002.arrow", part.clone()),
        file("data-00001-of-00002.arrow", part),
    ];
    let mixed = vec![
        file("part-0.csv", table("csv")),
        file("part-1.csv", table("csv-semicolons")),
        file("_SUCCESS", Vec::new()),
    ];
    let lines = vec![
        file("part-0.json", table("json-lines")),
        file("part-1.json", table("json-list")),
    ];
    let parquet = vec![
        file("part-0.parquet", table("parquet-class-label")),
        file("part-1.parquet", table("parquet-class-label")),
    ];
    for (name, folder) in [
        ("saved", saved),
        ("csv", mixed),
        ("json", lines),
        ("parquet", parquet),
    ] {
        write("table_folder", name, &files::written(&folder));
    }
}

/// The configurations of the examples and of `umbel-coordinator init`.
fn configurations() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, path) in [
        ("run", "examples/sentiment/run.toml"),
        ("adapters", "examples/sentiment/adapters.toml"),
        ("stragglers", "examples/sentiment/stragglers.toml"),
        ("clients", "examples/airline/adapters.toml"),
        ("pairs", "examples/tasks/pairs.toml"),
        ("polarity", "examples/tasks/polarity.toml"),
        ("tags", "examples/tasks/tags.toml"),
        (
            "coordinator",
            "coordinator/src/init/coordinator_template.toml",
        ),
        ("client", "coordinator/src/init/client_template.toml"),
    ] {
        let text = fs::read_to_string(top.join(path)).expect("it is kept");
        let text = text
            .replace("@listen@", "\"127.0.0.1:0\"")
            .replace("@name@", "\"oslo\"");
        write(
            "settings",
            name,
            text.replace("@coordinator@", "\"https://host:1\"")
                .as_bytes(),
        );
    }
}
