//! Who may use the processor: training slots.
//!
//! Small models gain nothing from spreading one matrix product over cores, so a
//! simulation trains one client a core, each on a pool of a single thread. A site that
//! runs alone lets the tensor library use the whole machine.

use std::sync::{Condvar, Mutex, PoisonError};

/// Slots in which training runs.
pub struct ComputeSlots {
    free: Mutex<Vec<rayon::ThreadPool>>,
    freed: Condvar,
    whole_machine: bool,
}

impl ComputeSlots {
    /// One slot: everything that the machine has.
    pub fn whole_machine() -> Self {
        Self {
            free: Mutex::new(Vec::new()),
            freed: Condvar::new(),
            whole_machine: true,
        }
    }

    /// `slots` slots of one thread each.
    ///
    /// # Errors
    /// The system's reason, where it gives no more threads.
    pub fn single_threads(slots: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = |_| rayon::ThreadPoolBuilder::new().num_threads(1).build();
        Ok(Self {
            free: Mutex::new((0..slots.max(1)).map(pool).collect::<Result<_, _>>()?),
            freed: Condvar::new(),
            whole_machine: false,
        })
    }

    /// Waits for a free slot and runs `work` in it.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        if self.whole_machine {
            return work();
        }
        let pool = self.take();
        let outcome = pool.install(work);
        self.lock().push(pool);
        self.freed.notify_one();
        outcome
    }

    fn take(&self) -> rayon::ThreadPool {
        let mut free = self.lock();
        loop {
            if let Some(pool) = free.pop() {
                return pool;
            }
            free = self
                .freed
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<rayon::ThreadPool>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
