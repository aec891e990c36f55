//! Whether a run fits onto the disk: its journal, updates of a round, checkpoints, model, ledger.

use std::io;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use umbel_proto::plan::Plan;

use crate::aggregate::UpdateRules;
use crate::config::RunConfig;

/// Bytes of a ledger entry or a line of metrics, at most about.
const LINE: u64 = 2048;
/// Bytes of a journal's line, at most about.
const JOURNAL_LINE: u64 = 512;
/// Lines of the journal for a round, beside one for each update.
const JOURNAL_LINES: u64 = 6;
/// Results of rounds that are there at a time: the last two, and the one that is being written.
const CHECKPOINTS: u64 = 3;
/// Pages, certificates and receipts.
const PAGES: u64 = 4 << 20;

/// What a run writes, in bytes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The updates of the open round, one of each client.
    pub updates: u64,
    /// The last results, with what the server's optimiser remembers.
    pub checkpoints: u64,
    /// The trained model, and its adapters.
    pub model: u64,
    /// Journal, metrics, report and the ledger's copy.
    pub records: u64,
    /// The ledger itself.
    pub ledger: u64,
}

impl Needs {
    /// What a run by this plan writes, if the base model's weights have so many bytes.
    pub fn of(config: &RunConfig, plan: &Plan, weights: u64) -> Self {
        let clients = config.clients.len() as u64;
        let rounds = u64::from(plan.rounds.get());
        let parameters = plan.classifier.parameters as u64;
        let numbers = |each: u64| parameters.saturating_mul(each);
        let server = &config.server;
        let strategy = server.optimiser.make(server.given(), 1);
        let moments = strategy.state().moments.len() as u64;
        let journal = JOURNAL_LINE.saturating_mul(clients.saturating_add(JOURNAL_LINES));
        Self {
            updates: clients.saturating_mul(UpdateRules::of(plan).bytes()),
            // Parameters of four bytes each, memory of eight.
            checkpoints: CHECKPOINTS.saturating_mul(numbers(4 + 8 * moments)),
            model: weights.max(numbers(4)).saturating_add(numbers(4)),
            records: rounds
                .saturating_mul(journal.saturating_add(2 * LINE))
                .saturating_add(PAGES),
            ledger: rounds.saturating_mul(LINE),
        }
    }

    /// What the run's folder takes.
    pub fn folder(&self) -> u64 {
        let most = [self.updates, self.checkpoints, self.model, self.records];
        most.into_iter().fold(0, u64::saturating_add)
    }
}

/// A disk that a run writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// What is written there.
    pub what: &'static str,
    /// Where.
    pub path: PathBuf,
    /// Bytes that are free for this user.
    pub free: u64,
    /// Bytes that the run needs there.
    pub needed: u64,
}

impl Room {
    /// Whether it is enough.
    pub fn is_enough(&self) -> bool {
        self.free >= self.needed
    }

    /// Whether it is less than twice what is needed, so that others who write there had better not.
    pub fn is_tight(&self) -> bool {
        self.free / 2 < self.needed
    }
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {} of {} that may be needed are free in {}",
            self.what,
            ByteSize(self.free),
            ByteSize(self.needed),
            self.path.display()
        )
    }
}

/// Too little room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; make room there, or set {key} to a place on another disk", key = .0.key()
)]
pub struct TooLittle(Room);

impl Room {
    fn key(&self) -> &'static str {
        match self.what {
            LEDGER => "privacy.ledger",
            _ => "run.out",
        }
    }
}

const FOLDER: &str = "the run's folder";
const LEDGER: &str = "the ledger";

/// The room on the disks that a run by this plan writes to.
///
/// # Errors
/// What the system says of a folder that can't be looked at.
pub fn rooms(config: &RunConfig, plan: &Plan, ledger: &Path) -> io::Result<Vec<Room>> {
    let weights = config
        .model
        .base
        .join("model.safetensors")
        .metadata()?
        .len();
    rooms_for(&Needs::of(config, plan, weights), &config.run.out, ledger)
}

/// One on which folder and ledger lie is listed once.
fn rooms_for(needs: &Needs, out: &Path, ledger: &Path) -> io::Result<Vec<Room>> {
    let (out, ledger) = (existing(out)?, existing(ledger)?);
    let mut folder = Room {
        what: FOLDER,
        free: free(&out)?,
        path: out,
        needed: needs.folder(),
    };
    if same_disk(&folder.path, &ledger)? {
        folder.needed = folder.needed.saturating_add(needs.ledger);
        return Ok(vec![folder]);
    }
    let ledger = Room {
        what: LEDGER,
        free: free(&ledger)?,
        path: ledger,
        needed: needs.ledger,
    };
    Ok(vec![folder, ledger])
}

/// Refuses a disk that has too little room.
///
/// # Errors
/// [`TooLittle`] for the first one.
pub fn check(rooms: &[Room]) -> Result<(), TooLittle> {
    let full = rooms.iter().find(|room| !room.is_enough());
    full.map_or(Ok(()), |room| Err(TooLittle(room.clone())))
}

/// The folder itself, or the nearest one above it that is there already.
fn existing(path: &Path) -> io::Result<PathBuf> {
    let whole = std::path::absolute(path)?;
    let there = whole.ancestors().find(|folder| folder.is_dir());
    Ok(there.unwrap_or(&whole).to_owned())
}

#[cfg(unix)]
fn free(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Other systems aren't asked.
#[cfg(not(unix))]
fn free(_: &Path) -> io::Result<u64> {
    Ok(u64::MAX)
}

#[cfg(unix)]
fn same_disk(a: &Path, b: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(a.metadata()?.dev() == b.metadata()?.dev())
}

#[cfg(not(unix))]
fn same_disk(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(free: u64, needed: u64) -> Room {
        Room {
            what: FOLDER,
            path: "/runs".into(),
            free,
            needed,
        }
    }

    #[test]
    fn a_disk_with_too_little_room_is_refused_with_both_numbers() {
        let error = check(&[room(10 << 20, 3 << 30)]).unwrap_err().to_string();
        for part in ["10.0 MiB", "3.0 GiB", "/runs", "run.out"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(check(&[room(3 << 30, 3 << 30)]).is_ok());
        assert!(room(3 << 30, 2 << 30).is_tight());
        assert!(!room(4 << 30, 2 << 30).is_tight());
    }

    #[test]
    fn a_folder_that_is_yet_to_be_made_is_looked_at_where_it_will_be() {
        let dir = tempfile::tempdir().unwrap();
        let needs = Needs {
            updates: 1,
            checkpoints: 2,
            model: 3,
            records: 4,
            ledger: 5,
        };
        let out = dir.path().join("a/b/runs");
        let rooms = rooms_for(&needs, &out, &dir.path().join("ledger.jsonl")).unwrap();
        assert_eq!(rooms.len(), 1, "one disk: {rooms:?}");
        assert_eq!(rooms[0].needed, 15);
        assert!(rooms[0].path.is_dir());
        #[cfg(unix)]
        assert!(rooms[0].free > 0);
    }
}
