//! Whether code keeps what is promised, by what it does.

mod canaries;
mod conformance;
mod known_failures;
mod mechanisms;
