//! The round engine: what it does in every case that matters, and that it does the same as a
//! simple one in all others.

mod lists;
mod reference;
mod same_as_reference;
