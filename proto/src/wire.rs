//! The protobuf types and the gRPC stubs, generated from `proto/umbel.proto`.
//!
//! Their documentation is the comments of that file. Nothing outside [`crate::convert`]
//! and the two ends of the wire should touch them: use the domain types of
//! [`crate::message`].

#![allow(missing_docs, unreachable_pub, clippy::all)]

tonic::include_proto!("umbel.v1");
