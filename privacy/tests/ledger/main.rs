//! Ledgers: what they store, what they refuse, and what they survive.

mod book;
mod chain;
mod damaged;
mod entries;
mod take_up;
mod unprotected;
