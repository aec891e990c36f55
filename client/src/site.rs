//! A site in a run: its data, its ledger, and what it answers to a round.
//!
//! What leaves a site is what [`Site::train`] returns, and nothing else: no count, no
//! loss, no error message.

use std::sync::Arc;

use umbel_model::data::{DataError, LabelSet, TableSchema};
use umbel_model::{
    Classifier, ComputePrecision, DeviceChoice, ModelError, ModelFiles, PhysicalBatch, tokenise,
};
use umbel_privacy::certificate::{CoordinatorSeen, Countersignature, SigningKey, key_file};
use umbel_privacy::private_rng::NoiseSource;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::{BlobDigest, ClientId};
use umbel_proto::plan::mechanism::StartError;
use umbel_proto::plan::{AgreedPlan, Plan, PlanError};

use crate::compute::{ComputeSlots, TrainingModels};
use crate::outbox::Owner;
use crate::own_variate::{OwnVariate, VariateError};
use crate::part::{AtSite, Part};
use crate::policy::SitePolicy;
use crate::rehearsal::{self, Stage};
use crate::results::ResultsPlace;
use crate::site_ledger::{LedgerPlace, OpenRound, Owed, SiteLedger, SiteLedgerError};
use crate::site_table::{HeldTable, SiteRows, SiteTable};
use crate::site_texts::{SiteTexts, read_rows};
use crate::training::{self, Training};
use crate::unprotected::UnprotectedMark;

/// Where a site finds things, and its rules.
#[derive(Clone)]
pub struct SiteSettings {
    /// The site's name.
    pub name: ClientId,
    /// Its table.
    pub table: SiteTable,
    /// The table's columns.
    pub schema: TableSchema,
    /// Its own label set; empty to take the run's.
    pub labels: Vec<String>,
    /// Its rules; none for a simulated site, which follows the run's configuration.
    pub policy: Option<SitePolicy>,
    /// Its ledger, and the data in it.
    pub ledger: LedgerPlace,
    /// Where it trains.
    pub device: DeviceChoice,
    /// In what it multiplies matrices there.
    pub precision: ComputePrecision,
    /// Bytes of memory that its training may take; no limit if `None`.
    pub memory: Option<u64>,
    /// When it may train.
    pub compute: Arc<ComputeSlots>,
    /// Seconds since 1970, for ledger entries.
    pub unix_seconds: fn() -> u64,
    /// Where it takes the model and the certificate; `None` if it doesn't, as in a simulation.
    pub results: Option<ResultsPlace>,
    /// The key with which the site signs what it was told and did; `None` to sign with a new one that
    /// nobody keeps, as in a simulation. It is made when it is needed: thousands of keys take a while.
    pub signing_key: Option<Arc<SigningKey>>,
}

/// Why a site can't go on.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The table.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// What a round begins with.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The ledger, or the budget that it holds.
    #[error(transparent)]
    Ledger(#[from] SiteLedgerError),
    /// Its control variate.
    #[error(transparent)]
    Variate(#[from] VariateError),
    /// The plan that is rehearsed makes no sense.
    #[error(transparent)]
    Rehearsed(#[from] PlanError),
    /// The plan and what the site computed from it differ.
    #[error("{0}")]
    Plan(String),
    /// The update can't be put on the lattice.
    #[error("round {round}: the update can't be used: {reason}; nothing was sent")]
    Update {
        /// The round.
        round: u32,
        /// Why.
        reason: String,
    },
    /// The site's own steps, or what it would send, aren't finite numbers any more.
    #[error(
        "round {round}: training at this site diverged: its numbers aren't finite, or too large to \
         be sent; nothing was sent, and what the round cost stays charged. Ask for a lower learning rate \
         (training.local.learning_rate, or server.learning_rate where clients take no steps of \
         their own)"
    )]
    Diverged {
        /// The round.
        round: u32,
    },
    /// The rehearsal found what would keep this site from taking part in the run.
    #[error(
        "this site isn't ready for the run that is rehearsed:\n{reason}\nNothing was charged; \
         `umbel-client check` shows the same without a rehearsal"
    )]
    NotReady {
        /// The exit code with which the run would end here.
        kind: ExitKind,
        /// What was found.
        reason: String,
    },
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(String),
}

impl SiteError {
    /// The exit code that tells this kind of failure.
    pub fn exit_kind(&self) -> ExitKind {
        match self {
            Self::Data(_) => ExitKind::Data,
            Self::Model(_) => ExitKind::Model,
            Self::Ledger(error) => error.exit_kind(),
            Self::Variate(_) => ExitKind::Ledger,
            Self::Start(_) | Self::Plan(_) | Self::Rehearsed(_) => ExitKind::Configuration,
            Self::Diverged { .. } => ExitKind::Diverged,
            Self::NotReady { kind, .. } => *kind,
            Self::Update { .. } | Self::Randomness(_) => ExitKind::Internal,
        }
    }
}

