//! Sums of per-unit clipped gradients by book-keeping (Bu et al. 2023): one backward pass,
//! no gradient of a single unit kept in memory where its norm can be had without.
//!
//! [`Trainer`] is the seam: [`cpu`] has tiles of rows computed by kernels written out by hand,
//! [`gpu`] has micro-batches of few shapes computed by any device that burn knows. Both are asked
//! for [`Work`], clip by [`Clipping`], take embeddings' gradients from [`embedding`], and rely on a
//! norm only where [`square`] says that it is sound. What stays the same over rounds is in
//! [`kept_states`]. Nothing here knows who holds a trainer.

mod clipping;
mod cpu;
mod embedding;
mod gpu;
mod kept_states;
mod physical;
mod recycled;
mod square;
mod work;

#[cfg(test)]
mod autodiff_tests;
#[cfg(test)]
mod kept_states_tests;
#[cfg(test)]
mod plain_decoder;
#[cfg(test)]
mod plain_network;
#[cfg(test)]
#[path = "../../tests/support/mod.rs"]
pub(crate) mod support;
#[cfg(test)]
mod task_tests;

use std::sync::Arc;

use burn::tensor::Device;

use crate::device::is_cpu;

pub use clipping::Clipping;
pub(crate) use cpu::kernels;
pub use kept_states::{KeptStates, TrainingRows};
pub use physical::PhysicalBatch;
pub use work::{Example, GradientSum};
pub(crate) use work::{Trainer, Work};

/// The trainer of a device.
pub(crate) fn of_device(device: &Device) -> Arc<dyn Trainer> {
    if is_cpu(device) {
        Arc::new(cpu::CpuTrainer::default())
    } else {
        Arc::new(gpu::GpuTrainer::default())
    }
}
