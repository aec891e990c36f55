//! What chance makes of the inputs that are kept, for tests.

use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::seeds;

/// Checks what becomes of each seed by chance: `UMBEL_MUTATIONS` inputs of each, by default a few. It
/// needs no nightly compiler, and doesn't know what it hasn't seen yet, as libFuzzer does.
pub fn changed(
    target: &str,
    change: impl Fn(&[u8], &mut Chance) -> Option<Vec<u8>>,
    check: impl Fn(&[u8]),
) {
    /// However slow the machine is, a few kilobytes take less.
    const LONGEST: Duration = Duration::from_secs(20);
    let count = std::env::var("UMBEL_MUTATIONS").ok();
    let count: u32 = count.and_then(|count| count.parse().ok()).unwrap_or(10);
    seeds::each(target, |seed| {
        for number in 0..count {
            let mut chance = Chance::new(number);
            let mut input = seed.to_vec();
            for _ in 0..=chance.below(4) {
                input = change(&input, &mut chance).unwrap_or(input);
            }
            // Shown where it fails.
            println!("change {number}");
            let begin = Instant::now();
            check(&input);
            assert!(begin.elapsed() < LONGEST, "{:?}", begin.elapsed());
        }
    });
}
