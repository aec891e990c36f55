//! Weights from `model.safetensors`, whatever their names' dialect and number format.

use std::collections::BTreeSet;

use burn::tensor::Device;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::head::{Anew, HeadUse};
use crate::error::ModelError;
use crate::families::TransformerSpec;
use crate::network::{Network, Weight};
use crate::parameters::Part;
use umbel_proto::classifier::Pooling;

/// What a file had of a network's tensors.
#[derive(Debug)]
pub(crate) struct Found {
    /// What became of its classifier.
    pub(crate) head: HeadUse,
    /// How many tensors were taken.
    pub(crate) taken: usize,
    /// What the others belong to: the first two parts of their names.
    pub(crate) unused: Vec<String>,
    /// The head's tensors that weren't taken, with their shapes where those were wrong.
    lacking: Vec<(String, Option<WrongShape>)>,
}

#[derive(Clone, Debug)]
struct WrongShape {
    expected: Vec<usize>,
    found: Vec<usize>,
}

/// A file's content with its name.
#[derive(Clone, Copy)]
pub(crate) struct WeightFile<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) name: &'a str,
}

/// Fills a network. A missing or differently shaped classifier, one that isn't to be used, and a
/// missing pooler, are left as they are: fine-tuning starts them afresh.
pub(crate) fn load_weights(
    network: &mut Network,
    source: WeightFile<'_>,
    head: HeadUse,
    device: &Device,
) -> Result<Found, ModelError> {
    let (spec, pooling) = (network.spec().clone(), network.pooling());
    let file =
        SafeTensors::deserialize(source.bytes).map_err(|e| ModelError::Weights(e.to_string()))?;
    let mut taken = BTreeSet::new();
    let mut lacking = Vec::new();
    let mut has_classifier = false;
    network.visit(&mut |name, (part, _), weight| {
        let is_classifier = name.starts_with("classifier");
        let Some((full, view)) = find(&file, &spec, &spec.family.file_name(name, pooling)) else {
            if part != Part::Head {
                return Err(missing(source.name, &spec, name, pooling));
            }
            lacking.push((name.to_owned(), None));
            return Ok(());
        };
        has_classifier |= is_classifier;
        if is_classifier && matches!(head, HeadUse::Anew(_)) {
            lacking.push((name.to_owned(), None));
            return Ok(());
        }
        let inputs_first = spec.family.inputs_first(&full);
        let expected = file_shape(&weight, inputs_first);
        if view.shape() != expected {
            let found = view.shape().to_vec();
            if is_classifier {
                lacking.push((name.to_owned(), Some(WrongShape { expected, found })));
                return Ok(());
            }
            return Err(wrong_shape(source.name, name, expected, found));
        }
        let values = numbers(source.name, name, view.dtype(), view.data())?;
        let values = match &head {
            HeadUse::ByName(rows) if is_classifier => reordered(&values, rows),
            _ => values,
        };
        assign(weight, values, inputs_first, device);
        taken.insert(full);
        Ok(())
    })?;
    let head = match (
        has_classifier,
        lacking.iter().find_map(|(_, shape)| shape.as_ref()),
    ) {
        (false, _) => HeadUse::Anew(Anew::NotThere),
        (_, Some(shape)) => HeadUse::Anew(Anew::Damaged(format!(
            "its shape is {:?}, and its labels ask for {:?}",
            shape.found, shape.expected
        ))),
        (_, None) if matches!(head, HeadUse::Anew(_)) => head,
        (_, None)
            if lacking
                .iter()
                .any(|(name, _)| name.starts_with("classifier")) =>
        {
            HeadUse::Anew(Anew::Damaged("a part of it is missing".into()))
        }
        (_, None) => head,
    };
    Ok(Found {
        head,
        taken: taken.len(),
        unused: unused(&file, &taken),
        lacking,
    })
}

impl Found {
    /// Why the file isn't that of a trained classifier, if it isn't.
    pub(crate) fn incomplete(
        &self,
        file: &str,
        spec: &TransformerSpec,
        pooling: Pooling,
    ) -> Option<ModelError> {
        let (name, shape) = self.lacking.first()?;
        Some(match shape.clone() {
            Some(WrongShape { expected, found }) => wrong_shape(file, name, expected, found),
            None => ModelError::NoClassifier {
                file: file.to_owned(),
                name: bare(spec, &spec.family.file_name(name, pooling)).to_owned(),
            },
        })
    }

    /// Whether all tensors were there whose names begin like this: `pooler`, or `classifier`.
    pub(crate) fn has(&self, layer: &str) -> bool {
        !self.lacking.iter().any(|(name, _)| name.starts_with(layer))
    }
}

