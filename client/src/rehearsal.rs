//! A site's part in a rehearsal: everything is looked at as for the run itself, and then the site
//! trains on rows that it makes up.
//!
//! Nothing of the site's own rows goes into what it sends, whatever the coordinator asks: in a
//! rehearsal they are read, counted for the site's own log, and forgotten before training begins.
//! So there is nothing to charge. A ledger beside the site's own stands in for it, and is removed.

use std::fs;
use std::io;
use std::path::PathBuf;

use umbel_model::{Classifier, Example, ModelError, Target, Task};
use umbel_proto::exit_code::ExitKind;
use umbel_proto::findings::Findings;
use umbel_proto::plan::{AgreedPlan, Plan};

use crate::check::budget;
use crate::site::{SiteError, SiteSettings};
use crate::site_ledger::LedgerPlace;

/// Made-up rows that a round draws on the average.
const DRAWN: f64 = 32.0;
/// Made-up rows at most.
const MOST: f64 = 4096.0;

/// Where a rehearsal's ledger is: beside the site's own.
fn ledger(place: &LedgerPlace) -> LedgerPlace {
    let mut name = place.path.file_name().unwrap_or_default().to_owned();
    name.push(".rehearsal");
    LedgerPlace {
        path: place.path.with_file_name(name),
        ..place.clone()
    }
}

/// Removes what an earlier rehearsal left, and what this one leaves.
///
/// # Errors
/// What the system says of a file that can't be removed.
fn clear(rehearsal: &LedgerPlace) -> io::Result<()> {
    let beside = |ending: &str| -> PathBuf {
        let mut name = rehearsal.path.as_os_str().to_owned();
        name.push(ending);
        name.into()
    };
    for file in [rehearsal.path.clone(), beside(".seen")] {
        absent(fs::remove_file(file))?;
    }
    absent(fs::remove_dir_all(beside(".outbox")))
}

/// It is as well if there was nothing to remove.
fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Whether the site's own ledger would hold the run that is rehearsed.
///
/// # Errors
/// [`SiteError::NotReady`] says why not.
pub(crate) fn check_budget(settings: &SiteSettings, real: &Plan) -> Result<(), SiteError> {
    let mut found = Findings::default();
    budget::for_plan(&mut found, settings, &AgreedPlan::from(real.clone()));
    if found.are_good() {
        return Ok(());
    }
    Err(SiteError::NotReady {
        kind: found.exit_kind(),
        reason: found.to_string().trim_end().to_owned(),
    })
}

/// Rows that a site makes up: as many as public numbers say, and as long as the model takes.
///
/// # Errors
/// [`ModelError`] where the model's tokenizer doesn't take them.
pub(crate) fn rows(plan: &Plan, model: &Classifier) -> Result<Vec<Example>, ModelError> {
    let most = (plan.local.max_units.get() as f64).min(MOST);
    let rows = (DRAWN / plan.sampling_rate.get()).ceil().clamp(1.0, most) as usize;
    let labels = plan.classifier.options.labels.len().max(1);
    let words = [
        "rehearsal",
        "of",
        "a",
        "run",
        "with",
        "rows",
        "that",
        "nobody",
        "wrote",
    ];
    let made_up = |row: usize| {
        // Every word is one token at least, so that each row is as long as rows can be.
        let length = plan.classifier.options.max_tokens.get();
        let text: Vec<&str> = (0..length)
            .map(|i| words[(row + i * i) % words.len()])
            .collect();
        let text = text.join(" ");
        let second = plan.classifier.options.pairs.then_some(text.as_str());
        let (tokens, _) = model.tokens(&text, second)?;
        Ok(Example {
            tokens,
            target: match plan.classifier.options.task {
                Task::SingleLabel => Target::Class(row % labels),
                Task::MultiLabel => Target::labels(vec![row % labels]),
                Task::Regression(values) => Target::Value(values.offset.get()),
            },
        })
    };
    (0..rows).map(made_up).collect()
}

/// A rehearsal's ledger, which is removed with this.
pub(crate) struct Stage(LedgerPlace);

impl Stage {
    /// Gets ready for a rehearsal beside the ledger at this place.
    ///
    /// # Errors
    /// [`SiteError::NotReady`] where what an earlier one left can't be removed.
    pub(crate) fn beside(place: &LedgerPlace) -> Result<Self, SiteError> {
        let ledger = ledger(place);
        clear(&ledger).map_err(|error| SiteError::NotReady {
            kind: ExitKind::Ledger,
            reason: format!("{}: {error}", ledger.path.display()),
        })?;
        Ok(Self(ledger))
    }

    /// Where the ledger is.
    pub(crate) fn place(&self) -> LedgerPlace {
        self.0.clone()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What stays is removed by the next rehearsal.
        if let Err(error) = clear(&self.0) {
            tracing::warn!(ledger = %self.0.path.display(), "can't be removed: {error}");
        }
    }
}
