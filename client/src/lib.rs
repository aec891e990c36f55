//! A data site in a federated run.
//!
//! | module | what it is for |
//! |---|---|
//! | [`config`] | the site's configuration file |
//! | [`policy`] | the site's own rules, which beat the coordinator's wishes |
//! | [`transport`], [`grpc`] | how the coordinator is reached |
//! | [`participate`](mod@participate) | a client's part in a run, from introduction to end |
//! | [`part`] | what that asks of whatever trains at the site |
//! | [`site`] | data, model and ledger of a site that accepted a plan |
//! | [`site_table`] | where a site's rows are, and whether they stay in memory |
//! | [`site_texts`] | its table, as the plan wants it |
//! | [`site_ledger`] | the site's budget, enforced by the site |
//! | [`own_variate`] | the site's control variate, where the run has some |
//! | [`results`] | what the site takes home |
//! | [`rounds`] | which rounds of a plan a site answers |
//! | [`known_plan`] | the plan, read once for all clients of a process |
//! | [`compute`] | who may use the processor |
//! | [`check`] | whether the site could take part, without taking part |
//! | [`model_cache`] | base models that were fetched before |
//! | [`signals`] | being asked to stop |
//! | [`command_line`] | what `umbel-client` can be asked to do |

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod check;
pub mod clock;
pub mod command_line;
pub mod compute;
pub mod config;
mod draws;
pub mod grpc;
pub mod known_plan;
pub mod member;
pub mod model_cache;
pub mod outbox;
pub mod own_variate;
pub mod part;
pub mod participate;
pub mod policy;
mod rehearsal;
pub mod results;
pub mod rounds;
pub mod signals;
pub mod site;
pub mod site_ledger;
mod site_report;
pub mod site_table;
pub mod site_texts;
mod training;
pub mod transport;
mod unprotected;
pub mod witness;

/// What this software calls itself to a coordinator.
pub(crate) const SOFTWARE: &str = concat!("umbel-client ", env!("CARGO_PKG_VERSION"));
