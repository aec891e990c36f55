//! Open files: as many as the system allows, and enough of them kept for ledger and run.

use super::{ConnectionLimits, ServeError};

/// Descriptors that connections never take: for the ledger, the run's folder and journal, updates
/// that are being written, the log.
pub const RESERVED: usize = 256;
/// More open files than this are of no use.
#[cfg(unix)]
const MOST: u64 = 1 << 20;

/// Raises the limit on open files as far as this process may, and says what it is now; `None`
/// where there is none or none is known.
#[cfg(unix)]
pub fn raise_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let before = getrlimit(Resource::Nofile);
    // No limit at all is written as none.
    let current = before.current?;
    let wanted = before.maximum.unwrap_or(MOST).min(MOST);
    if wanted > current {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: before.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, current, wanted, "the limit on open files can't be raised");
        }
    }
    getrlimit(Resource::Nofile).current
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub fn raise_limit() -> Option<u64> {
    None
}

impl ConnectionLimits {
    /// The same limits, with no more connections than there are descriptors beside the reserved
    /// ones. A client needs one connection, and a moment later another.
    ///
    /// # Errors
    /// [`ServeError::OpenFiles`] where that is too few for so many clients.
    pub fn within(self, open_files: Option<u64>, clients: usize) -> Result<Self, ServeError> {
        let Some(limit) = open_files else {
            return Ok(self);
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let others = Self { open: 0, ..self }.descriptors() + RESERVED;
        let open = limit.saturating_sub(others).min(self.open);
        let needed = clients.saturating_mul(2).min(self.open);
        if open < needed {
            return Err(ServeError::OpenFiles {
                limit,
                needed: others.saturating_add(needed),
            });
        }
        if open < self.open {
            tracing::warn!(
                open_files = limit,
                connections = open,
                "fewer connections than serve.connections, since this process may not have more \
                 files open; `ulimit -n` raises that"
            );
        }
        Ok(Self {
            open,
            for_each_address: self.for_each_address.min(open),
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_ledger_and_run() {
        let limits = ConnectionLimits::for_clients(1_000);
        for open_files in [2_600, 4_096, 20_000, 1 << 20] {
            let within = limits.within(Some(open_files), 1_000).unwrap();
            let taken = within.descriptors() + RESERVED;
            assert!(taken as u64 <= open_files, "{open_files}: {within:?}");
        }
        assert_eq!(limits.within(None, 1_000).unwrap(), limits);
    }

    #[test]
    fn too_few_descriptors_are_refused_with_what_is_needed() {
        let limits = ConnectionLimits::for_clients(1_000);
        let error = limits.within(Some(1_024), 1_000).unwrap_err().to_string();
        assert!(error.contains("1024") && error.contains("2400"), "{error}");
        assert!(error.contains("ulimit -n"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn the_limit_is_raised_as_far_as_it_may() {
        use rustix::process::{Resource, getrlimit};
        let raised = raise_limit();
        let now = getrlimit(Resource::Nofile);
        assert_eq!(raised, now.current);
        let most = now.maximum.unwrap_or(MOST).min(MOST);
        assert!(now.current.is_none_or(|current| current >= most));
    }
}
