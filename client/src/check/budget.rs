//! The site's ledger and what is left of its budget. The ledger is read as it is, into memory:
//! what is tried there is spent nowhere.

use std::fs::{self, File, TryLockError};
use std::io;
use std::sync::Arc;

use umbel_privacy::accountant::{Accountant as _, Delta};
use umbel_privacy::ledger::file::OpenError;
use umbel_privacy::ledger::{Ledger, LedgerError, MemoryLedgerStorage};
use umbel_proto::exit_code::ExitKind;
use umbel_proto::findings::{Finding, Findings};
use umbel_proto::plan::AgreedPlan;
use umbel_proto::spending::Spending;

use crate::outbox::{Outbox, Owner};
use crate::site::SiteSettings;
use crate::site_ledger::{LedgerPlace, SiteLedgerError, check_data_set};

/// What is left, where no plan is known.
pub(super) fn by_itself(found: &mut Findings, settings: &SiteSettings) {
    let Some(policy) = &settings.policy else {
        return;
    };
    let place = &settings.ledger;
    let ledger = match open(found, place) {
        Ok(ledger) => ledger,
        Err(error) => return found.fail("ledger", error.exit_kind(), error),
    };
    let spent = match epsilon(&ledger, place, policy.delta) {
        Ok(spent) => spent,
        Err(error) => return found.fail("ledger", ExitKind::Ledger, error),
    };
    let (budget, delta) = (policy.epsilon, policy.delta);
    let said = format!("{spent:.4} of epsilon {budget} at delta {delta} is spent");
    if let Some(used) = ledger.unprotected_use(&place.data_set) {
        return found.note(Finding::warning("budget", format!("{said}: {used}")));
    }
    found.note(told(Finding::good("budget", said), (spent, budget.get())));
}

/// Whether the whole plan fits into what is left.
pub(crate) fn for_plan(found: &mut Findings, settings: &SiteSettings, plan: &AgreedPlan) {
    let Some(policy) = &settings.policy else {
        return;
    };
    let place = &settings.ledger;
    let ledger = match open(found, place) {
        Ok(ledger) => ledger,
        Err(error) => return found.fail("ledger", error.exit_kind(), error),
    };
    if !plan.is_private() {
        return found.note(Finding::open("budget", "a run of unit none spends nothing"));
    }
    let budget = policy.budget();
    let opened = Spending::open(ledger, place.data_set.clone(), budget, plan);
    let spending = match opened {
        Ok(spending) => spending,
        Err(error) => return found.fail("budget", ExitKind::Ledger, error),
    };
    let begun = match is_begun(place, plan) {
        Ok(begun) => begun,
        Err(error) => return found.fail("ledger", error.exit_kind(), error),
    };
    let draws = match begun {
        true => spending.unpaid_draws(),
        false => plan.draws(),
    };
    let spent = spending.epsilon();
    if let Err(error) = spending.check(draws) {
        let kind = match error.is_exhausted() {
            true => ExitKind::BudgetExhausted,
            false => ExitKind::Ledger,
        };
        return found.fail("budget", kind, format!("not for the whole plan: {error}"));
    }
    let said = format!(
        "all rounds fit into epsilon {} at delta {}; {spent:.4} is spent before them",
        budget.epsilon(),
        budget.delta()
    );
    found.note(told(
        Finding::good("budget", said),
        (spent, policy.epsilon.get()),
    ));
}

fn told(finding: Finding, (spent, budget): (f64, f64)) -> Finding {
    finding.with("spent_epsilon", spent).with("epsilon", budget)
}

/// Whether this site has answered some rounds of this very run already.
fn is_begun(place: &LedgerPlace, plan: &AgreedPlan) -> Result<bool, SiteLedgerError> {
    let owner = Owner {
        run: plan.run.to_string(),
        plan: plan.digest(),
        data_set: place.data_set.clone(),
    };
    Ok(Outbox::open(&place.path, &owner, Arc::clone(&place.disk))?.exists())
}

/// The ledger as its file is now.
fn open(
    found: &mut Findings,
    place: &LedgerPlace,
) -> Result<Ledger<MemoryLedgerStorage>, SiteLedgerError> {
    let path = &place.path;
    let failed = |source| OpenError::Io {
        path: path.clone(),
        source,
    };
    let bytes = match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            found.note(Finding::good(
                "ledger",
                format!("there is none; the first run makes {}", path.display()),
            ));
            Vec::new()
        }
        read => {
            let bytes = read.map_err(failed)?;
            let said = match is_in_use(path).map_err(failed)? {
                true => Finding::warning(
                    "ledger",
                    format!("{} is in use: a client runs with it", path.display()),
                ),
                false => Finding::good("ledger", path.display()),
            };
            found.note(said);
            bytes
        }
    };
    let ledger = Ledger::open(MemoryLedgerStorage::with_bytes(bytes)).map_err(|source| {
        SiteLedgerError::Damaged {
            path: path.clone(),
            source: Box::new(source),
        }
    })?;
    check_data_set(place, &ledger)?;
    Ok(ledger)
}

/// Whether another process holds the ledger.
fn is_in_use(path: &std::path::Path) -> io::Result<bool> {
    match File::open(path)?.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Epsilon of what was spent on the data so far, by whatever unit it was counted.
fn epsilon(
    ledger: &Ledger<MemoryLedgerStorage>,
    place: &LedgerPlace,
    delta: Delta,
) -> Result<f64, LedgerError> {
    let mut entries = ledger.entries().iter();
    let Some(entry) = entries.find(|entry| entry.data_set == place.data_set) else {
        return Ok(0.0);
    };
    let Some(unit) = entry.unit() else {
        // Rows that were used without protection have no finite epsilon.
        return Ok(f64::INFINITY);
    };
    let spent = ledger.accountant_for(&place.data_set, unit, entry.adjacency)?;
    Ok(spent.epsilon(delta).get())
}
