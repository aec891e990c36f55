//! The language of a run: what coordinator, clients and models say to each other, without a
//! tensor library.
//!
//! Read from the top: [`plan`] is what a run asks of its sites; [`classifier`], [`lora`] and
//! [`method`] are its words; [`message`] has the few things that travel, [`federation`] the calls
//! by which they travel, whatever carries them: gRPC between buildings, a function call in a
//! simulation. [`spending`] is a budget as a plan spends it. [`wire`] has the generated protobuf
//! types, their checked conversions, and the chunks in which blobs are sent. [`console`] is how
//! every command speaks to whoever runs it.

#![forbid(unsafe_code)]

pub mod bounded;
pub mod certificate_dates;
pub mod classifier;
pub mod console;
pub mod control_variates;
pub mod departure;
pub mod exit_code;
pub mod federation;
pub mod findings;
pub mod incoming;
pub mod lora;
pub mod message;
pub mod method;
pub mod name;
pub mod plan;
pub mod printable;
pub mod schema;
pub mod settings;
pub mod spending;
pub mod task;
pub mod unprotected;
pub mod wire;
