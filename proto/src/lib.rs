//! What coordinator and clients say to each other.
//!
//! Read from the top: [`plan`] is what a run asks of its sites, [`message`] the few
//! things that travel, [`federation`] the calls by which they travel, whatever
//! carries them: gRPC between buildings, a function call in a simulation. [`wire`]
//! has the generated protobuf types and [`convert`] their checked conversions;
//! [`chunk`] cuts blobs for the wire and puts them together again. [`mechanism`] and [`terms`]
//! are what a plan means in the arithmetic of privacy, and what must follow from it.

#![forbid(unsafe_code)]

pub mod chunk;
pub mod convert;
pub mod departure;
pub mod exit_code;
pub mod federation;
pub mod mechanism;
pub mod message;
pub mod plan;
pub mod spending;
pub mod terms;
pub mod unprotected;
pub mod wire;
