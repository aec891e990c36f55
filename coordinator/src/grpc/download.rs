//! A blob on its way out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use umbel_proto::wire::BlobChunk;
use umbel_proto::wire::chunk::chunks;

use super::TrafficMeter;

/// Chunks that wait for the network: enough to keep it busy, little enough for many clients.
const WAITING: usize = 2;

/// Streams `blob` from `offset` on, as fast as the client takes it. A client that takes
/// nothing for `stall` sees the stream end early, and has to resume.
pub(super) fn stream(
    blob: Arc<[u8]>,
    offset: u64,
    stall: Duration,
    meter: Arc<TrafficMeter>,
) -> ReceiverStream<Result<BlobChunk, Status>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        for (offset, data) in chunks(&blob, offset) {
            let chunk = BlobChunk {
                offset,
                total_bytes: blob.len() as u64,
                data: data.to_vec(),
            };
            meter.count_sent(&chunk);
            match tokio::time::timeout(stall, sender.send(Ok(chunk))).await {
                Ok(Ok(())) => {}
                // The client is gone, or stalls.
                Ok(Err(_)) | Err(_) => return,
            }
        }
    });
    ReceiverStream::new(receiver)
}
