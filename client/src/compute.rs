//! Who may use the processor: training slots.
//!
//! A model's training spreads over all cores by itself, a tile of rows a thread. In a
//! simulation, a client with few rows wouldn't fill them, so that several train at a time; but
//! no more than there are cores, since each has buffers of its own.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Slots in which training runs.
pub struct ComputeSlots {
    free: Mutex<usize>,
    freed: Condvar,
}

impl ComputeSlots {
    /// As many trainings at a time, at least one.
    pub fn new(slots: usize) -> Self {
        Self {
            free: Mutex::new(slots.max(1)),
            freed: Condvar::new(),
        }
    }

    /// Waits for a free slot and runs `work` in it.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let _slot = self.take();
        work()
    }

    fn take(&self) -> Slot<'_> {
        let mut free = self.lock();
        while *free == 0 {
            free = self
                .freed
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Slot(self)
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot that is taken, until it is dropped: also by a panic.
struct Slot<'a>(&'a ComputeSlots);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.lock() += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn no_more_run_at_a_time_than_there_are_slots() {
        let slots = ComputeSlots::new(2);
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    slots.run(|| {
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
    fn a_slot_comes_back_after_a_panic() {
        let slots = ComputeSlots::new(1);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            slots.run(|| panic!("as planned"));
        }));
        assert!(caught.is_err());
        assert_eq!(slots.run(|| 7), 7);
    }
}
