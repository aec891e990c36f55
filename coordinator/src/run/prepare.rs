//! From a configuration to a run that is ready to be driven.

use std::path::Path;
use std::sync::Arc;

use umbel_model::data::{DataError, LabelSet, TableSchema};
use umbel_model::{Classifier, DeviceChoice, ModelError, ModelFiles, check_scores};
use umbel_privacy::private_rng::NoiseSource;
use umbel_proto::classifier::ClassifierOptions;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::{BlobDigest, ModelFile};
use umbel_proto::plan::{AgreedPlan, Plan, PlanError};

use crate::aggregate::UpdateRules;
use crate::certificate::base_model::{BaseModel, Uncertified};
use crate::config::{ConfigError, HeadStart, ModelFacts, QuorumPercent, RunConfig, plan};
use crate::lobby::{Lobby, Offer};
use crate::observe::public_data::{EvaluationError, PublicData, PublicTexts};
use crate::round::{Engine, RoundSettings};
use crate::run::absence::Patience;

/// Everything that a run needs before its first client comes.
pub struct Prepared {
    /// What sites are asked for.
    pub plan: AgreedPlan,
    /// Where clients and driver meet.
    pub lobby: Arc<Lobby>,
    /// How long the run waits for clients that are missing.
    pub patience: Patience,
    /// The classifier, with its initial parameters.
    pub classifier: Classifier,
    /// The model that training starts from.
    pub base: BaseModel,
    /// Public rows to evaluate on.
    pub public: PublicData,
    /// The device that evaluates, in words.
    pub device: String,
    /// What is worth telling of the model and of the evaluation files.
    pub notes: Vec<String>,
}

/// Why a run can't be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The base model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The base model's certificate.
    #[error(transparent)]
    Uncertified(#[from] Uncertified),
    /// The public data or the label set.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl From<EvaluationError> for PrepareError {
    fn from(error: EvaluationError) -> Self {
        match error {
            EvaluationError::Data(e) => Self::Data(e),
            EvaluationError::Model(e) => Self::Model(e),
        }
    }
}

/// Reads model and public data, writes the plan and opens the lobby.
///
/// # Errors
/// [`PrepareError`] says which file or key is wrong.
pub fn prepare(
    config: &RunConfig,
    labels: LabelSet,
    device: &DeviceChoice,
    patience: Patience,
) -> Result<Prepared, PrepareError> {
    prepare_with(config, labels, device, patience, Ok)
}

/// [`prepare`], with the plan changed before anybody hears of it.
///
/// # Errors
/// As there.
pub(super) fn prepare_with(
    config: &RunConfig,
    labels: LabelSet,
    device: &DeviceChoice,
    patience: Patience,
    change: impl FnOnce(Plan) -> Result<Plan, PlanError>,
) -> Result<Prepared, PrepareError> {
    let files = ModelFiles::read(&config.model.base)?;
    let base = BaseModel::find(&config.model.base, &files)?;
    let (device, device_name) = device.resolve()?;
    let seed = config.run.seed;
    let own_pooling = files.pooling(labels.names())?;
    // Rows that count as public are nobody's, whatever the unit.
    let schema = TableSchema {
        group: None,
        client: None,
        ..schema_of(config)
    };
    let task = config.task.kind;
    let clean = config.data.clean;
    let public = PublicTexts::read(&config.evaluation.files, &schema, (task, &labels), clean)?;
    let task = config.task.task(&public.values())?;
    let names = labels.names().to_vec();
    let thresholds = config.task.thresholds(&names)?;
    let class_weights = config.training.class_weights(&names)?;
    let options = ClassifierOptions {
        pairs: config.data.text_pair.is_some(),
        class_weights,
        ..config.model.options(task, names, own_pooling, seed)?
    };
    // The fresh head is public, so its randomness need not be secret: a fixed stream makes
    // every run of one configuration start from the same model.
    let mut head = NoiseSource::seeded(seed.unwrap_or(0), "coordinator/head");
    let mut classifier = Classifier::load(&files, options.clone(), &mut head, &device)?;
    begin_head(config, &mut classifier)?;
    if let Some(thresholds) = thresholds {
        classifier.set_thresholds(thresholds);
    }
    tracing::info!("base model: {}", classifier.reading());
    // A model that is broken from the start would only spend.
    check_scores(&classifier)?;
    let public = public.tokenised(&classifier)?;
    let facts = ModelFacts {
        options,
        parameters: classifier.layout().len(),
        layout: BlobDigest::from(classifier.layout().digest()),
        base: base.plan(),
    };
    let plan = change(plan(config, facts)?).map_err(ConfigError::from)?;
    let plan = AgreedPlan::from(plan);
    let lobby = Lobby::new(
        offer(&plan, &files),
        UpdateRules::of(&plan)
            .aggregated_by(config.server.rule())
            .shortened_to(config.server.update_norm),
        Engine::new(round_settings(config, &plan, !patience.pause.is_zero())),
    );
    Ok(Prepared {
        notes: notes(config, &classifier, &public),
        plan,
        lobby: Arc::new(lobby),
        patience,
        classifier,
        base,
        public,
        device: device_name,
    })
}

