//! What a run can be held to: its certificate, its sites' signatures, and the checks of both.
//!
//! | module | what it is for |
//! |---|---|
//! | [`certify`] | the run's signed certificate |
//! | [`witness`] | what coordinator and sites show each other of their ledgers, and sign |
//! | [`verify`] | checking a run's folder against its certificate |
//! | [`base_model`] | the model that training starts from, with the certificate of its own run |

pub mod base_model;
pub mod certify;
pub mod verify;
pub mod witness;
