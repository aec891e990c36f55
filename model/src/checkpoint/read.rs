//! Weights from `model.safetensors`, whatever their names' dialect and number format.

use burn::tensor::Device;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::ModelError;
use crate::families::TransformerSpec;
use crate::network::{Network, Weight};
use crate::parameters::Part;
use umbel_proto::classifier::Pooling;

/// Which of a head's tensors a file held, in the right shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeadFound {
    /// Those that it didn't.
    lacking: Vec<String>,
}

/// Fills a network. A missing or differently shaped classifier, and a missing pooler, are
/// left as they are: fine-tuning starts them afresh.
pub(crate) fn load_weights(
    network: &mut Network,
    bytes: &[u8],
    device: &Device,
) -> Result<HeadFound, ModelError> {
    let (spec, pooling) = (network.spec().clone(), network.pooling());
    let file = SafeTensors::deserialize(bytes).map_err(|e| ModelError::Weights(e.to_string()))?;
    let mut found = HeadFound::default();
    network.visit(&mut |name, (part, _), weight| {
        let view = match find(&file, &spec, &spec.family.file_name(name, pooling)) {
            Some(view) => view,
            None if part == Part::Head => {
                found.lacks(name);
                return Ok(());
            }
            None => return Err(missing(&spec, name, pooling)),
        };
        let expected = file_shape(&weight);
        if view.shape() != expected {
            if name.starts_with("classifier") {
                found.lacks(name);
                return Ok(());
            }
            return Err(ModelError::TensorShape {
                name: name.into(),
                expected,
                found: view.shape().to_vec(),
            });
        }
        let values = numbers(name, &view)?;
        assign(weight, values, device);
        Ok(())
    })?;
    Ok(found)
}

impl HeadFound {
    fn lacks(&mut self, name: &str) {
        self.lacking.push(name.to_owned());
    }

    /// A tensor of the head that was missing, or that had another shape.
    pub(crate) fn missing(&self) -> Option<&str> {
        self.lacking.first().map(String::as_str)
    }

    /// Whether all tensors were there whose names begin like this: `pooler`, or `classifier`.
    pub(crate) fn has(&self, layer: &str) -> bool {
        !self.lacking.iter().any(|name| name.starts_with(layer))
    }
}

/// What to say of the tensor that the layout calls `name` where the file has none.
pub(crate) fn missing(spec: &TransformerSpec, name: &str, pooling: Pooling) -> ModelError {
    let full = spec.family.file_name(name, pooling);
    ModelError::MissingTensor {
        name: bare(spec, &full).to_owned(),
        prefix: spec.family.prefix(),
    }
}

/// A tensor by its name in classifiers, with or without the encoder's prefix, in today's words or
/// the first checkpoints' (`gamma`, `beta`).
fn find<'a>(file: &SafeTensors<'a>, spec: &TransformerSpec, name: &str) -> Option<TensorView<'a>> {
    let mut names = vec![name.to_owned()];
    if name.contains("LayerNorm") {
        names.push(name.replace(".weight", ".gamma").replace(".bias", ".beta"));
    }
    names
        .iter()
        .flat_map(|name| [bare(spec, name), name])
        .find_map(|name| file.tensor(name).ok())
}

/// A name without the encoder's prefix, as a bare encoder's file has it.
fn bare<'n>(spec: &TransformerSpec, name: &'n str) -> &'n str {
    let rest = name.strip_prefix(spec.family.prefix());
    rest.and_then(|rest| rest.strip_prefix('.')).unwrap_or(name)
}

/// A weight's shape in the file: Hugging Face keeps a linear layer's `[out, in]`.
fn file_shape(weight: &Weight<'_>) -> Vec<usize> {
    let mut shape = weight.shape();
    if matches!(weight, Weight::Matrix(_)) {
        shape.reverse();
    }
    shape
}

fn numbers(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>, ModelError> {
    let data = view.data();
    let halves = || data.as_chunks::<2>().0.iter();
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => data
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect(),
        Dtype::F16 => halves().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => halves().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
        other => {
            return Err(ModelError::TensorType {
                name: name.into(),
                found: format!("{other:?}"),
            });
        }
    };
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(ModelError::NotFinite {
            place: format!("model.safetensors: tensor `{name}`"),
            index,
        }),
        None => Ok(values),
    }
}

/// Puts numbers in the file's order into a weight.
fn assign(weight: Weight<'_>, values: Vec<f32>, device: &Device) {
    let values = match (&weight, weight.shape().as_slice()) {
        (Weight::Matrix(_), &[input, output]) => transposed(&values, output, input),
        _ => values,
    };
    weight.put(values, device);
}

/// The transpose of a `rows` × `columns` matrix.
pub(super) fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for column in 0..columns {
        out.extend((0..rows).map(|row| values[row * columns + column]));
    }
    out
}
