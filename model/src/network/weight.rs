//! A weight in memory, and its numbers.

use burn::tensor::{Device, Tensor, TensorData};

/// A weight, as it is laid out in memory.
pub(crate) enum Weight<'a> {
    /// A linear layer's or an adapter's, `[in, out]`: transposed against Hugging Face's
    /// `[out, in]`.
    Matrix(&'a mut Tensor<2>),
    /// An embedding's, `[rows, hidden]`, as in Hugging Face's files.
    Table(&'a mut Tensor<2>),
    /// A bias or a normalisation's.
    Vector(&'a mut Tensor<1>),
}

impl Weight<'_> {
    /// Its shape in memory.
    pub(crate) fn shape(&self) -> Vec<usize> {
        match self {
            Self::Matrix(tensor) | Self::Table(tensor) => tensor.dims().to_vec(),
            Self::Vector(tensor) => tensor.dims().to_vec(),
        }
    }

    /// The same weight, for a shorter time.
    pub(crate) fn reborrow(&mut self) -> Weight<'_> {
        match self {
            Self::Matrix(tensor) => Weight::Matrix(tensor),
            Self::Table(tensor) => Weight::Table(tensor),
            Self::Vector(tensor) => Weight::Vector(tensor),
        }
    }

    /// Replaces its numbers by as many others, in memory order.
    pub(crate) fn put(self, values: Vec<f32>, device: &Device) {
        match self {
            Self::Matrix(tensor) | Self::Table(tensor) => {
                *tensor = Tensor::from_data(TensorData::new(values, tensor.dims()), device);
            }
            Self::Vector(tensor) => {
                *tensor = Tensor::from_data(TensorData::new(values, tensor.dims()), device);
            }
        }
    }

    /// Its numbers in memory order.
    pub(crate) fn host_values(self) -> Vec<f32> {
        let data = match self {
            Self::Matrix(tensor) | Self::Table(tensor) => tensor.clone().into_data(),
            Self::Vector(tensor) => tensor.clone().into_data(),
        };
        match data.as_slice::<f32>() {
            Ok(values) => values.to_vec(),
            // Devices that compute in another format than f32.
            Err(_) => data.iter::<f32>().collect(),
        }
    }
}