/// A site that has accepted a plan and read its data.
pub struct Site {
    pub(crate) name: ClientId,
    pub(crate) plan: AgreedPlan,
    models: Arc<TrainingModels>,
    /// Where its rows are while they aren't here; `None` where they stay.
    held: Option<Arc<dyn HeldTable>>,
    pub(crate) rows: SiteRows,
    pub(crate) ledger: SiteLedger,
    /// Its control variate, where the plan has some.
    pub(crate) variate: Option<OwnVariate>,
    signing_key: Option<Arc<SigningKey>>,
    /// The mark of a run without protection.
    mark: UnprotectedMark,
    unix_seconds: fn() -> u64,
    /// What passes through the model at a time.
    pub(crate) batch: PhysicalBatch,
    /// In a rehearsal only: what goes when it is over. The last field, so that its ledger is closed.
    _stage: Option<Stage>,
}

impl AtSite for Site {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn asked(&self, round: u32, parameters: BlobDigest) -> Result<Owed, SiteError> {
        Ok(self.ledger.asked(round, parameters)?)
    }

    fn heard(&mut self, counted: Option<BlobDigest>) {
        if let Some(variate) = &mut self.variate {
            variate.heard(counted);
        }
    }

    fn pay(&mut self, open: &OpenRound) -> Result<(), SiteError> {
        self.mark.make(&self.plan, (self.unix_seconds)())?;
        Ok(self.ledger.pay(open)?)
    }

    fn forget_before(&mut self, round: u32) -> Result<(), SiteError> {
        Ok(self.ledger.forget_before(round)?)
    }

    fn train(&mut self, open: &OpenRound, parameters: &[u8]) -> Result<Vec<u8>, SiteError> {
        let start = read_parameters(parameters)?;
        self.mark.make(&self.plan, (self.unix_seconds)())?;
        let models = Arc::clone(&self.models);
        let update = models.with(|model| {
            let site = &mut *self;
            site.fetch_rows(model)?;
            training::train(&mut Training { site, model }, open, &start)
        });
        self.give_rows_back();
        let update = update?;
        if let Some(variate) = &mut self.variate {
            variate.keep(BlobDigest::of(&update))?;
        }
        self.ledger.keep(open, &update)?;
        Ok(update)
    }

    fn epsilon(&self) -> Option<f64> {
        self.ledger.epsilon()
    }

    fn countersign(&self, coordinator: CoordinatorSeen) -> Result<Countersignature, SiteError> {
        let part = Part {
            client: &self.name,
            plan: &self.plan,
            entries: match self.ledger.entries() {
                Some(entries) => entries,
                None => self.mark.entries(),
            },
            rounds: self.ledger.given(),
        };
        let signing_key = match &self.signing_key {
            Some(key) => Arc::clone(key),
            None => {
                let key = key_file::new_key();
                Arc::new(key.map_err(|e| SiteError::Randomness(e.to_string()))?)
            }
        };
        part.countersign(coordinator, &signing_key)
            .map_err(|e| SiteError::Plan(format!("this site's statement: {e}")))
    }

    fn close(&mut self) -> Result<(), SiteError> {
        if let Some(variate) = &self.variate {
            variate.remove()?;
        }
        Ok(self.ledger.close()?)
    }
}

