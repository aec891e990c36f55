//! What each call answers.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Status};
use umbel_coordinator::grpc::{Security, ServeError, ServiceLimits, TrafficMeter, bind, serve};
use umbel_proto::message::BlobDigest;
use umbel_proto::wire;
use umbel_proto::wire::federation_client::FederationClient;
use umbel_proto::wire::submit_reply::Outcome;
use umbel_proto::wire::update_chunk::Part;

use crate::served::{MOST, Mock, as_north, hello, plain};

fn upload(total_bytes: u64, digest: BlobDigest, data: &[&[u8]]) -> Vec<wire::UpdateChunk> {
    let header = Part::Header(wire::UpdateHeader {
        round: 7,
        total_bytes,
        digest: digest.as_bytes().to_vec(),
        offset: 0,
    });
    let data = data.iter().map(|bytes| Part::Data(bytes.to_vec()));
    std::iter::once(header)
        .chain(data)
        .map(|part| wire::UpdateChunk { part: Some(part) })
        .collect()
}

async fn submitted(
    client: &mut FederationClient<Channel>,
    chunks: Vec<wire::UpdateChunk>,
) -> Result<Outcome, Status> {
    let reply = client
        .submit_update(as_north(tokio_stream::iter(chunks)))
        .await?;
    Ok(reply.into_inner().outcome.unwrap())
}

async fn fetched(
    client: &mut FederationClient<Channel>,
    digest: &[u8],
    offset: u64,
) -> Result<Vec<wire::BlobChunk>, Status> {
    let digest = digest.to_vec();
    let request = as_north(wire::BlobRequest { digest, offset });
    let mut stream = client.fetch_blob(request).await?.into_inner();
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.message().await? {
        chunks.push(chunk);
    }
    Ok(chunks)
}

#[tokio::test]
async fn each_kind_of_refusal_has_its_status() {
    let mock = Arc::new(Mock::default());
    let (_served, mut client) = plain(&mock).await;
    for (software, code) in [
        ("foreign", Code::PermissionDenied),
        ("mismatch", Code::FailedPrecondition),
        ("missing", Code::NotFound),
    ] {
        let status = client.join(as_north(hello(software))).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, "because"));
    }
}

#[tokio::test]
async fn a_call_that_panics_is_an_error_and_the_next_one_is_answered() {
    let mock = Arc::new(Mock::default());
    let (_served, mut client) = plain(&mock).await;
    let status = client.join(as_north(hello("panic"))).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    let welcome = client.join(as_north(hello("tests"))).await.unwrap();
    assert_eq!(welcome.into_inner().plan, b"{}");
}

#[tokio::test]
async fn nobody_waits_for_a_task_longer_than_twenty_seconds() {
    let mock = Arc::new(Mock::default());
    let (_served, mut client) = plain(&mock).await;
    for wait_ms in [5, u32::MAX] {
        client
            .next_task(as_north(wire::TaskRequest {
                wait_ms,
                instance: 1,
            }))
            .await
            .unwrap();
    }
    assert_eq!(mock.reached(), ["north waits 5ms", "north waits 20s"]);
}

#[tokio::test]
async fn a_blob_comes_from_any_offset() {
    let blob: Vec<u8> = (0..600_000u32).map(|i| i as u8).collect();
    let mock = Arc::new(Mock {
        blob: blob.as_slice().into(),
        ..Mock::default()
    });
    let (_served, mut client) = plain(&mock).await;
    let digest = *BlobDigest::of(&blob).as_bytes();
    for (offset, expected_chunks) in [(0, 3), (1, 3), (300_000, 2), (600_000, 1)] {
        let chunks = fetched(&mut client, &digest, offset).await.unwrap();
        assert_eq!(chunks.len(), expected_chunks);
        let mut next = offset;
        for chunk in &chunks {
            assert_eq!((chunk.offset, chunk.total_bytes), (next, 600_000));
            next += chunk.data.len() as u64;
        }
        let data: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.data).collect();
        assert_eq!(data, blob[offset as usize..]);
    }
    let code = |result: Result<_, Status>| result.unwrap_err().code();
    assert_eq!(
        code(fetched(&mut client, &digest, 600_001).await),
        Code::OutOfRange
    );
    assert_eq!(
        code(fetched(&mut client, &[1; 32], 0).await),
        Code::NotFound
    );
    assert_eq!(
        code(fetched(&mut client, &[1; 31], 0).await),
        Code::InvalidArgument
    );
}

#[tokio::test]
async fn an_update_is_handed_on_only_if_it_is_what_was_announced() {
    let mock = Arc::new(Mock::default());
    let (_served, mut client) = plain(&mock).await;
    let digest = BlobDigest::of(b"abcdef");
    let cases = [
        (
            upload(MOST + 1, digest, &[b"abcdef"]),
            "1001 bytes are announced, but at most 1000 are accepted",
        ),
        (upload(6, digest, &[b"abc", b"deF"]), "altered"),
        (
            upload(6, digest, &[b"abc"]),
            "only 3 of the announced 6 bytes",
        ),
        (
            upload(5, digest, &[b"abc", b"def"]),
            "more than the announced 5 bytes",
        ),
    ];
    for (chunks, expected) in cases {
        match submitted(&mut client, chunks).await.unwrap() {
            Outcome::Refused(refused) => {
                assert!(refused.reason.contains(expected), "{}", refused.reason);
            }
            other => panic!("{other:?}"),
        }
    }
    let reached = mock.reached();
    let noted = |line: &String| line.starts_with("north is refused: ");
    assert!(
        reached.len() == 4 && reached.iter().all(noted),
        "{reached:?}"
    );
    let outcome = submitted(&mut client, upload(6, digest, &[b"abc", b"def"])).await;
    assert!(matches!(outcome, Ok(Outcome::Accepted(_))));
    assert_eq!(mock.reached()[4..], ["north submits 6 bytes for round 7"]);
}

#[tokio::test]
async fn an_upload_without_header_is_an_invalid_argument() {
    let mock = Arc::new(Mock::default());
    let (_served, mut client) = plain(&mock).await;
    let mut chunks = upload(6, BlobDigest::of(b"abcdef"), &[b"abcdef"]);
    chunks.remove(0);
    let status = submitted(&mut client, chunks).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn without_tls_a_client_must_name_itself() {
    let mock = Arc::new(Mock::default());
    let (_served, mut client) = plain(&mock).await;
    let status = client.join(hello("tests")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(
        status.message().contains("umbel-client"),
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn serving_ends_when_it_is_told_to() {
    let security = Security::LoopbackOnly;
    let listener = bind("127.0.0.1:0", &security).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving: JoinHandle<Result<(), ServeError>> = tokio::spawn(serve(
        Arc::new(Mock::default()),
        security,
        listener,
        ServiceLimits::default(),
        Arc::new(TrafficMeter::default()),
        async move {
            let _: Result<(), _> = stopped.await;
        },
    ));
    // An idle connection doesn't hold it up.
    let client = FederationClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    drop(client);
    // The port is free again.
    TcpListener::bind(address).await.unwrap();
}
