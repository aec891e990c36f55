//! Whatever is sent arrives the same; whatever else comes is refused without a panic.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message as _;
use umbel_privacy::certificate::Countersignature;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::message::UpdateAnnouncement;
use umbel_proto::message::{
    BlobDigest, CoordinatorLedger, Ending, Hello, Instance, ModelFile, Receipt, Results, Task,
    Update, Welcome,
};
use umbel_proto::printable::printable;
use umbel_proto::wire;
use umbel_proto::wire::convert::{BlobWish, WireError};

fn any_digest() -> impl Strategy<Value = BlobDigest> {
    any::<[u8; 32]>().prop_map(BlobDigest::from)
}

fn any_ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        Just(Ending::Complete),
        any::<u32>().prop_map(|rounds| Ending::BudgetExhausted { rounds }),
        any_text().prop_map(|reason| Ending::Failed { reason }),
        (1..=u32::MAX).prop_map(|round| Ending::Diverged { round }),
        any::<u32>().prop_map(|rounds| Ending::Stopped { rounds }),
    ]
}

/// A text that passes the wire unchanged. The default strategy has line separators, too, which don't.
fn any_text() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| printable(&text, usize::MAX))
}

fn any_task() -> impl Strategy<Value = Task> {
    prop_oneof![
        (1..=u32::MAX, any_digest(), option::of(any_digest())).prop_map(
            |(round, parameters, counted)| Task::Train {
                round,
                parameters,
                counted,
            }
        ),
        any_ending().prop_map(Task::Finished),
    ]
}

fn any_receipt() -> impl Strategy<Value = Receipt> {
    prop_oneof![
        Just(Receipt::Accepted),
        Just(Receipt::Duplicate),
        any_text().prop_map(|reason| Receipt::Refused { reason }),
        any_text().prop_map(|reason| Receipt::Late { reason }),
    ]
}

fn any_point() -> impl Strategy<Value = LedgerPoint> {
    (any::<u64>(), any::<[u8; 32]>()).prop_map(|(entries, head)| LedgerPoint {
        entries,
        head: head.into(),
    })
}

fn any_welcome() -> impl Strategy<Value = Welcome> {
    let file = (
        "[A-Za-z0-9_-][A-Za-z0-9._-]{0,40}",
        any_digest(),
        any::<u64>(),
    );
    let coordinator = (any::<[u8; 32]>(), any_point(), any_digest());
    let parts = (
        vec(any::<u8>(), 0..200),
        vec(file, 0..5),
        coordinator,
        option::of(any_point()),
    );
    parts.prop_map(|(plan, files, (key, point, digest), remembered)| Welcome {
        plan,
        coordinator: CoordinatorLedger {
            public_key: key.into(),
            point,
            digest,
        },
        remembered,
        files: files
            .into_iter()
            .enumerate()
            .map(|(i, (name, digest, bytes))| ModelFile {
                name: format!("{name}{i}"),
                digest,
                bytes,
            })
            .collect(),
    })
}

