//! An update on its way out: sent from where the coordinator stands.

use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use umbel_proto::message::{Receipt, Update, UpdateAnnouncement};
use umbel_proto::wire;
use umbel_proto::wire::Message as _;
use umbel_proto::wire::chunk::{CHUNK_BYTES, chunks};
use umbel_proto::wire::update_chunk::Part;

use super::failure::Failure;
use super::link::Link;

/// Chunks of an update that wait for the network.
const WAITING: usize = 2;

/// How far the upload of one update came.
pub(super) struct Progress {
    /// Whether the coordinator may have a part of it. A short update is quicker sent than asked for.
    ask: bool,
    /// The bytes that it had at most so far.
    reached: u64,
}

impl Progress {
    /// Nothing was sent by this process yet; an earlier one may have.
    pub(super) fn of(announced: &UpdateAnnouncement) -> Self {
        Self {
            ask: announced.bytes > CHUNK_BYTES as u64,
            reached: 0,
        }
    }
}

impl Link {
    /// Hands in an update, from where an earlier attempt broke off.
    pub(super) async fn submit(
        &self,
        update: &Update,
        mut announced: UpdateAnnouncement,
        progress: &mut Progress,
    ) -> Result<Receipt, Failure> {
        if progress.ask {
            announced.offset = self.received(announced).await?;
        }
        let progressed = announced.offset > progress.reached;
        progress.reached = progress.reached.max(announced.offset);
        progress.ask = true;
        let sent = self.send_from(update, announced).await;
        sent.map_err(|failure| match failure {
            Failure::Passing { reason, .. } => Failure::Passing { reason, progressed },
            stays => stays,
        })
    }

    /// Asks how much of an update the coordinator has.
    async fn received(&self, announced: UpdateAnnouncement) -> Result<u64, Failure> {
        let request = self.request(wire::UpdateHeader::from(announced));
        let mut calls = self.calls.clone();
        let reply = timeout(self.stall, calls.update_progress(request)).await;
        let reply = self.in_time(reply).await?.into_inner();
        self.count_received(&reply);
        Ok(reply.received.min(announced.bytes))
    }

    async fn send_from(
        &self,
        update: &Update,
        announced: UpdateAnnouncement,
    ) -> Result<Receipt, Failure> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let request = self.request_stream(ReceiverStream::new(receiver));
        let mut calls = self.calls.clone();
        let mut answer = std::pin::pin!(calls.submit_update(request));
        // The answer may come before all is sent: a refusal needs no more.
        let early = tokio::select! {
            early = &mut answer => Some(early),
            fed = self.feed(sender, update, announced) => {
                fed?;
                None
            }
        };
        let reply = match early {
            Some(reply) => self.in_time(Ok(reply)).await?,
            None => self.in_time(timeout(self.stall, answer).await).await?,
        };
        let reply = reply.into_inner();
        self.count_received(&reply);
        Receipt::try_from(reply).map_err(Failure::garbled)
    }

    /// Sends header and data as fast as the network takes them.
    async fn feed(
        &self,
        sender: mpsc::Sender<wire::UpdateChunk>,
        update: &Update,
        announced: UpdateAnnouncement,
    ) -> Result<(), Failure> {
        let header = Part::Header(announced.into());
        let data = chunks(&update.values, announced.offset)
            .filter(|(_, chunk)| !chunk.is_empty())
            .map(|(_, chunk)| Part::Data(chunk.to_vec()));
        for part in std::iter::once(header).chain(data) {
            let chunk = wire::UpdateChunk { part: Some(part) };
            let bytes = chunk.encoded_len() as u64;
            match timeout(self.stall, sender.send(chunk)).await {
                Ok(Ok(())) => self.sent.fetch_add(bytes, Ordering::Relaxed),
                // The call is over; its answer says why.
                Ok(Err(_)) => return Ok(()),
                Err(_) => return Err(self.stalled()),
            };
        }
        Ok(())
    }
}
