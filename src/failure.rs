//! Errors as a command ends with them: a sentence and an exit code.

use umbel_client::participate::ClientError;
use umbel_coordinator::config::ConfigError;
use umbel_coordinator::report::run_report::RunReport;
use umbel_coordinator::run::prepare::PrepareError;
use umbel_model::ModelError;
use umbel_model::data::DataError;
use umbel_proto::console::Unsaid;
use umbel_proto::exit_code::ExitKind;

/// Why a command failed, and how its exit code says so.
#[derive(Debug)]
pub struct Failure {
    /// The kind, hence the exit code.
    pub kind: ExitKind,
    /// What was wrong, where, and what to do.
    pub message: String,
    /// What is known of the run all the same, where it came to an end.
    pub report: Option<Box<RunReport>>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: ExitKind, message: impl ToString) -> Self {
        Self {
            kind,
            message: message.to_string(),
            report: None,
        }
    }

    /// The same, of a run that came to an end and has a report.
    #[must_use]
    pub fn of_run(self, report: RunReport) -> Self {
        Self {
            report: Some(Box::new(report)),
            ..self
        }
    }

    /// Something that isn't the user's doing.
    pub fn internal(message: impl ToString) -> Self {
        Self::new(ExitKind::Internal, message)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(ExitKind::Configuration, error)
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::new(ExitKind::Data, error)
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self::new(ExitKind::Model, error)
    }
}

impl From<PrepareError> for Failure {
    fn from(error: PrepareError) -> Self {
        Self::new(error.exit_kind(), error)
    }
}

impl From<Unsaid> for Failure {
    fn from(error: Unsaid) -> Self {
        Self::internal(error)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::new(error.exit_kind(), error)
    }
}
