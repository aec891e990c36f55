//! Weights as a folder has them, made into one `model.safetensors`: whole or in parts, as
//! safetensors or as PyTorch's own files.

use std::collections::{BTreeMap, BTreeSet};

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::Deserialize;

use super::folder::Folder;
use super::pytorch;
use crate::error::ModelError;

/// A tensor as a file has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FileTensor {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// Little-endian, row-major.
    pub(super) data: Vec<u8>,
}

/// The weights of a folder, and the file that they are from.
pub(super) struct Weights {
    /// As `model.safetensors` has them.
    pub(super) bytes: Vec<u8>,
    /// The file's name.
    pub(super) file: String,
}

/// Which parts there are, and which tensor is in which.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Reads a folder's weights, from the first that is there of those that transformers looks for, in
/// its order.
///
/// # Errors
/// [`ModelError`] naming the file, or what is there in its place.
pub(super) fn weights(folder: &Folder) -> Result<Weights, ModelError> {
    const WHOLE: &str = "model.safetensors";
    if let Some(bytes) = folder.read_if_there(WHOLE)? {
        SafeTensors::deserialize(&bytes).map_err(|e| damaged(folder, WHOLE, &bytes, &e))?;
        let file = WHOLE.to_owned();
        return Ok(Weights { bytes, file });
    }
    for name in [
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
    ] {
        if folder.has(name) {
            let tensors = match name.ends_with(".json") {
                true => in_parts(folder, name)?,
                false => tensors(folder, name)?,
            };
            let file = name.to_owned();
            let bytes = joined(&tensors)?;
            return Ok(Weights { bytes, file });
        }
    }
    Err(folder.refuse(format!(
        "there are no weights (model.safetensors or pytorch_model.bin, whole or in parts); {}{}",
        folder.holds(),
        remedy(folder)
    )))
}

/// Refuses what isn't safetensors, by what it is.
fn damaged(
    folder: &Folder,
    name: &str,
    bytes: &[u8],
    error: &safetensors::SafeTensorError,
) -> ModelError {
    let begin = bytes.trim_ascii_start();
    folder.refuse_file(
        name,
        match bytes {
            [] => "it is empty; fetch it again".to_owned(),
            [b'P', b'K', 3, 4, ..] | [0x80, 2..=5, ..] => {
                "it is a file of PyTorch, not safetensors; if it has the model's weights, call it \
             pytorch_model.bin"
                    .to_owned()
            }
            _ if begin.starts_with(b"<") => {
                "it is HTML or XML, such as the page of a failed download; fetch it again"
                    .to_owned()
            }
            _ => format!("{error}; the file is damaged or cut short: fetch it again"),
        },
    )
}

/// What to do about weights in another program's format, or under another name.
fn remedy(folder: &Folder) -> String {
    let names = folder.names();
    let named = |ends: &[&str]| {
        let mut names = names.iter();
        names.find(|name| ends.iter().any(|end| name.ends_with(end)))
    };
    let has = |end: &str| named(&[end]).is_some();
    if has("adapter_model.safetensors") || has("adapter_model.bin") {
        return "; this is a PEFT adapter without its adapter_config.json: fetch that, too".into();
    }
    for (ends, whole) in [
        (&[".safetensors"][..], "model.safetensors"),
        (&[".bin", ".pt", ".pth", ".ckpt"], "pytorch_model.bin"),
    ] {
        if let Some(name) = named(ends) {
            return format!("; if {name} has the model's weights, call it {whole}");
        }
    }
    of_other_program(folder, &has).into()
}

fn of_other_program(folder: &Folder, has: &impl Fn(&str) -> bool) -> &'static str {
    const OTHERS: [&str; 6] = [
        ".gguf",
        ".onnx",
        ".index",
        ".tflite",
        ".ot",
        "openvino_model.xml",
    ];
    if has(".h5") {
        "; TensorFlow's can be converted in Python: AutoModel.from_pretrained(folder, \
         from_tf=True).save_pretrained(folder)"
    } else if has(".msgpack") {
        "; Flax's can be converted in Python: AutoModel.from_pretrained(folder, \
         from_flax=True).save_pretrained(folder)"
    } else if OTHERS.iter().any(|end| has(end)) || folder.has_folder("onnx") {
        "; other formats aren't read: fetch the model's model.safetensors"
    } else {
        "; was the download cut off?"
    }
}

/// The tensors of one file, by the end of its name.
///
/// # Errors
/// [`ModelError`] naming the file.
pub(super) fn tensors(folder: &Folder, name: &str) -> Result<Vec<FileTensor>, ModelError> {
    if !name.ends_with(".safetensors") {
        return pytorch::tensors(&folder.path().join(name));
    }
    let bytes = folder.read(name)?;
    of_safetensors(&bytes).map_err(|e| damaged(folder, name, &bytes, &e))
}

/// The tensors of a safetensors file's content.
pub(super) fn of_safetensors(
    bytes: &[u8],
) -> Result<Vec<FileTensor>, safetensors::SafeTensorError> {
    let file = SafeTensors::deserialize(bytes)?;
    let tensors = file.iter().map(|(name, view)| FileTensor {
        name: name.to_owned(),
        dtype: view.dtype(),
        shape: view.shape().to_vec(),
        data: view.data().to_vec(),
    });
    Ok(tensors.collect())
}

/// All tensors that an index names, from the parts that it names.
fn in_parts(folder: &Folder, index: &str) -> Result<Vec<FileTensor>, ModelError> {
    let content = folder.read(index)?;
    let Index { weight_map } = serde_json::from_slice(&content)
        .map_err(|e| folder.refuse_file(index, format!("it isn't an index of weights: {e}")))?;
    let parts: BTreeSet<&str> = weight_map.values().map(String::as_str).collect();
    // A name with a path in it could lead anywhere.
    if let Some(part) = parts.iter().find(|part| part.contains(['/', '\\'])) {
        let reason = format!("it names the file `{part}`, which isn't in this folder");
        return Err(folder.refuse_file(index, reason));
    }
    let lacking: Vec<&str> = parts.iter().copied().filter(|p| !folder.has(p)).collect();
    if !lacking.is_empty() {
        let reason = format!(
            "{} of its {} parts aren't here: {}; fetch them, too",
            lacking.len(),
            parts.len(),
            lacking.join(", ")
        );
        return Err(folder.refuse_file(index, reason));
    }
    let mut found = Vec::new();
    for part in parts {
        let named = |tensor: &FileTensor| weight_map.get(&tensor.name).is_some_and(|p| p == part);
        found.extend(tensors(folder, part)?.into_iter().filter(named));
    }
    let names: BTreeSet<&str> = found.iter().map(|tensor| tensor.name.as_str()).collect();
    match weight_map
        .iter()
        .find(|(name, _)| !names.contains(name.as_str()))
    {
        Some((name, part)) => {
            let reason = format!("it says that {part} has a tensor `{name}`, which it hasn't");
            Err(folder.refuse_file(index, reason))
        }
        None => Ok(found),
    }
}

/// Tensors as one `model.safetensors`. The same tensors give the same bytes.
///
/// # Errors
/// [`ModelError::Weights`] where a tensor's data and shape don't fit.
pub(super) fn joined(tensors: &[FileTensor]) -> Result<Vec<u8>, ModelError> {
    let wrong = |e: safetensors::SafeTensorError| ModelError::Weights(e.to_string());
    let views = tensors.iter().map(|tensor| {
        let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.data);
        view.map(|view| (tensor.name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    serialize(views, None).map_err(wrong)
}
