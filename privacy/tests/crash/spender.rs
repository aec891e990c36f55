//! What spends in these tests: a process of its own, and the entries that it writes.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use umbel_privacy::ledger::{FileLedgerStorage, LedgerStorage};
use umbel_privacy::{
    Adjacency, ClippingNorm, Delta, EntryDraft, LatticeStep, Ledger, MechanismEvent,
    NoiseMultiplier, NoisePlacement, PrivacyUnit,
};

/// Rounds that a spender has before it.
pub const ROUNDS: u64 = 3;

/// The draft of one round.
pub fn draft(round: u64) -> EntryDraft {
    let clipping_norm = ClippingNorm::try_from(0.5).unwrap();
    EntryDraft {
        data_set: "visits".into(),
        run_id: "crash".into(),
        round,
        last_round: None,
        attempt: 0,
        filter_order: None,
        plan: None,
        unit: PrivacyUnit::Record,
        adjacency: Adjacency::AddOrRemove,
        placement: NoisePlacement::Central,
        event: MechanismEvent::gaussian(NoiseMultiplier::try_from(1.1).unwrap()),
        clipping_norm,
        lattice_step: LatticeStep::for_clipping_norm(clipping_norm),
        delta: Delta::try_from(1e-5).unwrap(),
        unix_time: 1_700_000_000,
        seeded: false,
    }
}

/// An empty folder of its own for one test.
pub fn folder(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{test}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Bytes that stand for the releases of a spender: one for each token that it was given.
pub fn releases(folder: &Path) -> usize {
    std::fs::read(folder.join("released")).map_or(0, |bytes| bytes.len())
}

/// A spending process, and what it says.
pub struct Spender {
    pub process: Child,
    says: BufReader<ChildStdout>,
}

impl Spender {
    /// Starts a process on the ledger in `folder` that stops at its `stop`-th write or sync.
    pub fn start(folder: &Path, stop: usize) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "spender::spend_in_a_process", "--nocapture"])
            .env("UMBEL_TEST_SPENDER", folder)
            .env("UMBEL_TEST_STOP", stop.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let says = BufReader::new(process.stdout.take().unwrap());
        Self { process, says }
    }

    /// What it says next, after this prefix: `stopped` at what, or `finished`.
    pub fn next_word(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.says.read_line(&mut line).unwrap();
            assert!(read > 0, "the spender ended without a word");
            if let Some((_, word)) = line.trim().split_once("spender: ") {
                return word.to_owned();
            }
        }
    }

    /// Ends it by SIGKILL.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        let status = self.process.wait().unwrap();
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9)
        );
        assert!(!status.success());
    }
}

/// Not a test by itself: what [`Spender`] runs in another process.
#[test]
fn spend_in_a_process() {
    let Ok(folder) = std::env::var("UMBEL_TEST_SPENDER") else {
        return;
    };
    let folder = PathBuf::from(folder);
    let stop = std::env::var("UMBEL_TEST_STOP").unwrap().parse().unwrap();
    let storage = Stopping {
        inner: FileLedgerStorage::open(folder.join("ledger.jsonl")).unwrap(),
        left: stop,
    };
    let mut ledger = Ledger::open(storage).unwrap();
    let mut released = OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join("released"))
        .unwrap();
    for round in 0..ROUNDS {
        let spent = ledger.spend(draft(round)).unwrap();
        released.write_all(b"r").unwrap();
        drop(spent);
    }
    say("finished");
}

fn say(word: &str) {
    println!("\nspender: {word}");
    io::stdout().flush().unwrap();
}

/// Stands still for ever at one write or sync, for its process to be killed there.
struct Stopping {
    inner: FileLedgerStorage,
    /// Points to pass before the one to stop at.
    left: usize,
}

impl Stopping {
    fn point(&mut self, place: &str) {
        if self.left == 0 {
            say(&format!("stopped {place}"));
            loop {
                std::thread::park();
            }
        }
        self.left -= 1;
    }
}

impl LedgerStorage for Stopping {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        self.inner.read_all()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.point("before a write");
        let (first, second) = bytes.split_at(bytes.len() / 2);
        if !first.is_empty() {
            self.inner.append(first)?;
            self.point("inside a write");
        }
        self.inner.append(second)?;
        self.point("after a write");
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.point("before a sync");
        self.inner.sync()?;
        self.point("after a sync");
        Ok(())
    }

    fn truncate_to(&mut self, len: u64) -> io::Result<()> {
        self.point("before a cut");
        self.inner.truncate_to(len)?;
        self.point("after a cut");
        Ok(())
    }
}
