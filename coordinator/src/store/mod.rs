//! What a run keeps on disk: for whoever goes on with it, and for whoever reads about it.
//!
//! | module | what it is for |
//! |---|---|
//! | [`RunStore`] | what a run is taken up from: a journal, open updates, results |
//! | `record`, `history` | what the journal holds, and what it comes to |
//! | `checkpoint` | a round's result, before anybody gets it |
//! | `memory`, `journal` | stores in memory and in a folder |
//! | `spool` | updates in files, as they come and once they are accepted |
//! | [`run_folder`] | the folder that a run leaves |

mod checkpoint;
mod disk;
mod error;
mod history;
mod journal;
mod journal_file;
mod journal_line;
mod memory;
mod record;
pub mod run_folder;
mod run_store;
mod spool;

pub use checkpoint::{Checkpoint, Told};
pub use error::StoreError;
pub use history::{History, OpenAttempt};
pub use journal::{FileStore, Spool};
pub use memory::MemoryStore;
pub use record::{
    CountedUpdate, FORMAT_VERSION, Record, RoundClosed, RoundOpened, RoundReleased, RunBegun,
};
pub use run_store::{Change, Results, RunStore};
