//! Who may use the processor: a model for each training that may run at a time.
//!
//! A model's training spreads over all cores by itself, a tile of rows a thread. In a
//! simulation, a client with few rows wouldn't fill them, so that several train at a time; but
//! no more than there are cores, since each has buffers of its own. They all follow one plan, so
//! that one model is read for all of them: what isn't trained is there once, and what is trained
//! is set anew at the beginning of each training.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use umbel_model::{Classifier, PhysicalBatch};
use umbel_proto::message::BlobDigest;
use umbel_proto::plan::AgreedPlan;

use crate::known_plan::KnownPlan;
use crate::site::SiteError;

/// A base model's files, by name.
pub(crate) type Content = [(String, Arc<[u8]>)];

/// How many trainings may run at a time, and whose model they use.
pub struct ComputeSlots {
    slots: usize,
    /// What the clients of this process share; `None` for a client that is alone.
    shared: Option<Mutex<Option<Shared>>>,
    known_plan: Arc<KnownPlan>,
}

/// A model that was read for several clients.
struct Shared {
    plan: BlobDigest,
    files: Vec<(String, Arc<[u8]>)>,
    models: Arc<TrainingModels>,
}

impl Shared {
    /// Whether these are the very files of the very plan, in the same memory.
    fn is_of(&self, plan: &AgreedPlan, files: &Content) -> bool {
        let pairs = || self.files.iter().zip(files);
        self.plan == plan.digest()
            && self.files.len() == files.len()
            && pairs().all(|((a, x), (b, y))| a == b && Arc::ptr_eq(x, y))
    }
}

/// A model as it is read from its files, and what may pass through it at a time.
pub(crate) type Loaded = (Classifier, PhysicalBatch);

impl ComputeSlots {
    /// Of a client that is alone in its process, with a model of its own.
    pub fn alone() -> Self {
        Self {
            slots: 1,
            shared: None,
            known_plan: Arc::default(),
        }
    }

    /// Of the clients of a simulation, of which so many train at a time, at least one, by models
    /// that were read once. They have one device, precision and memory.
    pub fn shared(slots: usize) -> Self {
        Self {
            slots: slots.max(1),
            shared: Some(Mutex::new(None)),
            known_plan: Arc::default(),
        }
    }

    /// By what the clients read their plan.
    pub(crate) fn known_plan(&self) -> Arc<KnownPlan> {
        Arc::clone(&self.known_plan)
    }

    /// The models of a client that follows this plan, read by `load` unless another client of this
    /// process has them already.
    ///
    /// # Errors
    /// Those of `load`.
    pub(crate) fn models(
        &self,
        plan: &AgreedPlan,
        files: &Content,
        load: impl FnOnce() -> Result<Loaded, SiteError>,
    ) -> Result<Arc<TrainingModels>, SiteError> {
        let Some(shared) = &self.shared else {
            return Ok(Arc::new(TrainingModels::of(load()?, self.slots)));
        };
        // Locked while the model is read, so that the others wait for it rather than read it, too.
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = shared.as_ref().filter(|shared| shared.is_of(plan, files)) {
            return Ok(Arc::clone(&shared.models));
        }
        let models = Arc::new(TrainingModels::of(load()?, self.slots));
        *shared = Some(Shared {
            plan: plan.digest(),
            files: files.to_vec(),
            models: Arc::clone(&models),
        });
        Ok(models)
    }
}

/// One model for each training that may run at a time.
pub(crate) struct TrainingModels {
    models: Pool<Classifier>,
    batch: PhysicalBatch,
}

impl TrainingModels {
    fn of((model, batch): Loaded, slots: usize) -> Self {
        Self {
            // Clones share their weights until they are given others.
            models: Pool::of(vec![model; slots]),
            batch,
        }
    }

    /// What passes through a model at a time.
    pub(crate) fn batch(&self) -> PhysicalBatch {
        self.batch
    }

    /// Waits for a model and has `work` use it. Its trained parameters are whatever the last one
    /// who used it left there.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Classifier) -> T) -> T {
        self.models.with(work)
    }
}

/// Things that are lent, each to one at a time.
struct Pool<T> {
    idle: Mutex<Vec<T>>,
    freed: Condvar,
}

impl<T> Pool<T> {
    fn of(things: Vec<T>) -> Self {
        Self {
            idle: Mutex::new(things),
            freed: Condvar::new(),
        }
    }

    /// Waits for one that is idle and has `work` use it.
    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let mut thing = self.take();
        let caught = catch_unwind(AssertUnwindSafe(|| work(&mut thing)));
        // Also after a panic, or whoever waits for it would wait for ever.
        self.lock().push(thing);
        self.freed.notify_one();
        caught.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn take(&self) -> T {
        let mut idle = self.lock();
        loop {
            if let Some(thing) = idle.pop() {
                return thing;
            }
            idle = self
                .freed
                .wait(idle)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn no_more_run_at_a_time_than_there_are_things() {
        let pool = Pool::of(vec![(); 2]);
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    pool.with(|()| {
                        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                    });
                });
            }
        });
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    }

    #[test]
    fn what_is_lent_comes_back_after_a_panic() {
        let pool = Pool::of(vec![()]);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.with(|()| panic!("as planned"));
        }));
        assert!(caught.is_err());
        assert_eq!(pool.with(|()| 7), 7);
    }
}
