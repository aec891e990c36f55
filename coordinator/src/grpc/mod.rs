//! The coordinator on the network: gRPC over mutual TLS around any
//! [`Federation`](umbel_proto::federation::Federation).
//!
//! [`serve`] answers calls until it is told to stop. Who calls is decided here, by the
//! certificate ([`ClientDirectory`]); what is answered is decided by the federation. All
//! bytes that move are counted in a [`TrafficMeter`].

mod download;
mod identity;
mod meter;
mod security;
mod server;
mod service;
mod upload;

pub use identity::{ClientDirectory, SharedFingerprint};
pub use meter::TrafficMeter;
pub use security::{Security, ServeError, TlsSettings};
pub use server::{bind, serve};
pub use service::ServiceLimits;
