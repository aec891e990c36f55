//! A client's whole life over the network.

use std::collections::VecDeque;
use std::sync::Arc;

use umbel_client::grpc::{ClientIdentity, ConnectionSettings, GrpcTransport};
use umbel_client::transport::Transport;
use umbel_coordinator::grpc::Security;
use umbel_proto::departure::Departure;
use umbel_proto::message::{
    BlobDigest, ClientId, Ending, Instance, ModelFile, Receipt, Task, Update,
};

use crate::coordinator::{Call, Coordinator, Script, blob, certificates, hello, north, security};

#[test]
fn a_client_joins_trains_and_ends_and_every_byte_is_counted_on_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let report = certificates(dir.path(), 0);
    let model = blob(40_000_000);
    let digest = BlobDigest::of(&model);
    let file = ModelFile {
        name: "model.safetensors".into(),
        digest,
        bytes: model.len() as u64,
    };
    let train = Task::Train {
        round: 1,
        parameters: digest,
        counted: None,
    };
    let finished = Task::Finished(Ending::BudgetExhausted { rounds: 1 });
    let script = Arc::new(Script {
        plan: b"{\"a\":\"plan\"}".to_vec(),
        files: vec![file.clone()],
        // Twice there is nothing to do yet.
        tasks: VecDeque::from([None, None, Some(train.clone()), Some(finished.clone())]).into(),
        update_bytes: 20_000_000,
        ..Script::offering(&model)
    });
    let coordinator = Coordinator::start(&script, security(&report, &report));
    let mut client = north(coordinator.address.port(), &report);

    let welcome = client.join(&hello()).unwrap();
    assert_eq!(welcome.plan, b"{\"a\":\"plan\"}");
    assert_eq!(welcome.files, [file]);
    assert_eq!(client.next_task().unwrap(), train);
    assert!(client.blob(&digest).unwrap() == model);
    let update = Update {
        round: 1,
        values: blob(20_000_000).to_vec(),
    };
    assert_eq!(client.submit(&update).unwrap(), Receipt::Accepted);
    assert_eq!(client.submit(&update).unwrap(), Receipt::Duplicate);
    assert_eq!(client.next_task().unwrap(), finished);
    client.leave(Departure::Budget);

    let name: ClientId = "north".parse().unwrap();
    let submitted = Call::Submit(name.clone(), update);
    let expected = [
        Call::Join(name.clone()),
        Call::NextTask(name.clone()),
        Call::NextTask(name.clone()),
        Call::NextTask(name.clone()),
        Call::Blob(digest),
        submitted.clone(),
        submitted,
        Call::NextTask(name.clone()),
        Call::Leave(name, Departure::Budget),
    ];
    assert!(script.calls() == expected);
    let traffic = client.traffic();
    assert_eq!(traffic.sent, coordinator.meter.received());
    assert_eq!(traffic.received, coordinator.meter.sent());
    assert!(traffic.received > 40_000_000 && traffic.sent > 40_000_000);
}

#[test]
fn empty_blobs_and_empty_updates_travel_too() {
    let dir = tempfile::tempdir().unwrap();
    let report = certificates(dir.path(), 0);
    let empty: Arc<[u8]> = Arc::from([]);
    let script = Arc::new(Script::offering(&empty));
    let coordinator = Coordinator::start(&script, security(&report, &report));
    let mut client = north(coordinator.address.port(), &report);
    assert_eq!(client.blob(&BlobDigest::of(b"")).unwrap(), empty);
    let update = Update {
        round: 1,
        values: Vec::new(),
    };
    assert_eq!(client.submit(&update).unwrap(), Receipt::Accepted);
}

#[test]
fn on_one_machine_a_client_may_go_by_its_name_without_tls() {
    let model = blob(1_000);
    let script = Arc::new(Script::offering(&model));
    let coordinator = Coordinator::start(&script, Security::LoopbackOnly);
    let name: ClientId = "north".parse().unwrap();
    let address = format!("http://{}", coordinator.address);
    let identity = ClientIdentity::Name(name.clone());
    let settings = ConnectionSettings::new(address, identity, Instance(1));
    let mut client = GrpcTransport::connect(settings).unwrap();
    client.join(&hello()).unwrap();
    assert_eq!(client.blob(&BlobDigest::of(&model)).unwrap(), model);
    let calls = [Call::Join(name), Call::Blob(BlobDigest::of(&model))];
    assert_eq!(script.calls(), calls);
}
