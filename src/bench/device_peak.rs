//! The rate of a device's matrix products: what training is measured against.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};

/// Products of these sizes are tried: `[n, k]` by `[k, m]`.
const SIZES: [[usize; 3]; 3] = [[1024, 1024, 1024], [2048, 512, 2048], [1024, 384, 1536]];

/// Products in a row, so that a device's queue is kept full.
const CHAIN: usize = 4;

/// The best rate of the tensor library's own products in f32, in 10⁹ operations a second, on
/// all threads that it uses; each size is tried for `least`.
pub fn peak_gflops(device: &Device, least: Duration) -> f64 {
    SIZES
        .into_iter()
        .map(|[n, k, m]| {
            let a = Tensor::<2>::full([n, k], 0.5, device);
            let b = Tensor::<2>::full([k, m], 0.25, device);
            let chain = || {
                let mut products: Vec<Tensor<2>> =
                    (0..CHAIN).map(|_| a.clone().matmul(b.clone())).collect();
                // Looking at one number waits for all of them; having fetched it doesn't.
                let last = products.pop();
                let fetched = last.map(|last| last.slice([0..1, 0..1]).into_data());
                fetched.and_then(|data| data.iter::<f32>().next())
            };
            chain();
            let mut best = f64::INFINITY;
            let start = Instant::now();
            while start.elapsed() < least || best.is_infinite() {
                let before = Instant::now();
                chain();
                best = best.min(before.elapsed().as_secs_f64());
            }
            2.0 * (n * k * m * CHAIN) as f64 / best / 1e9
        })
        .fold(0.0, f64::max)
}
