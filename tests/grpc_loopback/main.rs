//! Client and coordinator over real sockets with mutual TLS, with the certificates that
//! `init` makes: what works, what is refused in which words, and what survives a broken
//! network.

mod broken_network;
mod conversation;
mod coordinator;
mod lying_coordinator;
mod proxy;
mod refusals;
