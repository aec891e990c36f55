//! The protobuf types and the gRPC stubs, generated from `proto/umbel.proto`.
//!
//! Their documentation is the comments of that file. Nothing outside [`convert`]
//! and the two ends of the wire should touch them: use the domain types of
//! [`crate::message`].

#![allow(missing_docs, unreachable_pub, clippy::all)]

/// What every message is, and can say its length on the wire.
pub use prost::Message;

/// The metadata in which a client names itself where there is no TLS.
pub const CLIENT_HEADER: &str = "umbel-client";

pub mod chunk;
pub mod convert;

tonic::include_proto!("umbel.v1");
