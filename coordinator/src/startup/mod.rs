//! What is looked at before the port opens, by `serve` and by `check` alike.
//!
//! | module | what it looks at |
//! |---|---|
//! | [`certificates`] | whether the certificates are good, and for how long |
//! | [`disk`] | whether the run fits onto the disk |
//! | [`mod@check`] | all of it, for `umbel-coordinator check` |
//! | [`connections`] | how many connections there may be |

pub mod certificates;
pub mod check;
pub mod connections;
pub mod disk;
