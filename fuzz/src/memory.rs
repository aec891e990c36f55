//! How much memory reading an input may take.

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Bytes that an input of a few thousand may take at most while it is read.
const MOST: usize = 1 << 29;

/// Runs a check, and panics where it took far more memory than its input explains.
pub fn bounded(check: impl FnOnce()) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    check();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken < MOST, "reading this took {} MiB", taken >> 20);
}
