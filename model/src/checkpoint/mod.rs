//! Hugging Face folders, in and out.

mod adapter;
mod files;
mod folder;
#[cfg(test)]
mod folder_tests;
mod head;
mod peft;
mod pytorch;
mod read;
mod reading;
mod saved;
mod tokenizer_files;
mod tokenizer_settings;
mod weight_files;
mod write;

pub use files::{ModelFiles, Origin};
pub(crate) use head::HeadUse;
pub(crate) use read::{Found, WeightFile, load_weights};
pub use reading::Reading;
pub(crate) use saved::SavedModel;
pub use write::Precision;
pub(crate) use write::{NamedWeight, Saving, write_folder};
