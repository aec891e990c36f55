//! Looking at a run from outside its path: none of this is waited for while clients wait, and
//! none of it can stop a run.
//!
//! | module | what it is for |
//! |---|---|
//! | [`evaluation`] | accuracy and loss on public files |
//! | [`judgement`] | what scores are worth, and whether probabilities are what they say |
//! | [`recorder`] | a line of metrics for each round |
//! | [`tensorboard`] | the same lines for TensorBoard |
//! | [`virtual_time`] | when a simulation's clients would have answered |

pub mod adjustment;
mod calibration;
pub mod evaluation;
pub mod judgement;
mod other_tasks;
mod per_class;
pub mod public_data;
pub mod recorder;
pub mod scores;
pub mod tensorboard;
pub mod virtual_time;
