//! The exit codes of every Umbel command: one list, documented in the README.

/// How a command ended, as its exit code tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitKind {
    /// All went well.
    Success = 0,
    /// Something that isn't in this list; a defect, perhaps.
    Internal = 1,
    /// The command line or the configuration is wrong.
    Configuration = 2,
    /// A data file is missing or wrong.
    Data = 3,
    /// The other side can't be reached or refuses.
    Network = 4,
    /// The privacy budget doesn't allow more: an ordinary ending; the last model is kept.
    BudgetExhausted = 5,
    /// A model folder is missing or wrong.
    Model = 6,
    /// The run ended before its last round: too few clients, or a full disk.
    RunFailed = 7,
    /// A ledger is damaged, locked by another process or can't be written.
    Ledger = 8,
    /// The site's policy refuses the run.
    Policy = 9,
    /// Something that a certificate says doesn't hold, or there is no certificate; or an audit
    /// contradicts what is claimed.
    NotVerified = 10,
    /// Training diverged: a released model's numbers, or a site's own steps, stopped being finite.
    Diverged = 11,
}

impl From<ExitKind> for std::process::ExitCode {
    fn from(kind: ExitKind) -> Self {
        Self::from(kind as u8)
    }
}
