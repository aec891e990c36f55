//! Runs whose clients and clock are in the test's hand.

mod divergence;
mod harness;
mod public_divisor;
mod repeated_rounds;
mod scores;
