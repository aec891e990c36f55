//! How many updates may be read and checked at a time.
//!
//! Clients hand their updates in together. So each waits for a slot before it is looked at, and
//! keeps the slot until it is in the sum: no more of them are read from disk at a time than there
//! are cores to read them.

use std::num::NonZero;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// A limited number of slots.
pub(super) struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

/// A slot in use. Dropping it, also in a panic, frees it.
pub(super) struct Slot<'a>(&'a Slots);

impl Slots {
    /// As many slots as there are cores.
    pub(super) fn one_a_core() -> Self {
        Self::new(thread::available_parallelism().map_or(1, NonZero::get))
    }

    /// So many slots, but at least one.
    fn new(slots: usize) -> Self {
        Self {
            free: Mutex::new(slots.max(1)),
            freed: Condvar::new(),
        }
    }

    /// Waits for a slot.
    pub(super) fn take(&self) -> Slot<'_> {
        // The count is changed as a whole, so that a poisoned lock means nothing.
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .freed
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free += 1;
        drop(free);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_threads_hold_a_slot_than_there_are() {
        let slots = Slots::new(3);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _slot = slots.take();
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        thread::yield_now();
                        now.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!((1..=3).contains(&most.into_inner()));
    }

    #[test]
    fn there_is_always_one() {
        drop(Slots::new(0).take());
    }

    #[test]
    fn a_panic_frees_its_slot() {
        let slots = Slots::new(1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _slot = slots.take();
            panic!("while decoding");
        }));
        assert!(panicked.is_err());
        drop(slots.take());
    }
}
