//! The round engine: an event goes in, actions come out, and nothing else happens.
//!
//! It knows who takes part, what may happen when, and what comes next. It has no clock,
//! no randomness, no storage and no numbers of the model: those belong to whoever drives
//! it ([`crate::run`]), who carries out the [`Action`]s and tells what happened as
//! [`Event`]s.
//!
//! ```text
//! Gathering ─▶ Gate ─▶ Draw ─▶ Collecting ─▶ Spending ─▶ Releasing ─▶ Gate …
//!     │          │                  ├──▶ Gate (again, where too few took part)
//!     │          └──▶ Done          └──▶ Paused ─▶ Gate (again, once enough are here)
//!     └──▶ Paused
//! ```
//!
//! The rules are behind a trait, [`RoundProtocol`], which is all that lobby and driver know of them;
//! [`Engine`] is the one that runs follow.
//!
//! Every update of a round passes through it under one lock, so that an update must cost the
//! same whatever the size of the cohort (`benches/round.rs`).

mod collection;
mod engine;
mod event;
mod phase;
mod protocol;
mod quorum;
mod taken_up;

pub use collection::Collection;
pub use engine::{Engine, RoundSettings};
pub use event::{Action, Event, Participation, RefusedUpdate};
pub use phase::Phase;
pub use protocol::RoundProtocol;
pub use taken_up::{OpenRound, Stood};
