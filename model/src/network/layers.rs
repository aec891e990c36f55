//! Layers as plain tensors with their names.

use burn::tensor::{Device, Tensor, TensorData, module};

use super::weight::Weight;
use crate::lora::initial_a;
use crate::parameters::{Part, Role};
use umbel_proto::lora::LoraConfig;

/// What a visitor is called with.
pub(super) type See<'a, E> = dyn FnMut(&str, (Part, Role), Weight<'_>) -> Result<(), E> + 'a;

/// What low-rank adaptation adds to a linear layer's output: `scale · (x A) B`.
#[derive(Clone, Debug)]
pub(crate) struct Adapter {
    /// `[in, rank]`
    pub(crate) a: Tensor<2>,
    /// `[rank, out]`
    pub(crate) b: Tensor<2>,
    pub(crate) scale: f64,
}

/// `y = x W + b`, and an adapter's part where there is one.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    pub(crate) name: String,
    pub(crate) part: Part,
    /// `[in, out]`
    pub(crate) weight: Tensor<2>,
    /// `[out]`, where it has one.
    pub(crate) bias: Option<Tensor<1>>,
    pub(crate) adapter: Option<Adapter>,
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
            bias: Some(Tensor::zeros([output], device)),
            adapter: None,
        }
    }

    /// The same, without a bias unless it is to have one.
    pub(super) fn biased(mut self, has_bias: bool) -> Self {
        self.bias = self.bias.filter(|_| has_bias);
        self
    }

    /// Adds an adapter at its start.
    pub(super) fn adapt(&mut self, lora: &LoraConfig) {
        let device = self.weight.device();
        let [input, output] = self.weight.dims();
        let a = initial_a(lora, &self.name, input);
        let shape = [input, lora.rank.get()];
        self.adapter = Some(Adapter {
            a: Tensor::from_data(TensorData::new(a, shape), &device),
            b: Tensor::zeros([lora.rank.get(), output], &device),
            scale: lora.scale(),
        });
    }

    /// Adds the adapter's product to the weight, and takes the adapter away.
    pub(super) fn merge(&mut self) {
        if let Some(Adapter { a, b, scale }) = self.adapter.take() {
            self.weight = self.weight.clone() + a.matmul(b).mul_scalar(scale);
        }
    }

    pub(super) fn visit<E>(&mut self, see: &mut See<'_, E>) -> Result<(), E> {
        let (name, part) = (&self.name, self.part);
        see(
            &format!("{name}.weight"),
            (part, Role::Weight),
            Weight::Matrix(&mut self.weight),
        )?;
        if let Some(bias) = &mut self.bias {
            let name = format!("{name}.bias");
            see(&name, (part, Role::Bias), Weight::Vector(bias))?;
        }
        let Some(adapter) = &mut self.adapter else {
            return Ok(());
        };
        see(
            &format!("{name}.lora_A.weight"),
            (part, Role::AdapterA),
            Weight::Matrix(&mut adapter.a),
        )?;
        see(
            &format!("{name}.lora_B.weight"),
            (part, Role::AdapterB),
            Weight::Matrix(&mut adapter.b),
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
    /// `[hidden]`, where it has one.
    pub(crate) beta: Option<Tensor<1>>,
    pub(crate) epsilon: f64,
    /// Whether the mean is taken away first.
    pub(crate) centred: bool,
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
            beta: Some(Tensor::zeros([width], device)),
            epsilon,
            centred: true,
        }
    }

    /// The same, without a bias unless it is to have one.
    pub(super) fn biased(mut self, has_bias: bool) -> Self {
        self.beta = self.beta.filter(|_| has_bias);
        self
    }

    /// The same, taking the mean away first or not.
    pub(super) fn centred(mut self, centred: bool) -> Self {
        self.centred = centred;
        self
    }

    /// γ x̂ + β for `[rows, tokens, width]`. Without β and centring it is RMSNorm (Zhang and Sennrich
    /// 2019): x̂ = x / √(mean(x²) + ε).
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        if self.centred {
            let (gamma, beta) = (self.gamma.clone(), self.beta.clone());
            return module::layer_norm(x, gamma, beta, self.epsilon);
        }
        let scaled = self.divided(x) * self.gamma.clone().unsqueeze();
        match &self.beta {
            Some(beta) => scaled + beta.clone().unsqueeze(),
            None => scaled,
        }
    }

    /// x̂ alone.
    pub(super) fn normalised(&self, x: Tensor<3>) -> Tensor<3> {
        match self.centred {
            true => module::layer_norm(x, self.gamma.ones_like(), None, self.epsilon),
            false => self.divided(x),
        }
    }

    fn divided(&self, x: Tensor<3>) -> Tensor<3> {
        let mean = x.clone().powi_scalar(2).mean_dim(2);
        x / mean.add_scalar(self.epsilon).sqrt()
    }

    pub(super) fn visit<E>(&mut self, see: &mut See<'_, E>) -> Result<(), E> {
        let name = &self.name;
        see(
            &format!("{name}.weight"),
            (self.part, Role::Scale),
            Weight::Vector(&mut self.gamma),
        )?;
        match &mut self.beta {
            Some(beta) => {
                let name = format!("{name}.bias");
                see(&name, (self.part, Role::Bias), Weight::Vector(beta))
            }
            None => Ok(()),
        }
    }
}
