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

/// How often, on average, tensors may share what a file stores once, as tied weights do. One may be
/// a single number in any shape.
const MOST_REPEATED: u64 = 8;

/// Bytes of tensors that are read in any case.
const SMALL: u64 = 1 << 24;

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
    // A header's length, and the header.
    if start.get(8) == Some(&b'{') {
        return Err(ModelError::Folder {
            path: path.to_owned(),
            reason: "it is safetensors, not a file of PyTorch; call it model.safetensors".into(),
        });
    }
    let reader = PytorchReader::new(path).map_err(|e| refuse(e.to_string()))?;
    let mut found: Vec<_> = reader.into_tensors().into_iter().collect();
    if found.is_empty() {
        return Err(refuse("it holds no tensors".into()));
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    let size = std::fs::metadata(path).map_err(ModelError::unreadable(path))?;
    let bytes = found.iter().map(|(_, tensor)| tensor.byte_len() as u64);
    let bytes = bytes.fold(0, u64::saturating_add);
    if bytes
        > MOST_REPEATED
            .saturating_mul(size.len())
            .saturating_add(SMALL)
    {
        return Err(refuse(format!(
            "its tensors say that they are {bytes} bytes in all, and the file has {}",
            size.len()
        )));
    }
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    /// A file as `torch.save` writes it: one tensor of one stored number, in this length.
    fn repeated(length: u32) -> Vec<u8> {
        let mut pickle =
            b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage\
            ctorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQK\0J"
                .to_vec();
        pickle.extend(length.to_le_bytes());
        pickle.extend(b"\x85K\0\x85\x89ccollections\nOrderedDict\n)RtRs.");
        let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let stored =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, content) in [
            ("archive/data.pkl", pickle.as_slice()),
            ("archive/data/0", &1.5_f32.to_le_bytes()),
            ("archive/version", b"3\n"),
        ] {
            archive.start_file(name, stored).expect("memory");
            archive.write_all(content).expect("memory");
        }
        archive.finish().expect("memory").into_inner()
    }

    #[test]
    fn a_number_in_the_shape_of_a_gigabyte_is_refused() {
        let read = |length| {
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), repeated(length)).expect("a file");
            tensors(file.path()).map_err(|e| e.to_string())
        };
        let few = read(3).expect("a tensor");
        assert_eq!(
            few[0].data,
            [1.5_f32; 3].map(f32::to_le_bytes).as_flattened()
        );
        let error = read(1 << 28).expect_err("a gigabyte");
        assert!(
            error.contains("its tensors say that they are 1073741824 bytes"),
            "{error}"
        );
    }
}
