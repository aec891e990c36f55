//! Counting the bytes that move, for the run's report.

use std::sync::atomic::{AtomicU64, Ordering};

use umbel_proto::wire::Message;

/// Bytes of protobuf messages that a server received and sent. TLS and HTTP/2 come on
/// top of them, with less than one per cent where blobs make up the bulk.
#[derive(Debug, Default)]
pub struct TrafficMeter {
    received: AtomicU64,
    sent: AtomicU64,
}

impl TrafficMeter {
    /// Bytes that came from clients.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes that went to clients.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn count_received(&self, message: &impl Message) {
        let bytes = message.encoded_len() as u64;
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn count_sent(&self, message: &impl Message) {
        let bytes = message.encoded_len() as u64;
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }
}
