//! Tensors of PyTorch's own files.
//!
//! Such a file says in a pickle, a small program, what it holds. Python runs it; here it is only
//! read, by a reader that knows tensors and containers of them and makes nothing else.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use pytorch_reader::{DType, PytorchReader};
use safetensors::tensor::Dtype;

use super::folder::refuse_pointer;
use super::weight_files::FileTensor;
use crate::error::ModelError;

/// The tensors of a file, by name.
///
/// # Errors
/// [`ModelError::Unreadable`]; [`ModelError::Folder`] for what isn't a PyTorch file of tensors.
pub(super) fn tensors(path: &Path) -> Result<Vec<FileTensor>, ModelError> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(ModelError::unreadable(path))?;
    let read = file.take(256).read_to_end(&mut start);
    read.map_err(ModelError::unreadable(path))?;
    refuse_pointer(path, &start)?;
    let refuse = |reason: String| ModelError::Folder {
        path: path.to_owned(),
        reason: format!(
            "{reason}; only tensors are read of such a file, and nothing in it is run. Fetch it \
             again, or, if you trust it, convert it in Python: \
             AutoModel.from_pretrained(folder).save_pretrained(folder) writes model.safetensors"
        ),
    };
    let reader = PytorchReader::new(path).map_err(|e| refuse(e.to_string()))?;
    let mut found: Vec<_> = reader.into_tensors().into_iter().collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    let tensors = found.into_iter().map(|(name, tensor)| {
        let data = tensor.read().map_err(|e| refuse(e.to_string()))?;
        Ok(FileTensor {
            name,
            dtype: dtype(tensor.dtype()),
            shape: tensor.shape().to_vec(),
            data,
        })
    });
    tensors.collect()
}

fn dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}
