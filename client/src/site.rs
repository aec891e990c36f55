//! A site in a run: its data, its ledger, and what it answers to a round.
//!
//! What leaves a site is what [`Site::train`] returns, and nothing else: no count, no
//! loss, no error message.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use umbel_model::data::{
    DataError, LabelSet, LabelledTexts, Table, TableSchema, clean, read_table,
};
use umbel_model::{
    Classifier, ComputePrecision, DeviceChoice, ModelError, ModelFiles, PhysicalBatch, tokenise,
};
use umbel_privacy::certificate::{CoordinatorSeen, Countersignature, SigningKey};
use umbel_privacy::private_rng::NoiseSource;
use umbel_privacy::unit::PrivacyUnit;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::{BlobDigest, ClientId};
use umbel_proto::plan::mechanism::StartError;
use umbel_proto::plan::{AgreedPlan, Plan, PlanError};

use crate::compute::{ComputeSlots, TrainingModels};
use crate::part::{AtSite, Part};
use crate::policy::SitePolicy;
use crate::rehearsal::{self, Stage};
use crate::results::ResultsPlace;
use crate::site_ledger::{LedgerPlace, OpenRound, Owed, SiteLedger, SiteLedgerError};
use crate::site_report::SiteReport;
use crate::site_table::{HeldTable, SiteRows, SiteTable};
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
    /// The key with which the site signs what it was told and did.
    pub signing_key: Arc<SigningKey>,
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
            Self::Start(_) | Self::Plan(_) | Self::Rehearsed(_) => ExitKind::Configuration,
            Self::Diverged { .. } => ExitKind::Diverged,
            Self::NotReady { kind, .. } => *kind,
            Self::Update { .. } | Self::Randomness(_) => ExitKind::Internal,
        }
    }
}

/// Looks whether a site's table is one that the plan can use, and keeps nothing of it.
///
/// # Errors
/// [`SiteError`] where it can't be read, or doesn't fit the plan.
pub fn check_table(settings: &SiteSettings, plan: &Plan) -> Result<(), SiteError> {
    let labels = LabelSet::new(plan.classifier.options.labels.clone())?;
    SiteTexts::read(settings, plan, &labels).map(drop)
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
    signing_key: Arc<SigningKey>,
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
        part.countersign(coordinator, &self.signing_key)
            .map_err(|e| SiteError::Plan(format!("this site's statement: {e}")))
    }

    fn close(&mut self) -> Result<(), SiteError> {
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
            let examples = models.with(|model| rehearsal::rows(&plan, model))?;
            let units = (0..examples.len()).map(|row| vec![row]).collect();
            (rows, held) = (SiteRows { examples, units }, None);
            let begun = Stage::beside(&settings.ledger)?;
            settings.ledger = begun.place();
            stage = Some(begun);
        }
        let mark = UnprotectedMark::open(&settings.ledger, &plan)?;
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
            let units = texts.units;
            self.rows = SiteRows { examples, units };
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

/// A site's texts, as a plan wants them.
pub(crate) struct SiteTexts {
    /// The texts with their labels.
    pub(crate) texts: LabelledTexts,
    /// Rows of each unit.
    pub(crate) units: Vec<Vec<usize>>,
}

impl SiteTexts {
    /// Reads the table and divides it into units.
    ///
    /// # Errors
    /// [`SiteError`] where it can't be read, or doesn't fit the plan.
    pub(crate) fn read(
        settings: &SiteSettings,
        plan: &Plan,
        labels: &LabelSet,
    ) -> Result<Self, SiteError> {
        let table = match &settings.table {
            SiteTable::File(file) => read_file(file, settings, plan)?,
            SiteTable::Held(held) => held.table(),
        };
        Self::of(table, &settings.name, plan, labels)
    }

    /// Divides a table's rows into units.
    fn of(
        mut table: Table,
        site: &ClientId,
        plan: &Plan,
        labels: &LabelSet,
    ) -> Result<Self, SiteError> {
        if plan.local.clean && !table.cleaned {
            let (cleaned, report) = clean(table);
            tracing::info!(%site, "{report}");
            table = cleaned;
        }
        let options = &plan.classifier.options;
        let texts = LabelledTexts::for_task(&table, options.task.kind(), labels)?;
        texts.check(options.task, options.labels.len())?;
        let units = match &plan.protection {
            Some(protection) if protection.unit == PrivacyUnit::Group => {
                texts.rows_by_group(protection.rows_per_group.map(NonZeroUsize::get))?
            }
            _ => texts.rows_by_record(),
        };
        if units.len() as u64 > plan.local.max_units.get() {
            return Err(SiteError::Plan(format!(
                "this site has more units than the run's training.max_units, {}; the run must \
                 raise it, or the site offer a smaller table",
                plan.local.max_units
            )));
        }
        Ok(Self { texts, units })
    }
}

/// Whether the site names a second text exactly where the run reads two.
fn check_pairs(pairs: bool, second: Option<&str>) -> Result<(), SiteError> {
    match (pairs, second) {
        (true, None) => Err(SiteError::Plan(
            "the run reads two texts together; name the column of this site's second texts under \
             data.text_pair"
                .into(),
        )),
        (false, Some(column)) => Err(SiteError::Plan(format!(
            "the run reads one text a row, and this site names {column:?} under data.text_pair; \
             remove that"
        ))),
        (true, Some(_)) | (false, None) => Ok(()),
    }
}

fn read_file(file: &Path, settings: &SiteSettings, plan: &Plan) -> Result<Table, SiteError> {
    let options = &plan.classifier.options;
    check_pairs(options.pairs, settings.schema.text_pair.as_deref())?;
    let schema = settings.schema.clone();
    let schema = schema.for_task(options.task.kind(), &options.labels);
    Ok(read_table(file, &schema)?)
}

/// Reads a site's rows for a whole run, and tells its log about them.
fn read_rows(
    file: &Path,
    settings: &SiteSettings,
    plan: &AgreedPlan,
    models: &TrainingModels,
) -> Result<SiteRows, SiteError> {
    let labels = LabelSet::new(plan.classifier.options.labels.clone())?;
    let SiteTexts { texts, units } = SiteTexts::read(settings, plan, &labels)?;
    let (examples, lengths) = models.with(|model| tokenise(&texts, model))?;
    let report = SiteReport::new(file.to_owned(), &texts, &labels, units.len(), lengths);
    tracing::info!(site = %settings.name, "{report}");
    for warning in report.warnings(plan) {
        tracing::warn!(site = %settings.name, "{warning}");
    }
    Ok(SiteRows { examples, units })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_names_a_second_text_exactly_where_the_run_reads_two() {
        assert!(check_pairs(true, Some("answer")).is_ok() && check_pairs(false, None).is_ok());
        for (pairs, second) in [(true, None), (false, Some("answer"))] {
            let error = check_pairs(pairs, second).expect_err("a mismatch");
            assert_eq!(error.exit_kind(), ExitKind::Configuration);
            assert!(error.to_string().contains("data.text_pair"), "{error}");
        }
    }
}
