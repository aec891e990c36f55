//! The coordinator on the network: gRPC over mutual TLS around any
//! [`Federation`](umbel_proto::federation::Federation).
//!
//! [`serve`] answers calls until it is told to stop. Who calls is decided here, by the
//! certificate ([`ClientDirectory`]); what is answered is decided by the federation. All
//! bytes that move are counted in a [`TrafficMeter`]. How many connections there may be, and who
//! goes when a stranger takes all places, is in [`ConnectionLimits`].

mod accept;
mod connection;
mod descriptors;
mod door;
mod download;
mod identity;
mod meter;
mod refusals;
mod security;
mod server;
mod service;
mod upload;

pub use descriptors::raise_limit;
pub use door::ConnectionLimits;
pub use identity::{ClientDirectory, SharedFingerprint};
pub use meter::TrafficMeter;
pub use security::{Security, ServeError, TlsSettings};
pub use server::{bind, serve};
pub use service::ServiceLimits;
