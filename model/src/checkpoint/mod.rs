//! Hugging Face folders, in and out.

mod adapter;
mod files;
mod read;
mod write;

pub use files::ModelFiles;
pub(crate) use read::{HeadFound, load_weights, missing};
pub use write::Precision;
pub(crate) use write::{NamedWeight, SavedModel, Saving, write_folder};
