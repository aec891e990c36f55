//! A base model that a site fetched once.

use std::fs;
use std::sync::Arc;

use umbel_client::model_cache::{Cached, ModelCache};
use umbel_client::transport::Transport;
use umbel_proto::message::{BlobDigest, ModelFile};

use crate::coordinator::{Call, Coordinator, Script, blob, certificates, hello, north, security};

#[test]
fn a_client_that_is_started_again_fetches_no_base_model_twice_unless_it_was_altered() {
    let dir = tempfile::tempdir().unwrap();
    let report = certificates(&dir.path().join("federation"), 0);
    let model = blob(3_000_000);
    let parameters = blob(1_000);
    let [model_digest, parameters_digest] =
        [&model, &parameters].map(|bytes| BlobDigest::of(bytes));
    let mut script = Script::offering(&model);
    script
        .blobs
        .insert(parameters_digest, Arc::clone(&parameters));
    script.files = vec![ModelFile {
        name: "model.safetensors".into(),
        digest: model_digest,
        bytes: model.len() as u64,
    }];
    let script = Arc::new(script);
    let coordinator = Coordinator::start(&script, security(&report, &report));
    let folder = dir.path().join("models");
    let fetched = |digest| {
        let calls = script.calls().into_iter();
        calls.filter(|call| *call == Call::Blob(digest)).count()
    };
    let start = || {
        let cache = ModelCache::new(folder.clone(), 1 << 30);
        let mut client = Cached::new(north(coordinator.address.port(), &report), cache);
        client.join(&hello()).unwrap();
        assert!(client.blob(&model_digest).unwrap() == model);
        assert!(client.blob(&parameters_digest).unwrap() == parameters);
    };
    start();
    start();
    assert_eq!(fetched(model_digest), 1);
    assert_eq!(
        fetched(parameters_digest),
        2,
        "a round's parameters aren't kept"
    );
    let mut spoilt = model.to_vec();
    spoilt[1_000] ^= 1;
    fs::write(folder.join(model_digest.to_string()), spoilt).unwrap();
    start();
    start();
    assert_eq!(fetched(model_digest), 2);
}
