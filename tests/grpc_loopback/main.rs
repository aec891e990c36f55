//! Client and coordinator over real sockets with mutual TLS, with the certificates that
//! `init` makes: what works, what is refused in which words, what survives a broken network,
//! and what a coordinator or a client gains by lying.

mod another_base_model;
mod broken_network;
mod cached_model;
mod conversation;
mod coordinator;
mod http_proxy;
mod killed_client;
mod ledgers_that_went_back;
mod lying_client;
mod lying_coordinator;
mod lying_results;
mod proxy;
mod refusals;
mod site;
mod strangers;
