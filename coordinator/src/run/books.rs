//! The coordinator's ledger at the beginning of a run: what was spent before, what the base
//! model cost, and the mark of a run without protection.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::History;
use umbel_privacy::accountant::event::MechanismEvent;
use umbel_privacy::certificate::{Ancestor, Rows, lineage};
use umbel_privacy::disk::{AnyLedgerStorage, Disk as _, RealDisk};
use umbel_privacy::ledger::file::OpenError;
use umbel_privacy::ledger::{Ledger, LedgerPoint, MemoryLedgerStorage};
use umbel_proto::plan::{AgreedPlan, Plan};
use umbel_proto::spending::{Spending, SpendingError};
use umbel_proto::unprotected::Marked;

use crate::certificate::base_model::BaseModel;
use crate::config::RunConfig;
use crate::run::conduct::ConductError;

/// Whether a ledger that knows data sets may get one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// No: a name that it doesn't know is most likely the same rows under a new one.
    Known,
    /// Yes: somebody said that these are other rows.
    New,
}

impl Naming {
    /// By whether `--new-data-set` was given.
    pub fn new(new_data_set: bool) -> Self {
        match new_data_set {
            true => Self::New,
            false => Self::Known,
        }
    }
}

/// The ledger of a run that is about to begin.
pub(crate) struct Books {
    ledger: Ledger<AnyLedgerStorage>,
    path: PathBuf,
    data_set: String,
    /// Whether a person named the data set, or the run's name stands in.
    pub(crate) data_set_named: bool,
    /// What the base model's lineage cost besides the ledger's entries.
    inherited: Vec<MechanismEvent>,
    /// Entries that were there when the run began, if it is gone on with.
    earlier: Option<usize>,
}

impl Books {
    /// Opens and locks the ledger.
    ///
    /// # Errors
    /// [`ConductError`] where it can't be used.
    pub(crate) fn open(
        config: &RunConfig,
        path: &Path,
        naming: Naming,
    ) -> Result<Self, ConductError> {
        let storage = RealDisk.open_ledger(path)?;
        Self::over(storage, (config, path), naming)
    }

