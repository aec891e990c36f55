//! What there is outside of the processes: the network, the disks, and what an observer saw.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use umbel_coordinator::lobby::Lobby;
use umbel_proto::message::{BlobDigest, ClientId};

use crate::power::Power;
use crate::scheduler::Scheduler;
use crate::setting::Setting;
use crate::unsynced::Unsynced;

/// When a run begins, since 1970.
const BEGINNING: Duration = Duration::from_secs(1_700_000_000);

/// A message that comes late, or once more.
pub type Ghost = Box<dyn FnOnce(&Lobby) + Send>;

pub struct World {
    pub scheduler: Arc<Scheduler>,
    pub setting: Setting,
    disk: TempDir,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The coordinator's process, while there is one.
    coordinator: Option<(Arc<Lobby>, Arc<Power>)>,
    /// Until when each client's link is cut.
    cut: BTreeMap<ClientId, Duration>,
    /// Which machines' disks are full.
    full: BTreeMap<String, Arc<AtomicBool>>,
    unsynced: BTreeMap<String, Arc<Unsynced>>,
    /// By how many seconds the coordinator's wall clock is wrong.
    wrong_by: i64,
    /// Whether messages are lost, repeated and late.
    disturbed: bool,
    ghosts: Vec<Ghost>,
    seen: Seen,
}

/// What went over the network.
#[derive(Clone, Default)]
pub struct Seen {
    /// The updates that a site sent for a round.
    pub sent: BTreeMap<(ClientId, u32), BTreeSet<BlobDigest>>,
    /// The parameters that were published for a round.
    pub published: BTreeMap<u32, BTreeSet<BlobDigest>>,
}

impl World {
    pub fn new(scheduler: Arc<Scheduler>, setting: Setting) -> Arc<Self> {
        // In memory where that can be had: there are many files, and none has to last.
        let memory = std::path::Path::new("/dev/shm");
        let disk = tempfile::Builder::new().tempdir_in(memory);
        let disk = disk.or_else(|_| tempfile::tempdir()).expect("a folder");
        Arc::new(Self {
            scheduler,
            setting,
            disk,
            inner: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A machine's folder.
    pub fn folder(&self, of: &str) -> PathBuf {
        let folder = self.disk.path().join(of);
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// Whether a machine's disk is full, for its processes to see and for a fault to change.
    pub fn disk_is_full(&self, of: &str) -> Arc<AtomicBool> {
        let mut inner = self.lock();
        Arc::clone(inner.full.entry(of.to_owned()).or_default())
    }

    /// What a machine would lose if it went down.
    pub fn unsynced(&self, of: &str) -> Arc<Unsynced> {
        let mut inner = self.lock();
        Arc::clone(inner.unsynced.entry(of.to_owned()).or_default())
    }

    /// There is room on all disks again.
    pub fn free_all_disks(&self) {
        for full in self.lock().full.values() {
            full.store(false, Ordering::SeqCst);
        }
    }

    pub fn coordinator_is(&self, process: Option<(Arc<Lobby>, Arc<Power>)>) {
        self.lock().coordinator = process;
    }

    /// Whether there is a coordinator's process that answers.
    pub fn has_coordinator(&self) -> bool {
        let inner = self.lock();
        let process = inner.coordinator.as_ref();
        process.is_some_and(|(_, power)| !power.is_out())
    }

    /// The coordinator, if this client reaches it.
    pub fn reach(&self, client: &ClientId) -> Option<Arc<Lobby>> {
        let now = self.scheduler.now();
        let inner = self.lock();
        if inner.cut.get(client).is_some_and(|until| now < *until) {
            return None;
        }
        let (lobby, power) = inner.coordinator.as_ref()?;
        (!power.is_out()).then(|| Arc::clone(lobby))
    }

    pub fn cut(&self, client: &ClientId, time: Duration) {
        let until = self.scheduler.now() + time;
        self.lock().cut.insert(client.clone(), until);
    }

    /// From now on nothing goes wrong any more.
    pub fn heal(&self) {
        self.free_all_disks();
        let mut inner = self.lock();
        inner.cut.clear();
        inner.ghosts.clear();
        inner.wrong_by = 0;
        inner.disturbed = false;
    }

    /// The coordinator's wall clock jumps.
    pub fn jump(&self, seconds: i64) {
        self.lock().wrong_by += seconds;
    }

    /// The time that a right clock shows.
    pub fn right_time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + BEGINNING + self.scheduler.now()
    }

    /// The time that the coordinator's clock shows.
    pub fn coordinators_time(&self) -> SystemTime {
        let wrong = self.lock().wrong_by;
        let by = Duration::from_secs(wrong.unsigned_abs());
        match wrong {
            0.. => self.right_time() + by,
            _ => self.right_time() - by,
        }
    }

    pub fn disturb(&self) {
        self.lock().disturbed = true;
    }

    pub fn is_disturbed(&self) -> bool {
        self.lock().disturbed
    }

    pub fn haunt(&self, ghost: Ghost) {
        let mut inner = self.lock();
        if inner.disturbed {
            inner.ghosts.push(ghost);
        }
    }

    /// Lets a late message arrive.
    pub fn let_a_ghost_arrive(&self) {
        let count = self.lock().ghosts.len() as u64;
        if count == 0 {
            return;
        }
        let which = self.scheduler.draw(count) as usize;
        let (ghost, coordinator) = {
            let mut inner = self.lock();
            let coordinator = inner.coordinator.clone();
            (inner.ghosts.swap_remove(which), coordinator)
        };
        if let Some((lobby, power)) = coordinator
            && !power.is_out()
        {
            ghost(&lobby);
        }
    }

    pub fn saw_update(&self, client: &ClientId, round: u32, update: BlobDigest) {
        let mut inner = self.lock();
        let sent = inner.seen.sent.entry((client.clone(), round));
        sent.or_default().insert(update);
    }

    pub fn saw_parameters(&self, round: u32, parameters: BlobDigest) {
        let mut inner = self.lock();
        let published = inner.seen.published.entry(round);
        published.or_default().insert(parameters);
    }

    pub fn seen(&self) -> Seen {
        self.lock().seen.clone()
    }
}
