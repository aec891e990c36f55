//! Buffers that are used again: memory that is fresh from the system costs more to touch
//! than to compute with.

use std::sync::{Mutex, PoisonError};

/// What nobody uses at the moment. All models of a process share it: of many clients that are
/// simulated, those that train at a time need buffers, and the others none.
///
/// Locked to take and to give back a handful of vectors, never while anything is computed. A thread
/// that panicked can't have left it half done, so a poisoned lock is as good as another.
static IDLE: Mutex<Vec<Workspace>> = Mutex::new(Vec::new());

/// Buffers that nobody uses at the moment.
#[derive(Default)]
pub(crate) struct Workspace {
    free: Vec<Vec<f32>>,
}

/// A workspace that goes back to the others when it is let go.
pub(crate) struct Lent(Workspace);

impl std::ops::Deref for Lent {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.0
    }
}

impl std::ops::DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Workspace {
        &mut self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        Workspace::put_back(vec![std::mem::take(&mut self.0)]);
    }
}

impl Workspace {
    /// One that is at hand, or a new one.
    pub(crate) fn lend() -> Lent {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        Lent(idle.pop().unwrap_or_default())
    }

    /// So many workspaces: those at hand, and new ones.
    pub(crate) fn borrow(count: usize) -> Vec<Self> {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let from = idle.len().saturating_sub(count);
        let mut taken = idle.split_off(from);
        taken.resize_with(count, Self::default);
        taken
    }

    /// Gives workspaces back, for others to borrow.
    pub(crate) fn put_back(workspaces: Vec<Self>) {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(workspaces);
    }

    /// A buffer of `len` numbers, whatever they are: those of an earlier use, or zeros.
    pub(super) fn take(&mut self, len: usize) -> Vec<f32> {
        // The smallest that is large enough, else the largest, which then grows.
        let fitting = (0..self.free.len())
            .filter(|i| self.free[*i].capacity() >= len)
            .min_by_key(|i| self.free[*i].capacity());
        let largest = || (0..self.free.len()).max_by_key(|i| self.free[*i].capacity());
        let mut buffer = match fitting.or_else(largest) {
            Some(index) => self.free.swap_remove(index),
            None => Vec::new(),
        };
        if buffer.capacity() < len {
            // Nothing worth copying to where it grows.
            buffer.clear();
        }
        buffer.resize(len, 0.0);
        buffer
    }

    /// A buffer of `len` zeros.
    pub(super) fn zeros(&mut self, len: usize) -> Vec<f32> {
        let mut buffer = self.take(len);
        buffer.fill(0.0);
        buffer
    }

    /// Gives a buffer back.
    pub(super) fn give(&mut self, buffer: Vec<f32>) {
        if buffer.capacity() > 0 {
            self.free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_with_the_length_asked_for() {
        let mut workspace = Workspace::default();
        let buffer = vec![7.0; 10];
        workspace.give(buffer);
        assert_eq!(workspace.take(4).len(), 4);
        workspace.give(vec![7.0; 4]);
        assert_eq!(workspace.zeros(6), vec![0.0; 6]);
        assert_eq!(workspace.take(0).len(), 0);
    }
}
