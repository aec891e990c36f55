//! The exit codes of every Umbel command: one list, which `--help` and the book show.

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
    /// A ledger is damaged, went back, is locked by another process or can't be written.
    Ledger = 8,
    /// The site's policy refuses the run.
    Policy = 9,
    /// Something that a certificate says doesn't hold, or there is no certificate; or an audit
    /// contradicts what is claimed.
    NotVerified = 10,
    /// Training diverged: a released model's numbers, or a site's own steps, stopped being finite.
    Diverged = 11,
    /// A site trained, and none of its updates counted.
    NeverCounted = 12,
    /// Whoever conducts the run ended it early; what was released by then is kept.
    Stopped = 13,
}

impl ExitKind {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 14] = [
        Self::Success,
        Self::Internal,
        Self::Configuration,
        Self::Data,
        Self::Network,
        Self::BudgetExhausted,
        Self::Model,
        Self::RunFailed,
        Self::Ledger,
        Self::Policy,
        Self::NotVerified,
        Self::Diverged,
        Self::NeverCounted,
        Self::Stopped,
    ];

    /// The code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Internal => "internal error",
            Self::Configuration => "command line or configuration",
            Self::Data => "data",
            Self::Network => "network",
            Self::BudgetExhausted => "privacy budget exhausted (the last model is kept)",
            Self::Model => "model",
            Self::RunFailed => "run failed before its last round",
            Self::Ledger => "ledger",
            Self::Policy => "refused by a site's policy",
            Self::NotVerified => "not verified, or contradicted by an audit",
            Self::Diverged => "training diverged",
            Self::NeverCounted => "none of a site's updates counted",
            Self::Stopped => "stopped early, as asked (the last model is kept)",
        }
    }

    /// The list as `--help` ends with it.
    pub fn help() -> String {
        let each = Self::ALL.map(|kind| format!("{} {}", kind.code(), kind.meaning()));
        format!("Exit codes: {}.", each.join(", "))
    }
}

impl From<ExitKind> for std::process::ExitCode {
    fn from(kind: ExitKind) -> Self {
        Self::from(kind.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_in_order() {
        let codes = ExitKind::ALL.map(ExitKind::code);
        assert!(codes.iter().copied().eq(0..14));
    }

    #[test]
    fn the_reference_has_every_code() {
        let page = include_str!("../../docs/src/reference/exit-codes.md");
        for kind in ExitKind::ALL {
            let row = format!("\n| {} | ", kind.code());
            assert!(page.contains(&row), "{kind:?}");
        }
    }
}