/// What to say of the tensor that the layout calls `name` where the file has none.
fn missing(file: &str, spec: &TransformerSpec, name: &str, pooling: Pooling) -> ModelError {
    let full = spec.family.file_name(name, pooling);
    ModelError::MissingTensor {
        file: file.to_owned(),
        name: bare(spec, &full).to_owned(),
        prefix: spec.family.prefix(),
    }
}

fn wrong_shape(file: &str, name: &str, expected: Vec<usize>, found: Vec<usize>) -> ModelError {
    ModelError::TensorShape {
        file: file.to_owned(),
        name: name.to_owned(),
        expected,
        found,
    }
}

/// A tensor by its name in classifiers, with or without the encoder's prefix, in today's words or
/// the first checkpoints' (`gamma`, `beta`); with its name in the file.
fn find<'a>(
    file: &SafeTensors<'a>,
    spec: &TransformerSpec,
    name: &str,
) -> Option<(String, TensorView<'a>)> {
    let mut names = vec![name.to_owned()];
    if name.contains("LayerNorm") || name.contains("layer_norm") {
        names.push(name.replace(".weight", ".gamma").replace(".bias", ".beta"));
    }
    names
        .iter()
        .flat_map(|name| [bare(spec, name), name])
        .find_map(|name| Some((name.to_owned(), file.tensor(name).ok()?)))
}

/// A name without the encoder's prefix, as a bare encoder's file has it.
fn bare<'n>(spec: &TransformerSpec, name: &'n str) -> &'n str {
    let rest = name.strip_prefix(spec.family.prefix());
    rest.and_then(|rest| rest.strip_prefix('.')).unwrap_or(name)
}

/// What older files have of a model that isn't a weight: positions 0, 1, 2 and so on, which tokens are
/// before others, and how fast coordinates turn.
const CONSTANTS: [&str; 4] = [
    "position_ids",
    ".attn.bias",
    ".attn.masked_bias",
    ".rotary_emb.inv_freq",
];

/// What the tensors that weren't taken belong to.
fn unused(file: &SafeTensors<'_>, taken: &BTreeSet<String>) -> Vec<String> {
    let names = file.names().into_iter();
    let constant = |name: &str| CONSTANTS.iter().any(|end| name.ends_with(end));
    let others = names.filter(|name| !taken.contains(*name) && !constant(name));
    let owner = |name: &str| {
        let parts: Vec<&str> = name.split('.').collect();
        let owners = parts.len().saturating_sub(1).clamp(1, 2);
        parts[..owners].join(".")
    };
    let owners: BTreeSet<String> = others.map(owner).collect();
    owners.into_iter().collect()
}

/// A weight's shape in the file: Hugging Face keeps a linear layer's `[out, in]`, unless its
/// `inputs_first`.
fn file_shape(weight: &Weight<'_>, inputs_first: bool) -> Vec<usize> {
    let mut shape = weight.shape();
    if matches!(weight, Weight::Matrix(_)) && !inputs_first {
        shape.reverse();
    }
    shape
}

/// A tensor's numbers, all finite.
///
/// # Errors
/// [`ModelError::TensorType`] and [`ModelError::NotFinite`], naming the tensor.
pub(super) fn numbers(
    file: &str,
    name: &str,
    dtype: Dtype,
    data: &[u8],
) -> Result<Vec<f32>, ModelError> {
    let halves = || data.as_chunks::<2>().0.iter();
    let values: Vec<f32> = match dtype {
        Dtype::F32 => data
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect(),
        Dtype::F64 => data
            .as_chunks::<8>()
            .0
            .iter()
            .map(|b| f64::from_le_bytes(*b) as f32)
            .collect(),
        Dtype::F16 => halves().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => halves().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
        other => {
            return Err(ModelError::TensorType {
                file: file.into(),
                name: name.into(),
                found: format!("{other:?}"),
            });
        }
    };
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(ModelError::NotFinite {
            place: format!("{file}: tensor `{name}`"),
            index,
        }),
        None => Ok(values),
    }
}

/// Rows of a matrix in the file's order, or numbers of a vector, in another order.
fn reordered(values: &[f32], rows: &[usize]) -> Vec<f32> {
    let width = values.len() / rows.len().max(1);
    let row = |row: &usize| values[row * width..(row + 1) * width].iter().copied();
    rows.iter().flat_map(row).collect()
}

/// Puts numbers in the file's order into a weight.
fn assign(weight: Weight<'_>, values: Vec<f32>, inputs_first: bool, device: &Device) {
    let values = match (&weight, weight.shape().as_slice()) {
        (Weight::Matrix(_), &[input, output]) if !inputs_first => {
            transposed(&values, output, input)
        }
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
