//! Layers as plain tensors with their names.

use burn::tensor::{Device, Tensor};

use crate::parameters::Part;

/// A weight, as it is laid out in memory.
pub(crate) enum Weight<'a> {
    /// A linear layer's, `[in, out]`: transposed against Hugging Face's `[out, in]`.
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
}

/// What a visitor is called with.
type See<'a, E> = dyn FnMut(&str, Part, Weight<'_>) -> Result<(), E> + 'a;

/// `y = x W + b`.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    pub(crate) name: String,
    pub(crate) part: Part,
    /// `[in, out]`
    pub(crate) weight: Tensor<2>,
    /// `[out]`
    pub(crate) bias: Tensor<1>,
}

impl Linear {
    pub(super) fn zeros(
        name: String,
        part: Part,
        input: usize,
        output: usize,
        device: &Device,
    ) -> Self {
        Self {
            name,
            part,
            weight: Tensor::zeros([input, output], device),
            bias: Tensor::zeros([output], device),
        }
    }

    pub(super) fn visit<E>(&mut self, see: &mut See<'_, E>) -> Result<(), E> {
        let name = &self.name;
        see(
            &format!("{name}.weight"),
            self.part,
            Weight::Matrix(&mut self.weight),
        )?;
        see(
            &format!("{name}.bias"),
            self.part,
            Weight::Vector(&mut self.bias),
        )
    }
}

/// Layer normalisation over the last dimension.
#[derive(Clone, Debug)]
pub(crate) struct LayerNorm {
    pub(crate) name: String,
    pub(crate) part: Part,
    /// `[hidden]`
    pub(crate) gamma: Tensor<1>,
    /// `[hidden]`
    pub(crate) beta: Tensor<1>,
    pub(crate) epsilon: f64,
}

impl LayerNorm {
    pub(super) fn zeros(
        name: String,
        part: Part,
        width: usize,
        epsilon: f64,
        device: &Device,
    ) -> Self {
        Self {
            name,
            part,
            gamma: Tensor::zeros([width], device),
            beta: Tensor::zeros([width], device),
            epsilon,
        }
    }

    pub(super) fn visit<E>(&mut self, see: &mut See<'_, E>) -> Result<(), E> {
        let name = &self.name;
        see(
            &format!("{name}.weight"),
            self.part,
            Weight::Vector(&mut self.gamma),
        )?;
        see(
            &format!("{name}.bias"),
            self.part,
            Weight::Vector(&mut self.beta),
        )
    }
}