/// Over the wire and back, as bytes.
fn carried<M: prost::Message + Default>(message: M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

proptest! {
    #[test]
    fn every_domain_message_arrives_as_it_was_sent(
        welcome in any_welcome(),
        task in option::of(any_task()),
        receipt in any_receipt(),
        hello in (any::<u32>(), any_text(), vec(any_text(), 0..4), any_point()),
        instance in any::<u64>().prop_map(Instance),
        results in option::of(option::of(any_digest())),
        ended in option::of(any_point()),
        wish in (any_digest(), any::<u64>()),
        announcement in (1..=u32::MAX, any::<u64>(), any_digest(), any::<u64>()),
    ) {
        let wire = carried(wire::JoinReply::from(welcome.clone()));
        prop_assert_eq!(Welcome::try_from(wire).unwrap(), welcome);
        let wire = carried(wire::TaskReply::from(task.clone()));
        prop_assert_eq!(Option::<Task>::try_from(wire).unwrap(), task);
        let wire = carried(wire::SubmitReply::from(receipt.clone()));
        prop_assert_eq!(Receipt::try_from(wire).unwrap(), receipt);
        let (protocol, software, labels, ledger) = hello;
        let hello = Hello { protocol, software, labels, ledger, instance };
        let wire = carried(wire::JoinRequest::from(hello.clone()));
        prop_assert_eq!(Hello::try_from(wire).unwrap(), hello);
        let results = results.map(|found| found.map_or(Results::NoModel, Results::Certified));
        let wire = carried(wire::ResultsReply::from(results));
        prop_assert_eq!(Option::<Results>::try_from(wire).unwrap(), results);
        let wire = carried(wire::CountersignReply::from(ended));
        prop_assert_eq!(Option::<LedgerPoint>::try_from(wire).unwrap(), ended);
        let wish = BlobWish { digest: wish.0, offset: wish.1 };
        let wire = carried(wire::BlobRequest::from(wish));
        prop_assert_eq!(BlobWish::try_from(wire).unwrap(), wish);
        let (round, bytes, digest, offset) = announcement;
        let announcement = UpdateAnnouncement { round, bytes, digest, offset };
        let wire = carried(wire::UpdateHeader::from(announcement));
        prop_assert_eq!(UpdateAnnouncement::try_from(wire).unwrap(), announcement);
    }

    #[test]
    fn any_bytes_at_all_give_a_message_or_an_error(bytes in vec(any::<u8>(), 0..300)) {
        let _ = wire::JoinReply::decode(&bytes[..]).map(Welcome::try_from);
        let _ = wire::JoinRequest::decode(&bytes[..]).map(Hello::try_from);
        let _ = wire::CountersignRequest::decode(&bytes[..]).map(Countersignature::try_from);
        let _ = wire::CountersignReply::decode(&bytes[..]).map(Option::<LedgerPoint>::try_from);
        let _ = wire::ResultsReply::decode(&bytes[..]).map(Option::<Results>::try_from);
        let _ = wire::TaskReply::decode(&bytes[..]).map(Option::<Task>::try_from);
        let _ = wire::SubmitReply::decode(&bytes[..]).map(Receipt::try_from);
        let _ = wire::UpdateHeader::decode(&bytes[..]).map(UpdateAnnouncement::try_from);
        let _ = wire::BlobRequest::decode(&bytes[..]).map(BlobWish::try_from);
    }

    #[test]
    fn a_digest_of_another_length_is_refused(bytes in vec(any::<u8>(), 0..100)) {
        prop_assume!(bytes.len() != 32);
        let found = bytes.len();
        let request = wire::BlobRequest { digest: bytes, offset: 0 };
        let field = "BlobRequest.digest";
        prop_assert_eq!(BlobWish::try_from(request), Err(WireError::Digest { field, found }));
    }
}

#[test]
fn empty_choices_are_refused_by_name() {
    let field = |error: WireError| match error {
        WireError::Missing { field } => field,
        other => panic!("{other}"),
    };
    let task = Option::<Task>::try_from(wire::TaskReply { task: None });
    assert_eq!(field(task.unwrap_err()), "TaskReply.task");
    let ending = Ending::try_from(wire::Finished { ending: None });
    assert_eq!(field(ending.unwrap_err()), "Finished.ending");
    let receipt = Receipt::try_from(wire::SubmitReply { outcome: None });
    assert_eq!(field(receipt.unwrap_err()), "SubmitReply.outcome");
}

#[test]
fn round_zero_is_refused() {
    let train = wire::Train {
        round: 0,
        parameters: vec![0; 32],
        counted: None,
    };
    let reply = wire::TaskReply {
        task: Some(wire::task_reply::Task::Train(train)),
    };
    let expected = WireError::Round {
        field: "Train.round",
    };
    assert_eq!(Option::<Task>::try_from(reply), Err(expected));
    let header = wire::UpdateHeader {
        round: 0,
        total_bytes: 1,
        digest: vec![0; 32],
        offset: 0,
    };
    let expected = WireError::Round {
        field: "UpdateHeader.round",
    };
    assert_eq!(UpdateAnnouncement::try_from(header), Err(expected));
    let diverged = wire::Diverged { round: 0 };
    let finished = wire::Finished {
        ending: Some(wire::finished::Ending::Diverged(diverged)),
    };
    let expected = WireError::Round {
        field: "Diverged.round",
    };
    assert_eq!(Ending::try_from(finished), Err(expected));
}

fn model_file(name: &str) -> wire::ModelFile {
    wire::ModelFile {
        name: name.into(),
        digest: vec![7; 32],
        bytes: 1,
    }
}

#[test]
fn a_file_name_that_leads_elsewhere_is_refused() {
    let long = "n".repeat(129);
    for name in [
        "", ".", "..", ".hidden", "../up", "a/b", "a\\b", "C:x", "a b", "é", &long,
    ] {
        let error = ModelFile::try_from(model_file(name)).unwrap_err();
        assert!(
            matches!(error, WireError::FileName { .. }),
            "{name}: {error}"
        );
    }
    for name in ["config.json", "model.safetensors", "a..b", &"n".repeat(128)] {
        assert!(ModelFile::try_from(model_file(name)).is_ok(), "{name}");
    }
}

#[test]
fn two_files_of_one_name_are_refused() {
    let reply = wire::JoinReply {
        plan: Vec::new(),
        files: vec![model_file("config.json"), model_file("config.json")],
        coordinator: None,
        remembered: None,
    };
    let error = Welcome::try_from(reply).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the base model has two files called config.json"
    );
}

#[test]
fn an_announcement_names_the_update_that_it_is_for() {
    let update = Update {
        round: 3,
        values: vec![1, 2, 3],
    };
    let announcement = UpdateAnnouncement::of(&update);
    assert_eq!((announcement.round, announcement.bytes), (3, 3));
    assert!(announcement.digest.matches(&update.values));
}
