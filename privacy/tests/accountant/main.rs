//! Epsilons against figures from elsewhere, and what must hold of every one.

mod golden;
mod golden_pld;
mod pld_properties;
mod rare_runs;
mod reference;
mod two_runs;