    /// The ledger as its file is now, in memory: what is spent from it is spent nowhere. There is
    /// neither a file made nor a lock taken.
    ///
    /// # Errors
    /// [`ConductError`] where it can't be used.
    pub(crate) fn rehearse(
        config: &RunConfig,
        path: &Path,
        naming: Naming,
    ) -> Result<Self, ConductError> {
        let bytes = match std::fs::read(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|source| OpenError::Io {
                path: path.to_owned(),
                source,
            })?,
        };
        let storage = Box::new(MemoryLedgerStorage::with_bytes(bytes));
        Self::over(storage, (config, path), naming)
    }

    fn over(
        storage: AnyLedgerStorage,
        (config, path): (&RunConfig, &Path),
        naming: Naming,
    ) -> Result<Self, ConductError> {
        let ledger = Ledger::open(storage).map_err(|source| ConductError::LedgerDamaged {
            path: path.to_owned(),
            source,
        })?;
        if ledger.entries().is_empty() {
            tracing::info!(path = %path.display(), "a new ledger: nothing was spent before");
        }
        if let Some(bytes) = ledger.repaired() {
            tracing::warn!(path = %path.display(), bytes, "cut off a torn last ledger entry");
        }
        let named = config.privacy.data_set.clone();
        let data_set_named = named.is_some();
        let data_set = named.unwrap_or_else(|| config.run.name.to_string());
        let known = ledger.other_data_sets(&data_set);
        if naming == Naming::Known && !known.is_empty() {
            return Err(ConductError::UnknownDataSet {
                path: path.to_owned(),
                data_set,
                known,
            });
        }
        Ok(Self {
            ledger,
            path: path.to_owned(),
            data_set_named,
            data_set,
            inherited: Vec::new(),
            earlier: None,
        })
    }

    /// Goes on with a run that was cut off. Where it knows of entries that the ledger lacks,
    /// what was spent would be forgotten.
    ///
    /// # Errors
    /// [`ConductError::WentBack`]
    pub(crate) fn go_on(&mut self, history: &History) -> Result<(), ConductError> {
        let went_back = |reason: String| ConductError::WentBack {
            path: self.path.clone(),
            reason,
        };
        let (entries, begun) = (self.ledger.entries(), &history.begun.ledger);
        begun
            .check_in(entries)
            .map_err(|why| went_back(why.to_string()))?;
        let released = history.released.as_ref().and_then(|last| last.entry);
        let spent = history.open.as_ref().and_then(|open| open.spent);
        for hash in released.into_iter().chain(spent) {
            if !entries.iter().any(|entry| entry.hash == hash) {
                return Err(went_back(format!("its entry {hash} is missing")));
            }
        }
        self.earlier = Some(usize::try_from(begun.entries).unwrap_or(usize::MAX));
        Ok(())
    }

    /// Where it stood when the run began.
    pub(crate) fn began_at(&self) -> LedgerPoint {
        let entries = self.ledger.entries();
        LedgerPoint::after(
            self.earlier
                .map_or(entries, |earlier| &entries[..earlier.min(entries.len())]),
        )
    }

    /// Its bytes as they were when the run began, and where it stood. So sites sign the same,
    /// however often the run is taken up.
    ///
    /// # Errors
    /// [`ConductError::Spending`] where it can't be read.
    pub(crate) fn as_it_was(&mut self) -> Result<(Arc<[u8]>, LedgerPoint), ConductError> {
        let bytes = self.ledger.snapshot().map_err(SpendingError::Ledger)?;
        let point = self.began_at();
        let entries = usize::try_from(point.entries).unwrap_or(usize::MAX);
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').take(entries);
        let begun: Vec<u8> = lines.flatten().copied().collect();
        Ok((begun.into(), point))
    }

    /// The runs that the base model descends from, whose cost is counted from now on.
    ///
    /// # Errors
    /// [`ConductError::Lineage`] where it doesn't add up with this plan's.
    pub(crate) fn inherit(
        &mut self,
        base: &BaseModel,
        plan: &Plan,
    ) -> Result<Vec<Ancestor>, ConductError> {
        let Some(certificate) = &base.certificate else {
            return Ok(Vec::new());
        };
        let weights = base.weights;
        let entries = self.ledger.entries();
        let ancestors = lineage::lineage(certificate, weights, entries, &self.data_set)?;
        if let Some(unit) = plan.unit() {
            let own = Rows {
                data_set: &self.data_set,
                named: self.data_set_named,
            };
            // A seeded run protects nobody, whatever it starts from.
            if plan.seed.is_none() {
                lineage::counted(&ancestors, own).try_for_each(Ancestor::check_protected)?;
            }
            self.inherited = lineage::inherited(&ancestors, own, unit)?
                .into_iter()
                .filter(|event| !event.protects_nobody())
                .cloned()
                .collect();
        }
        Ok(ancestors)
    }

    /// What the run spends from; or, for a run without protection, its mark, which is durable
    /// when this returns.
    ///
    /// # Errors
    /// [`SpendingError`] where plan and ledger don't fit together.
    pub(crate) fn begin(self, plan: &AgreedPlan, unix_time: u64) -> Result<Begun, SpendingError> {
        let Some(protection) = &plan.protection else {
            let name = self.data_set.clone();
            let found = match self.earlier {
                Some(earlier) => Marked::find(self.ledger, name, plan, earlier),
                None => Err(self.ledger),
            };
            let marked =
                found.or_else(|ledger| Marked::write(ledger, self.data_set, plan, unix_time))?;
            return Ok((None, Some(marked)));
        };
        let budget = protection.budget;
        let mut spending = Spending::open(self.ledger, self.data_set, budget, plan)?;
        if let Some(earlier) = self.earlier {
            spending = spending.since(earlier)?;
        }
        spending.inherit(&self.inherited)?;
        if !self.inherited.is_empty() {
            let epsilon = spending.epsilon();
            tracing::info!(
                epsilon,
                "spent before this run, by the base model's lineage, too"
            );
        }
        Ok((Some(spending), None))
    }
}

/// A ledger to spend from, or a mark in it.
type Begun = (
    Option<Spending<AnyLedgerStorage>>,
    Option<Marked<AnyLedgerStorage>>,
);
