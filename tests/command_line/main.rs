//! The three programs as whoever types their commands meets them: what they say and where, what
//! they refuse and when, and how they end.

mod asked_to_stop;
mod checked_first;
mod first_tries;
mod manuals;
mod odd_input;
mod outputs;
mod predictions;
mod reports;
#[path = "../federation/workbench.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod workbench;
mod world;
