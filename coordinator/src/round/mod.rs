//! The round engine: `(state, event) → (state, actions)`, and nothing else.
//!
//! It knows who takes part, what may happen when, and what comes next. It has no clock,
//! no randomness, no storage and no numbers of the model: those belong to whoever drives
//! it ([`crate::run`]), who carries out the [`Action`]s and tells what happened as
//! [`Event`]s.
//!
//! ```text
//! Gathering ─▶ Gate ─▶ Draw ─▶ Collecting ─▶ Spending ─▶ Releasing ─▶ Gate …
//!                │                  └──▶ Gate (again, where too few took part)
//!                └──▶ Done
//! ```

mod engine;
mod event;

pub use engine::{Engine, Phase, RoundSettings};
pub use event::{Action, Event, Participation, RefusedUpdate};
