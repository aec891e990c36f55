//! How narrow intervals are, and how long they take, by region of the settings:
//! `cargo bench -p umbel-privacy --bench intervals`. Another number of settings than 600:
//! `UMBEL_SETTINGS=5000`. Others than those of seed 7: `UMBEL_SEED=8`. Settings that are wide or slow are listed first.
//! `UMBEL_LIST=settings.jsonl` writes all of them to a file, with what came out, to compare one build with another.
//! Times are of the processor where the system tells them, so that other work on the machine hardly changes them.

use std::io::Write;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use umbel_privacy::accountant::PldAccountant;
use umbel_privacy::{Accountant, Adjacency, Delta, MechanismEvent};

/// A number between `low` and `high` whose logarithm is evenly spread.
fn spread(rng: &mut impl Rng, low: f64, high: f64) -> f64 {
    rng.random_range(low.ln()..high.ln()).exp()
}

fn gaussian(rng: &mut impl Rng) -> (serde_json::Value, f64, f64, f64) {
    let (sigma, q) = (spread(rng, 0.01, 50.0), spread(rng, 1e-7, 1.0));
    let rounds = spread(rng, 1.0, 1e6).floor();
    let event = serde_json::json!({
        "type": "poisson_gaussian", "noise_multiplier": sigma, "sampling_probability": q,
        "count": rounds as u64,
    });
    (event, sigma, q, rounds)
}

fn other(rng: &mut impl Rng) -> serde_json::Value {
    match rng.random_range(0..5) {
        0 => gaussian(rng).0,
        1 => serde_json::json!({
            "type": "laplace", "scale_over_sensitivity": spread(rng, 0.1, 100.0),
            "count": spread(rng, 1.0, 1000.0) as u64,
        }),
        2 => serde_json::json!({
            "type": "discrete_laplace", "parameter": spread(rng, 0.01, 3.0),
            "integer_sensitivity": rng.random_range(1..=20), "count": spread(rng, 1.0, 1000.0) as u64,
        }),
        3 => serde_json::json!({
            "type": "tree_aggregation", "noise_multiplier": spread(rng, 0.5, 50.0),
            "step_count": spread(rng, 1.0, 1e6) as u64,
        }),
        _ => serde_json::json!({
            "type": "banded_toeplitz", "noise_multiplier": spread(rng, 0.5, 50.0),
            "rounds": rng.random_range(1..=2000), "bands": rng.random_range(1..=30),
            "min_separation": rng.random_range(1..=30), "max_participations": rng.random_range(1..=30),
        }),
    }
}

/// How long this thread has had a processor; None where the system doesn't tell.
fn on_processor() -> Option<Duration> {
    // What is told is as of the last time that the system looked.
    std::thread::yield_now();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = told.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// What `compute` gives, and how many milliseconds it took.
fn timed<T>(compute: impl FnOnce() -> T) -> (T, f64) {
    let (clock, before) = (Instant::now(), on_processor());
    let value = compute();
    let took = match (before, on_processor()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => clock.elapsed(),
    };
    (value, took.as_secs_f64() * 1e3)
}

#[derive(Default)]
struct Region {
    milliseconds: Vec<f64>,
    wide: usize,
}

/// From here on a setting is listed.
const SLOW_MILLISECONDS: f64 = 300.0;

fn main() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let count = number("UMBEL_SETTINGS").unwrap_or(600);
    let mut rng = ChaCha20Rng::seed_from_u64(number("UMBEL_SEED").unwrap_or(7));
    let names = [
        "several mechanisms",
        "sigma < 0.3",
        "q sqrt(T) / sigma < 0.01",
        "the rest",
    ];
    let mut regions: [Region; 4] = Default::default();
    let mut list = std::env::var_os("UMBEL_LIST")
        .map(|path| std::io::BufWriter::new(std::fs::File::create(path).expect("a file")));
    for _ in 0..count {
        let adjacency = [Adjacency::AddOrRemove, Adjacency::ReplaceOne][rng.random_range(0..2)];
        let delta = spread(&mut rng, 1e-15, 1e-2);
        let (first, sigma, q, rounds) = gaussian(&mut rng);
        let mut events = vec![first];
        for _ in 0..[0, 0, 1, 2][rng.random_range(0..4)] {
            events.push(other(&mut rng));
        }
        let region = match () {
            () if events.len() > 1 => 0,
            () if sigma < 0.3 => 1,
            () if q * rounds.sqrt() / sigma < 0.01 => 2,
            () => 3,
        };
        let written = serde_json::Value::from(events);
        let events: Vec<MechanismEvent> =
            serde_json::from_value(written.clone()).expect("events that read");
        let mut accountant = PldAccountant::new(adjacency);
        accountant
            .compose(&MechanismEvent::Composed { events }, 1)
            .expect("events that are known");
        let at = Delta::try_from(delta).expect("a delta");
        let (found, took) = timed(|| accountant.interval(at));
        let Region { milliseconds, wide } = &mut regions[region];
        milliseconds.push(took);
        // Below an epsilon of 1e-6 the width is absolute.
        let narrow = found.upper() - found.lower() <= 1e-3 * found.upper().max(1e-6);
        let narrow = narrow && found.upper().is_finite();
        *wide += usize::from(!narrow);
        if let Some(list) = &mut list {
            let line = serde_json::json!({
                "region": region, "ms": took, "lower": found.lower(), "upper": found.upper(),
                "narrow": narrow, "adjacency": adjacency.to_string(), "delta": delta, "events": written,
            });
            writeln!(list, "{line}").expect("a line written");
        }
        if !narrow || took > SLOW_MILLISECONDS {
            println!("{took:.0} ms, {adjacency}, delta {delta:e}, {found:?}: {written}");
        }
    }
    println!("region | settings | wider than 0.1 % | median ms | 95 % ms | most ms");
    for (name, mut region) in names.into_iter().zip(regions) {
        let times = &mut region.milliseconds;
        times.sort_by(f64::total_cmp);
        let at = |part: f64| times.get((times.len() as f64 * part) as usize);
        let [median, most_of, last] =
            [at(0.5), at(0.95), times.last()].map(|t| t.map_or(0.0, |t| *t));
        let wide = region.wide;
        println!(
            "{name} | {} | {wide} | {median:.1} | {most_of:.0} | {last:.0}",
            times.len()
        );
    }
}
