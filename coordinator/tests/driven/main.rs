//! Runs whose clients and clock are in the test's hand.

#[path = "../protocols/closes_at_once.rs"]
mod closes_at_once;
mod divergence;
mod harness;
mod killed;
mod machine;
mod many;
mod memory;
mod other_protocol;
mod place;
mod power;
mod public_divisor;
mod repeated_rounds;
mod scores;
mod unsynced;