impl Site {
    /// Reads the site's data and the base model, and opens the ledger.
    ///
    /// # Errors
    /// [`SiteError`] says what can't be read or doesn't fit.
    pub fn open(
        mut settings: SiteSettings,
        plan: AgreedPlan,
        files: &[(String, Arc<[u8]>)],
    ) -> Result<Self, SiteError> {
        let load = || open_model(&settings, &plan, files);
        let models = settings.compute.models(&plan, files, load)?;
        let (mut rows, mut held, mut stage) = match &settings.table {
            SiteTable::File(file) => (read_rows(file, &settings, &plan, &models)?, None, None),
            SiteTable::Held(held) => (SiteRows::default(), Some(Arc::clone(held)), None),
        };
        if let Some(real) = plan.rehearsed()? {
            rehearsal::check_budget(&settings, &real)?;
            // From here on the site's own rows are forgotten.
            let made = models.with(|model| {
                let examples = rehearsal::rows(&plan, model)?;
                let units = (0..examples.len()).map(|row| vec![row]).collect();
                Ok::<_, ModelError>(SiteRows::new(examples, units, model))
            })?;
            (rows, held) = (made, None);
            let begun = Stage::beside(&settings.ledger)?;
            settings.ledger = begun.place();
            stage = Some(begun);
        }
        let mark = UnprotectedMark::open(&settings.ledger, &plan)?;
        let variate = plan.control_variates.then(|| {
            let owner = Owner {
                run: plan.run.to_string(),
                plan: plan.digest(),
                data_set: settings.ledger.data_set.clone(),
            };
            OwnVariate::beside(&settings.ledger, owner, plan.classifier.parameters)
        });
        let ledger = SiteLedger::open(
            settings.ledger,
            settings.policy.as_ref(),
            &plan,
            settings.unix_seconds,
        )?;
        Ok(Self {
            name: settings.name,
            plan,
            batch: models.batch(),
            models,
            held,
            rows,
            ledger,
            variate,
            signing_key: settings.signing_key,
            mark,
            unix_seconds: settings.unix_seconds,
            _stage: stage,
        })
    }

    /// Makes sure that the site's rows are here.
    fn fetch_rows(&mut self, model: &Classifier) -> Result<(), SiteError> {
        let Some(held) = &self.held else {
            return Ok(());
        };
        if self.rows.units.is_empty() {
            let labels = LabelSet::new(self.plan.classifier.options.labels.clone())?;
            let texts = SiteTexts::of(held.table(), &self.name, &self.plan, &labels)?;
            let (examples, _) = tokenise(&texts.texts, model)?;
            self.rows = SiteRows::new(examples, texts.units, model);
        }
        Ok(())
    }

    /// Lets go of rows that somebody else holds.
    fn give_rows_back(&mut self) {
        if let Some(held) = &self.held
            && !held.stay(&self.rows)
        {
            self.rows = SiteRows::default();
        }
    }

    /// A generator for one purpose in one round: from the operating system, or, in a seeded
    /// run, a stream that no other purpose, round or client has.
    pub(crate) fn randomness(&self, round: u32, purpose: &str) -> Result<NoiseSource, SiteError> {
        match self.plan.seed {
            Some(seed) => {
                let domain = format!("client/{}/{round}/{purpose}", self.name);
                Ok(NoiseSource::seeded(seed, &domain))
            }
            None => NoiseSource::from_os().map_err(|e| SiteError::Randomness(e.to_string())),
        }
    }
}

/// Reads the base model, and finds out how much of it may be in memory at a time.
///
/// # Errors
/// [`SiteError`] for a model that isn't the plan's, and for too little memory.
pub(crate) fn open_model(
    settings: &SiteSettings,
    plan: &Plan,
    files: &[(String, Arc<[u8]>)],
) -> Result<(Classifier, PhysicalBatch), SiteError> {
    let files = ModelFiles::from_named(files.iter().map(|(n, b)| (n.as_str(), b.as_ref())))?;
    let (offered, planned) = (BlobDigest::of(&files.weights), plan.classifier.base.weights);
    if offered != planned {
        return Err(SiteError::Plan(format!(
            "the plan names the base model {planned}, and the coordinator offers {offered}: what \
             is certified wouldn't be what is trained; nothing was trained"
        )));
    }
    let (device, device_name) = settings.device.resolve()?;
    let device_name = settings.precision.of_device(device_name);
    tracing::info!(site = %settings.name, device = device_name, "training device");
    let options = plan.classifier.options.clone();
    // A fresh head needs no randomness here: the first round's parameters replace it.
    let model = Classifier::load_without_head(&files, options, &device)?;
    let model = model.computing_in(settings.precision)?;
    let layout = model.layout();
    let digest = BlobDigest::from(layout.digest());
    if layout.len() != plan.classifier.parameters || digest != plan.classifier.layout {
        return Err(SiteError::Plan(format!(
            "the run trains {} parameters (layout {}), this client's model has {} (layout \
             {digest}); install the coordinator's version of Umbel",
            plan.classifier.parameters,
            plan.classifier.layout,
            layout.len()
        )));
    }
    let mut batch = PhysicalBatch::of_rows(plan.local.micro_batch.get());
    if let Some(memory) = settings.memory {
        batch = batch.within(memory, &model)?;
    }
    Ok((model, batch))
}

fn read_parameters(bytes: &[u8]) -> Result<Vec<f32>, SiteError> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(SiteError::Plan(
            "the round's parameters aren't a whole number of 4-byte floats".into(),
        ));
    }
    Ok(numbers.iter().map(|b| f32::from_le_bytes(*b)).collect())
}
