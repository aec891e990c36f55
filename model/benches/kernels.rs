//! Each kernel of the CPU's engine, and its share of the rate that this machine multiplies large
//! matrices at, measured in turns with it: `cargo bench --workspace --bench kernels`, or with
//! lengths of your own, `-- 64 512`. `UMBEL_INSTRUCTIONS=avx2` before it shows the other path.
//!
//! One thread; time is the processor's where Linux tells it, so that other work on the machine
//! disturbs little. Of passes over memory, the share only says which of two builds is faster.

use std::time::{Duration, Instant};

use umbel_model::kernels::{Kernel, kernels, square_product};

const LENGTHS: [usize; 4] = [64, 128, 256, 512];
/// Turns of each kernel, of which the fastest counts.
const TURNS: usize = 7;
/// The least that a turn takes.
const TURN: Duration = Duration::from_millis(30);

fn main() {
    let lengths: Vec<usize> = std::env::args()
        .filter_map(|text| text.parse().ok())
        .collect();
    let lengths = match lengths.is_empty() {
        true => LENGTHS.to_vec(),
        false => lengths,
    };
    println!(
        "{:<46}{:>10}{:>14}{:>11}{:>9}",
        "kernel", "us", "GFLOP/s", "machine's", "share"
    );
    let mut seen = Vec::new();
    for length in lengths {
        for mut kernel in kernels(length) {
            if !seen.contains(&kernel.name) {
                measure(&mut kernel);
                seen.push(kernel.name);
            }
        }
    }
}

fn measure(kernel: &mut Kernel) {
    let mut whole = square_product();
    let mut fastest = [f64::INFINITY; 2];
    for _ in 0..TURNS {
        for (fastest, kernel) in fastest.iter_mut().zip([&mut *kernel, &mut whole]) {
            *fastest = fastest.min(turn(kernel));
        }
    }
    let rate = |multiplications: f64, seconds: f64| 2e-9 * multiplications / seconds;
    let own = rate(kernel.multiplications, fastest[0]);
    let machine = rate(whole.multiplications, fastest[1]);
    println!(
        "{:<46}{:>10.1}{own:>14.1}{machine:>11.1}{:>9.2}",
        kernel.name,
        1e6 * fastest[0],
        own / machine
    );
}

/// Seconds of a run, on average over a turn.
fn turn(kernel: &mut Kernel) -> f64 {
    kernel.run();
    let (began, wall) = (busy(), Instant::now());
    let mut runs = 0;
    while wall.elapsed() < TURN {
        kernel.run();
        runs += 1;
    }
    let time = busy().zip(began).map(|(now, began)| now - began);
    time.unwrap_or(wall.elapsed()).as_secs_f64() / f64::from(runs)
}

/// How long this thread has had a processor, where Linux tells.
fn busy() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}
