//! How much memory reading an input may take.

use std::panic;
use std::sync::Once;

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Bytes that an input of a few thousand may take at most while it is read.
const MOST: usize = 1 << 29;

/// Runs a check, and panics where it took far more memory than its input explains.
///
/// What a library panics at and a reader catches is no finding. libFuzzer's crate would end the process at any
/// panic, so that its hook is replaced; it ends the process all the same at one that nobody catches.
pub fn bounded(check: impl FnOnce()) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| panic::set_hook(Box::new(|info| eprintln!("{info}"))));
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    check();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken < MOST, "reading this took {} MiB", taken >> 20);
}
