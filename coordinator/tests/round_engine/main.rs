//! The round engine: what it does in every case that matters, and that it does the same as a
//! simple one in all others.

#[path = "../protocols/closes_at_once.rs"]
mod closes_at_once;
mod every_protocol;
mod lists;
mod random;
mod reference;
mod same_as_reference;
