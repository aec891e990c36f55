//! What every store of a run must do, and what a folder of files must survive.

mod conformance;
mod in_files;
