//! An update on its way in: checked while it comes, and put away as it comes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;
use umbel_proto::incoming::{Arrived, Incoming, NotReceived};
use umbel_proto::message::{ClientId, Receipt, UpdateAnnouncement};
use umbel_proto::wire::UpdateChunk;
use umbel_proto::wire::chunk::ChunkError;
use umbel_proto::wire::update_chunk::Part;

use super::TrafficMeter;

/// What came up.
#[derive(Debug)]
pub(super) enum Upload {
    /// All that was announced.
    Whole(Arrived),
    /// It needn't come: this is what becomes of it.
    Answered(Receipt),
    /// Something that can't count, with the reason.
    Refused(String),
    /// It can't be kept, with the reason.
    Unstorable(String),
}

/// Receives one update into what `begin` makes of its announcement. Each message must come within
/// `stall`.
pub(super) async fn receive(
    mut stream: impl Stream<Item = Result<UpdateChunk, Status>> + Unpin,
    stall: Duration,
    meter: &TrafficMeter,
    begin: impl AsyncFnOnce(UpdateAnnouncement) -> Result<Begun, Status>,
) -> Result<Upload, Status> {
    let Some(Part::Header(header)) = next_part(&mut stream, stall, meter).await? else {
        return Err(Status::invalid_argument(
            "the first message of an update must be its header",
        ));
    };
    let announced = UpdateAnnouncement::try_from(header)
        .map_err(|e| Status::invalid_argument(e.to_string()))?;
    let mut arriving = match begin(announced).await? {
        Ok(arriving) => arriving,
        Err(NotReceived::Answered(receipt)) => return Ok(Upload::Answered(receipt)),
        Err(NotReceived::Refused(reason)) => return Ok(Upload::Refused(reason)),
        Err(NotReceived::Storage(reason)) => return Ok(Upload::Unstorable(reason)),
        Err(gap @ NotReceived::Gap { .. }) => return Err(Status::aborted(gap.to_string())),
    };
    while let Some(part) = next_part(&mut stream, stall, meter).await? {
        let Part::Data(data) = part else {
            return Err(Status::invalid_argument("an update has one header only"));
        };
        if data.is_empty() {
            return Err(Status::invalid_argument("a chunk of an update is empty"));
        }
        let pushed;
        (arriving, pushed) = off_thread(move || {
            let pushed = arriving.push(&data);
            (arriving, pushed)
        })
        .await?;
        match pushed {
            Ok(()) => {}
            Err(ChunkError::Storage(reason)) => return Ok(Upload::Unstorable(reason)),
            // The sender did nothing wrong, and may try again when there is memory.
            Err(error @ ChunkError::Memory { .. }) => {
                return Err(Status::resource_exhausted(error.to_string()));
            }
            Err(error) => return Ok(Upload::Refused(format!("the update: {error}"))),
        }
    }
    Ok(match off_thread(move || arriving.finish()).await? {
        Ok(arrived) => Upload::Whole(arrived),
        Err(ChunkError::Storage(reason)) => Upload::Unstorable(reason),
        // The sender did nothing wrong, and asks how much is here before it sends again.
        Err(altered @ ChunkError::KeptPartAltered) => {
            return Err(Status::aborted(altered.to_string()));
        }
        Err(error) => Upload::Refused(format!("the update: {error}")),
    })
}

/// What became of an announcement.
type Begun = Result<Box<dyn Incoming>, NotReceived>;

/// Does what may wait for a disk where nobody else waits for it.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "an upload failed inside the coordinator");
        Status::internal("the coordinator failed at this call; its log says more")
    })
}

async fn next_part(
    stream: &mut (impl Stream<Item = Result<UpdateChunk, Status>> + Unpin),
    stall: Duration,
    meter: &TrafficMeter,
) -> Result<Option<Part>, Status> {
    let next = tokio::time::timeout(stall, stream.next()).await;
    let Some(chunk) = next.map_err(|_| {
        Status::deadline_exceeded(format!(
            "nothing of the update came for {} seconds; send it again",
            stall.as_secs_f64()
        ))
    })?
    else {
        return Ok(None);
    };
    let chunk = chunk?;
    meter.count_received(&chunk);
    let part = chunk.part.ok_or_else(|| {
        Status::invalid_argument("a message of an update is neither header nor data")
    })?;
    Ok(Some(part))
}

/// The uploads under way: one for each client. A new upload ends the older one, which may be left over from a broken link.
#[derive(Debug, Default)]
pub(super) struct Uploads(Mutex<BTreeMap<ClientId, oneshot::Sender<()>>>);

