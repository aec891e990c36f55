//! How many rounded Gaussians one core draws in a second:
//! `cargo run -p umbel-privacy --example sampler_speed`.

use std::hint::black_box;
use std::time::Instant;

use umbel_privacy::{NoiseSource, RoundedGaussian};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const DRAWS: usize = 10_000_000;
    let mut rng = NoiseSource::from_os()?;
    for s in [1.0, 1e3, 1e7, 1e12] {
        let noise = RoundedGaussian::new(s)?;
        let mut values = vec![0; DRAWS];
        let start = Instant::now();
        noise.add_to(&mut values, &mut rng)?;
        let seconds = start.elapsed().as_secs_f64();
        black_box(&values);
        println!(
            "s = {s:e}: {:.1} million draws a second",
            DRAWS as f64 / seconds / 1e6
        );
    }
    Ok(())
}
