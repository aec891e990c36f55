//! How many connections a configuration allows, within what the system does.

use crate::config::{RunConfig, ServeSection};
use crate::grpc::{ConnectionLimits, ServeError, raise_limit};

/// The limits of `[serve]`, with the limit on open files raised as far as it may be.
///
/// # Errors
/// [`ServeError::OpenFiles`] where that is too few for the run's clients.
pub fn limits(config: &RunConfig, section: &ServeSection) -> Result<ConnectionLimits, ServeError> {
    let clients = config.clients.len();
    let mut limits = ConnectionLimits::for_clients(clients);
    if let Some(open) = section.connections {
        limits.open = open.get() as usize;
    }
    limits.for_each_address = section
        .connections_per_address
        .map_or(limits.open, |most| most.get() as usize);
    limits.in_handshake = section.handshakes.get() as usize;
    limits.within(raise_limit(), clients)
}