/// Puts a new head where `model.head_start` says.
fn begin_head(config: &RunConfig, classifier: &mut Classifier) -> Result<(), ModelError> {
    if config.model.head_start != HeadStart::LabelNames {
        return Ok(());
    }
    match classifier.begin_at_label_names()? {
        true => {
            tracing::info!("the classifier begins at what the encoder makes of the labels' names")
        }
        false => {
            tracing::info!("the base model's classifier is kept, so model.head_start does nothing")
        }
    }
    Ok(())
}

/// The columns of a configuration's training tables.
pub fn schema_of(config: &RunConfig) -> TableSchema {
    config.schema()
}

/// What is worth telling of the model and of the evaluation files.
fn notes(config: &RunConfig, classifier: &Classifier, public: &PublicData) -> Vec<String> {
    let (asked, positions) = (
        config.model.max_tokens.get(),
        classifier.spec().max_tokens(),
    );
    let beyond = (asked > positions).then(|| {
        format!(
            "model.max_tokens is {asked}, but the model has {positions} positions: texts are cut \
             to {positions} tokens"
        )
    });
    let (rounds, warmup) = (config.run.rounds.get(), config.server.warmup_rounds);
    let cold = (warmup > rounds).then(|| {
        format!(
            "server.warmup_rounds is {warmup} and run.rounds {rounds}: the learning rate rises to \
             {rounds}/{warmup} of server.learning_rate and no further; set fewer rounds of warm-up \
             to train at its full rate"
        )
    });
    beyond
        .into_iter()
        .chain(cold)
        .chain(public.notes().iter().cloned())
        .collect()
}

/// SHA-256 of a folder's `model.safetensors`: how a released model is named.
///
/// # Errors
/// What the system says where it can't be read.
pub fn weights_digest(folder: &Path) -> std::io::Result<BlobDigest> {
    std::fs::read(folder.join("model.safetensors")).map(|bytes| BlobDigest::of(&bytes))
}

fn offer(plan: &AgreedPlan, files: &ModelFiles) -> Offer {
    let file = |(name, content): (&str, &[u8])| {
        let described = ModelFile {
            name: name.to_owned(),
            digest: BlobDigest::of(content),
            bytes: content.len() as u64,
        };
        (described, Arc::from(content))
    };
    Offer {
        plan: plan.bytes().to_vec(),
        labels: plan.classifier.options.labels.clone(),
        files: files.named().into_iter().map(file).collect(),
    }
}

fn round_settings(config: &RunConfig, plan: &AgreedPlan, patient: bool) -> RoundSettings {
    let clients: std::collections::BTreeSet<_> =
        config.clients.iter().map(|c| c.name.clone()).collect();
    RoundSettings {
        rounds: plan.rounds.get(),
        minimum: match config.federation.minimum {
            0 => clients.len(),
            n => n,
        },
        independent: plan.hides_clients(),
        closes_early: config.federation.close_early,
        quorum: config.federation.quorum_percent.map(QuorumPercent::get),
        attempts: config.federation.attempts.get(),
        patient,
        clients,
    }
}

impl PrepareError {
    /// The exit code that tells this kind of failure.
    pub fn exit_kind(&self) -> ExitKind {
        match self {
            Self::Config(_) => ExitKind::Configuration,
            Self::Model(_) | Self::Uncertified(_) => ExitKind::Model,
            Self::Data(_) => ExitKind::Data,
        }
    }
}
