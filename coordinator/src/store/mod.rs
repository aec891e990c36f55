//! What a run keeps on disk.
//!
//! | module | what it is for |
//! |---|---|
//! | [`run_folder`] | the folder that a run leaves |
//! | [`latest_round`] | a round's result, before anybody gets it |

pub mod latest_round;
pub mod run_folder;
