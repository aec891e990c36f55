//! Whether the coordinator's certificates are good, and for how long.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use umbel_proto::certificate_dates::{CertificateDates, Standing};

use crate::run::clock::Clock;

/// How often a coordinator that serves looks at its certificates.
const LOOK: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate file of `[serve]` and its dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatedFile {
    /// The configuration's key.
    pub field: &'static str,
    /// The file.
    pub path: PathBuf,
    /// From when until when it can be used.
    pub dates: CertificateDates,
}

/// A certificate that can't be used today.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {path}: {reason}")]
pub struct NotGood {
    field: &'static str,
    path: String,
    reason: String,
}

impl DatedFile {
    /// Whole days that are left.
    ///
    /// # Errors
    /// [`NotGood`] where it isn't good yet, or not any more.
    pub fn days_left(&self, unix_seconds: u64) -> Result<i64, NotGood> {
        let reason = match self.dates.standing(unix_seconds) {
            Standing::Good { days } => return Ok(days),
            Standing::NotYet => format!(
                "this certificate isn't good before {}; set this machine's clock, or wait",
                self.dates.first_day()
            ),
            Standing::Ended => format!(
                "this certificate ended on {}, so that no client would speak to this coordinator; \
                 have the authority sign a new one (`umbel-coordinator init` makes a new \
                 federation), unless this machine's clock is wrong",
                self.dates.last_day()
            ),
        };
        Err(NotGood {
            field: self.field,
            path: self.path.display().to_string(),
            reason,
        })
    }

    fn reminder(&self, standing: Standing) -> Reminder<'_> {
        Reminder {
            file: self,
            standing,
        }
    }
}

/// What its operator is told of a certificate that ends.
struct Reminder<'a> {
    file: &'a DatedFile,
    standing: Standing,
}

impl fmt::Display for Reminder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DatedFile { field, path, dates } = self.file;
        let (path, last) = (path.display(), dates.last_day());
        match self.standing {
            Standing::Good { days } => write!(
                f,
                "{field}: {path} ends in {days} days, on {last}; put a new certificate there and \
                 start the coordinator again, which goes on with its run"
            ),
            Standing::Ended => write!(
                f,
                "{field}: {path} ended on {last}: clients that connect from now on refuse this \
                 coordinator; put a new certificate there and start the coordinator again, which \
                 goes on with its run"
            ),
            Standing::NotYet => write!(
                f,
                "{field}: {path} isn't good before {}: this machine's clock was set back",
                dates.first_day()
            ),
        }
    }
}

/// Refuses certificates that aren't good, and says which end soon.
///
/// # Errors
/// [`NotGood`] for the first one.
pub fn check(files: &[DatedFile], unix_seconds: u64) -> Result<(), NotGood> {
    for file in files {
        file.days_left(unix_seconds)?;
    }
    Ok(())
}

/// Says which certificates end soon: 30, 14 and 7 days before, and then every day.
pub struct Watch {
    files: Vec<(DatedFile, Option<Standing>)>,
}

impl Watch {
    /// Watches these.
    pub fn new(files: Vec<DatedFile>) -> Self {
        Self {
            files: files.into_iter().map(|file| (file, None)).collect(),
        }
    }

    /// What is to be said now, a sentence each.
    pub fn sentences(&mut self, unix_seconds: u64) -> Vec<String> {
        let mut sentences = Vec::new();
        for (file, told) in &mut self.files {
            let standing = file.dates.standing(unix_seconds);
            if standing.is_worth_saying(*told) {
                sentences.push(file.reminder(standing).to_string());
                *told = Some(standing);
            }
        }
        sentences
    }

    /// Says it in the log.
    pub fn say(&mut self, unix_seconds: u64) {
        for sentence in self.sentences(unix_seconds) {
            tracing::warn!("{sentence}");
        }
    }

    /// Says it in the log every day, for ever.
    pub async fn keep(mut self, clock: impl Clock) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.say(clock.unix_seconds());
        }
    }
}
