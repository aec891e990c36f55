//! How many example-gradients a second this machine computes.
//!
//! ```text
//! cargo run --release -p umbel-model --example throughput -- FOLDER [encoder] [64] [48] [1] [cpu]
//! ```
//!
//! The arguments: a model's folder, the trainable set, rows of a micro-batch, tokens a row,
//! threads, and the device. Rows are random tokens; the first batch, which warms up, isn't
//! counted.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use rand::RngExt;
use umbel_model::{
    Classifier, ClassifierOptions, Clipping, DeviceChoice, Example, ModelFiles, Pooling,
    gradient_sum,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |place: usize, default: &str| {
        arguments
            .get(place)
            .cloned()
            .unwrap_or_else(|| default.to_owned())
    };
    let folder = arguments.first().ok_or("name a model's folder")?;
    let (rows, tokens): (usize, usize) = (argument(2, "64").parse()?, argument(3, "48").parse()?);
    let threads = argument(4, "1").parse()?;
    let (device, name) = argument(5, "cpu").parse::<DeviceChoice>()?.resolve()?;
    let options = ClassifierOptions {
        labels: vec!["negative".into(), "positive".into()],
        pooling: Pooling::Mean,
        max_tokens: tokens,
        dropout: 0.0,
        train: argument(1, "encoder").parse()?,
    };
    let mut rng = rand::rng();
    let files = ModelFiles::read(Path::new(folder))?;
    let model = Classifier::load(&files, options, &mut rng, &device)?;
    let examples: Vec<Example> = (0..rows)
        .map(|_| Example {
            tokens: (0..tokens)
                .map(|_| rng.random_range(0..model.config().vocab_size as u32))
                .collect(),
            label: rng.random_range(0..2),
        })
        .collect();
    let units: Vec<Vec<usize>> = (0..rows).map(|row| vec![row]).collect();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()?;
    pool.install(|| -> Result<(), Box<dyn Error>> {
        let clipping = Clipping::Flat(0.5);
        gradient_sum(&model, &examples, &units, clipping, rows, &mut rng)?;
        let batches = 20;
        let start = Instant::now();
        for _ in 0..batches {
            gradient_sum(&model, &examples, &units, clipping, rows, &mut rng)?;
        }
        let rate = (batches * rows) as f64 / start.elapsed().as_secs_f64();
        println!("{name}: {rate:.0} examples/s ({rows} rows of {tokens} tokens, {threads} threads)");
        Ok(())
    })
}
