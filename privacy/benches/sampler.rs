//! How fast exact noise is: `cargo bench -p umbel-privacy --bench sampler`. A floating-point
//! normal, whose last bits carry no guarantee, stands beside it as the yardstick.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use rand_distr::{Distribution, StandardNormal};
use umbel_privacy::{NoiseSource, RoundedGaussian};

fn main() {
    divan::main();
}

const DRAWS: usize = 1 << 20;

/// Adds exact noise to a vector, at standard deviations (in lattice steps) from the least
/// to the largest.
#[divan::bench(args = [0.0625, 1.0, 1e3, 1e6, 1e9, 3.5e13])]
fn rounded_gaussian(bencher: Bencher<'_, '_>, s: f64) {
    let noise = RoundedGaussian::new(s).expect("a standard deviation in range");
    let mut source = NoiseSource::from_os().expect("randomness");
    let mut values = vec![0i64; DRAWS];
    bencher.counter(ItemsCount::new(DRAWS)).bench_local(|| {
        values.fill(0);
        noise
            .add_to(black_box(&mut values), &mut source)
            .expect("a sum within 64 bits");
    });
}

/// The yardstick: a floating-point normal, scaled and rounded, from the same generator.
#[divan::bench(args = [1e6])]
fn floating_point_normal(bencher: Bencher<'_, '_>, s: f64) {
    let mut source = NoiseSource::from_os().expect("randomness");
    let mut values = vec![0i64; DRAWS];
    bencher.counter(ItemsCount::new(DRAWS)).bench_local(|| {
        for value in black_box(&mut values) {
            let normal: f64 = StandardNormal.sample(&mut source);
            *value = (s * normal).round() as i64;
        }
    });
}

/// The generator alone: the two words that a draw needs.
#[divan::bench]
fn generator(bencher: Bencher<'_, '_>) {
    use rand::Rng;
    let mut source = NoiseSource::from_os().expect("randomness");
    bencher.counter(ItemsCount::new(DRAWS)).bench_local(|| {
        (0..DRAWS).fold(0u64, |sum, _| {
            sum ^ source.next_u64() ^ source.next_u64().rotate_left(1)
        })
    });
}
