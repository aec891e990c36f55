//! What a round adds up: the rules that an update must keep to, and the sum.
//!
//! | module | what it is for |
//! |---|---|
//! | `update_rules` | what a submitted vector must be to count |
//! | `round_sum` | the sum of one attempt, under a lock of its own, and the order of locks |

mod round_sum;
mod update_rules;

pub(crate) use round_sum::{LostSum, RoundSum};
pub use update_rules::{BadUpdate, UpdateRules};