impl Uploads {
    /// Begins an upload. The receiver resolves when a newer one begins, and ends this one
    /// when dropped.
    pub(super) fn begin(&self, client: ClientId) -> oneshot::Receiver<()> {
        let (newer_began, newer_begins) = oneshot::channel();
        let mut uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.retain(|_, upload| !upload.is_closed());
        // Dropping the older sender is what tells the older upload.
        uploads.insert(client, newer_began);
        newer_begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use umbel_proto::incoming::InMemory;
    use umbel_proto::message::BlobDigest;
    use umbel_proto::wire::UpdateHeader;

    const STALL: Duration = Duration::from_secs(60);

    fn header(bytes: u64, content: &[u8]) -> UpdateChunk {
        UpdateChunk {
            part: Some(Part::Header(UpdateHeader {
                round: 3,
                total_bytes: bytes,
                digest: BlobDigest::of(content).as_bytes().to_vec(),
                offset: 0,
            })),
        }
    }

    fn data(bytes: &[u8]) -> UpdateChunk {
        UpdateChunk {
            part: Some(Part::Data(bytes.to_vec())),
        }
    }

    fn received(messages: Vec<UpdateChunk>, most: u64) -> Result<Upload, Status> {
        let stream = tokio_stream::iter(messages.into_iter().map(Ok));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(receive(
            stream,
            STALL,
            &TrafficMeter::default(),
            in_memory(most),
        ))
    }

    fn in_memory(most: u64) -> impl AsyncFnOnce(UpdateAnnouncement) -> Result<Begun, Status> {
        async move |announced| Ok(InMemory::new(announced, most).map(|begun| Box::new(begun) as _))
    }

    fn refusal(upload: Result<Upload, Status>) -> String {
        match upload {
            Ok(Upload::Refused(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_update_is_put_together_from_its_chunks() {
        let messages = vec![header(5, b"abcde"), data(b"ab"), data(b"cde")];
        let Upload::Whole(arrived) = received(messages, 5).unwrap() else {
            panic!("it is whole");
        };
        let update = arrived.into_update().unwrap();
        assert_eq!((update.round, &update.values[..]), (3, &b"abcde"[..]));
    }

    #[test]
    fn an_update_that_is_announced_too_long_is_refused_before_its_data() {
        let stream = tokio_stream::iter([Ok(header(6, b"abcdef"))]).chain(tokio_stream::pending());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let upload = runtime.block_on(receive(
            stream,
            STALL,
            &TrafficMeter::default(),
            in_memory(5),
        ));
        let reason = refusal(upload);
        assert!(
            reason.contains("6 bytes are announced, but at most 5 are accepted"),
            "{reason}"
        );
    }

    #[test]
    fn an_update_that_grows_beyond_its_announcement_is_refused() {
        let messages = vec![header(3, b"abcde"), data(b"ab"), data(b"cde")];
        let reason = refusal(received(messages, 5));
        assert!(
            reason.contains("more than the announced 3 bytes"),
            "{reason}"
        );
    }

    #[test]
    fn an_update_that_ends_early_is_refused() {
        let reason = refusal(received(vec![header(5, b"abcde"), data(b"ab")], 5));
        assert!(
            reason.contains("only 2 of the announced 5 bytes"),
            "{reason}"
        );
    }

    #[test]
    fn an_altered_update_is_refused() {
        let reason = refusal(received(vec![header(2, b"ab"), data(b"ac")], 5));
        assert!(reason.contains("altered"), "{reason}");
    }

    #[test]
    fn a_stream_out_of_order_is_an_invalid_argument() {
        let streams = [
            vec![],
            vec![data(b"ab")],
            vec![header(2, b"ab"), header(2, b"ab")],
            vec![header(2, b"ab"), data(b"")],
            vec![UpdateChunk { part: None }],
        ];
        for messages in streams {
            let status = received(messages.clone(), 5).unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument, "{messages:?}");
        }
    }

    #[test]
    fn a_stalled_stream_is_given_up() {
        let stream = tokio_stream::iter([Ok(header(5, b"abcde"))]).chain(tokio_stream::pending());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let stall = Duration::from_millis(1);
        let upload = runtime.block_on(receive(
            stream,
            stall,
            &TrafficMeter::default(),
            in_memory(5),
        ));
        assert_eq!(upload.unwrap_err().code(), tonic::Code::DeadlineExceeded);
    }

    #[test]
    fn a_newer_upload_ends_the_older_one_of_the_same_client_only() {
        let uploads = Uploads::default();
        let [north, south] = ["north", "south"].map(|name| name.parse::<ClientId>().unwrap());
        let mut first = uploads.begin(north.clone());
        let mut other = uploads.begin(south);
        assert_eq!(first.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        let mut second = uploads.begin(north);
        assert_eq!(first.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(second.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        assert_eq!(other.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }
}
