//! What a guarantee's figures follow from: the ledger's entries and the base model's lineage, and
//! nothing else. Whoever certifies a run and whoever verifies it add up the same events.

use super::accounting::{AccountantName, CannotAccount, merged};
use super::content::{Accounted, Guarantee, LedgerStatement};
use super::lineage::{self, Ancestor, InvalidLineage};
use super::terms::Promise;
use crate::accountant::event::MechanismEvent;
use crate::ledger::LedgerEntry;
use crate::unit::PrivacyUnit;

/// What the figures are computed from.
#[derive(Clone, Copy, Debug)]
pub struct CostSources<'a> {
    /// All of the ledger.
    pub entries: &'a [LedgerEntry],
    /// Which of them are the run's, and which the data set's.
    pub statement: &'a LedgerStatement,
    /// The runs that the base model descends from.
    pub lineage: &'a [Ancestor],
}

/// Why no guarantee can be stated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoGuarantee {
    /// The lineage doesn't add up with the run.
    #[error(transparent)]
    Lineage(#[from] InvalidLineage),
    /// There is no sound figure.
    #[error(transparent)]
    Accounting(#[from] CannotAccount),
}

/// Events, equal neighbours together.
pub(super) struct Costs {
    /// Of the run alone.
    pub(super) run: Vec<MechanismEvent>,
    /// Of everything in the ledger on the same data set.
    pub(super) data_set: Vec<MechanismEvent>,
    /// Of that and of the base model's lineage.
    pub(super) total: Vec<MechanismEvent>,
    /// Whether the lineage has any.
    pub(super) inherits: bool,
}

impl CostSources<'_> {
    /// The ledger's entries on the run's data set.
    pub(super) fn on_data_set(&self) -> impl Iterator<Item = &LedgerEntry> + Clone {
        let ours = |entry: &&LedgerEntry| entry.data_set == self.statement.data_set;
        self.entries.iter().filter(ours)
    }

    /// What all of it comes to for a run that protects `unit`.
    ///
    /// # Errors
    /// [`InvalidLineage`] where an ancestor protected another unit.
    pub(super) fn costs(&self, unit: PrivacyUnit) -> Result<Costs, InvalidLineage> {
        let inherited = lineage::inherited(self.lineage, self.statement.rows(), unit)?;
        let first = self.statement.first_of_run;
        let of_run = self.on_data_set().filter(|entry| entry.index >= first);
        let data_set = self.on_data_set().map(LedgerEntry::cost);
        Ok(Costs {
            run: merged(of_run.map(LedgerEntry::cost)),
            data_set: merged(data_set.clone()),
            inherits: !inherited.is_empty(),
            total: merged(inherited.into_iter().chain(data_set)),
        })
    }
}

impl Guarantee {
    /// What a run promised, with the figures that follow from `sources`. `seeded` says whether its
    /// noise came from a seed.
    ///
    /// # Errors
    /// [`NoGuarantee`] where there is no sound figure.
    pub fn of(
        promise: &Promise,
        seeded: bool,
        sources: CostSources<'_>,
    ) -> Result<Self, NoGuarantee> {
        let accountant = AccountantName::current();
        let costs = sources.costs(promise.unit)?;
        let accounted = |events: Vec<MechanismEvent>| {
            let epsilon = accountant.epsilon(&events, promise.adjacency, promise.delta)?;
            Ok::<_, CannotAccount>(Accounted {
                epsilon: epsilon.is_finite().then_some(epsilon),
                events,
            })
        };
        Ok(Self {
            unit: promise.unit,
            adjacency: promise.adjacency,
            placement: promise.placement,
            noise_multiplier: promise.noise_multiplier,
            sampling_rate: promise.sampling_rate,
            draws_per_round: promise.draws_per_round,
            mechanism: promise.mechanism.clone(),
            clipping_norm: promise.clipping_norm,
            lattice_step: promise.lattice_step,
            seeded,
            delta: promise.delta,
            budget_epsilon: promise.budget_epsilon,
            run: accounted(costs.run)?,
            data_set: accounted(costs.data_set)?,
            total: accounted(costs.total)?,
            accountant,
        })
    }
}
