//! Runs whose clients and clock are in the test's hand.

mod divergence;
mod harness;
mod killed;
mod machine;
mod many;
mod memory;
mod place;
mod power;
mod public_divisor;
mod repeated_rounds;
mod scores;
mod unsynced;
