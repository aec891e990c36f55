//! From what is known at the end of a run to what its report tells.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use umbel_privacy::certificate::lineage;
use umbel_privacy::unit::PrivacyUnit;
use umbel_proto::classifier::ClassifierOptions;
use umbel_proto::message::{ClientId, Ending};
use umbel_proto::plan::{Plan, Protection};
use umbel_proto::task::Task;

use crate::config::{RunConfig, Words};
use crate::lobby::{Attendance, Traffic};
use crate::observe::recorder::Metric;
use crate::observe::virtual_time::VirtualRound;
use crate::report::{
    self, AbsenceSummary, ClientSummary, CurvePoint, PrivacySummary, PromiseSummary, Results,
    RunSummary, Strength, TrainingSummary, VirtualLine, virtual_settings,
};
use crate::run::{Outcome, Spend};

/// All that is known at the end of a run.
pub(crate) struct Facts<'a> {
    pub(crate) config: &'a RunConfig,
    pub(crate) plan: &'a Plan,
    pub(crate) outcome: &'a Outcome,
    pub(crate) results: Option<Results>,
    pub(crate) metrics: &'a [Metric],
    pub(crate) attendance: &'a BTreeMap<ClientId, Attendance>,
    pub(crate) traffic: Traffic,
    pub(crate) device: String,
    pub(crate) connections: Vec<String>,
    pub(crate) started: String,
    pub(crate) finished: String,
    pub(crate) seconds: f64,
    pub(crate) model_hash: Option<String>,
    pub(crate) signing_key: String,
    pub(crate) lineage: &'a [lineage::Ancestor],
}

/// Puts the facts into the report's form.
///
/// Where the client is the unit, who took part, how often, and how much was sent is what the noise
/// hides, so that none of it gets in.
pub(crate) fn summarise(facts: &Facts<'_>) -> RunSummary {
    let hides_clients = facts.plan.hides_clients();
    let privacy = privacy_summary(facts);
    RunSummary {
        name: facts.config.run.name.to_string(),
        software: concat!("Umbel ", env!("CARGO_PKG_VERSION")).into(),
        started: facts.started.clone(),
        finished: facts.finished.clone(),
        seconds: facts.seconds,
        about: about(facts.config),
        ending: match &facts.outcome.ending {
            Ending::Complete => report::Ending::Complete,
            Ending::BudgetExhausted { .. } => report::Ending::BudgetExhausted,
            Ending::Failed { reason } => report::Ending::Failed {
                reason: reason.clone(),
            },
            Ending::Diverged { round } => report::Ending::Diverged {
                round: *round,
                kept: facts.outcome.kept.as_ref().map(|(round, _)| *round),
            },
            Ending::Stopped { .. } => report::Ending::Stopped,
        },
        strength: Strength::of(&privacy),
        privacy,
        training: training_summary(facts),
        base: base(facts),
        connections: facts.connections.clone(),
        clients: facts
            .attendance
            .iter()
            .filter(|_| !hides_clients)
            .map(|(client, attendance)| client_summary(client, attendance))
            .collect(),
        absences: absences(facts.metrics),
        virtual_time: facts.metrics.iter().filter_map(virtual_line).collect(),
        traffic: (!hides_clients).then_some(report::Traffic {
            bytes_up: facts.traffic.up,
            bytes_down: facts.traffic.down,
        }),
        results: facts.results.clone(),
        curve: curve(facts),
        ledger_head: facts
            .outcome
            .spent
            .as_ref()
            .map(|spent| spent.ledger_head.clone()),
        model_hash: facts.model_hash.clone(),
        // Where there is no model, there is no certificate that a key could have signed.
        signing_key: facts
            .outcome
            .kept
            .is_some()
            .then(|| facts.signing_key.clone()),
        account_command: account_command(facts),
    }
}

fn about(config: &RunConfig) -> report::About {
    let words = |words: &Option<Words>| words.as_ref().map(|words| words.to_string());
    report::About {
        purpose: words(&config.report.purpose),
        organisation: words(&config.report.organisation),
        contact: words(&config.report.contact),
    }
}

fn base(facts: &Facts<'_>) -> report::Base {
    let ancestor = |ancestor: &lineage::Ancestor| report::Ancestor {
        run: ancestor.run.clone(),
        unit: ancestor.unit,
        data_set: ancestor.data_set.clone(),
        certificate: ancestor.certificate.to_string(),
    };
    report::Base {
        weights: Some(facts.plan.classifier.base.weights.to_string()),
        ancestors: facts.lineage.iter().map(ancestor).collect(),
    }
}

/// About how many units there are, by public numbers alone.
fn units(config: &RunConfig, unit: PrivacyUnit) -> Option<u64> {
    let expected = || {
        let rate = config.privacy.sampling_rate.get();
        let units = config.training.expected_batch?.get() / rate;
        // The cast saturates.
        (units.is_finite() && units >= 1.0).then(|| units.ceil() as u64)
    };
    match (config.privacy.units, unit) {
        (Some(units), _) => Some(units.get()),
        (None, PrivacyUnit::Client) => Some(config.clients.len() as u64),
        (None, PrivacyUnit::Record | PrivacyUnit::Group) => expected(),
    }
}

fn privacy_summary(facts: &Facts<'_>) -> PrivacySummary {
    let promised = facts.plan.protection.as_ref();
    let promised = promised.zip(facts.outcome.spent.as_ref());
    PrivacySummary {
        promise: promised.map(|(promise, spent)| promise_summary(facts, promise, spent)),
        sampling_rate: facts.plan.sampling_rate.get(),
        seeded: facts.plan.seed.is_some(),
    }
}

fn promise_summary(facts: &Facts<'_>, promise: &Protection, spent: &Spend) -> PromiseSummary {
    let last = facts.metrics.last();
    PromiseSummary {
        unit: promise.unit,
        adjacency: promise.adjacency,
        placement: promise.placement,
        group_column: facts.config.data.group.clone(),
        rows_per_group: promise.rows_per_group.map(NonZeroUsize::get),
        epsilon_spent: spent.epsilon,
        spans_runs: spent.spans_runs,
        epsilon_budget: promise.budget.epsilon(),
        delta: promise.budget.delta().get(),
        units: units(facts.config, promise.unit),
        noise_multiplier: promise.noise_multiplier.get(),
        accounted_sampling_rate: facts.plan.accounted_sampling_rate().get(),
        draws_per_round: facts.plan.events_per_round(),
        draws: spent.draws,
        clipping_norm: promise.clipping_norm.get(),
        clipping_threshold: last.and_then(|last| last.clipping_threshold),
    }
}

/// What the model answers, and of what.
fn task_settings(options: &ClassifierOptions) -> Vec<(String, String)> {
    let texts = if options.pairs {
        ", of two texts together"
    } else {
        ""
    };
    let task = match options.task {
        Task::Regression(values) => format!(
            "{}, offset {}, scale {}",
            options.task, values.offset, values.scale
        ),
        Task::SingleLabel | Task::MultiLabel => options.task.to_string(),
    };
    let mut settings = vec![("task".to_owned(), format!("{task}{texts}"))];
    if let Some(weights) = &options.class_weights {
        let each = options.labels.iter().zip(weights);
        let each: Vec<String> = each.map(|(label, w)| format!("{label} {w}")).collect();
        settings.push(("class weights".into(), each.join(", ")));
    }
    settings
}

fn training_summary(facts: &Facts<'_>) -> TrainingSummary {
    let server = &facts.config.server;
    let options = &facts.plan.classifier.options;
    let optimiser = server.optimiser.title;
    let mut settings = task_settings(options);
    settings.extend([
        ("server optimiser".to_owned(), optimiser.to_owned()),
        ("learning rate".into(), server.learning_rate.to_string()),
        ("pooling".into(), options.pooling.to_string()),
        ("tokens".into(), options.max_tokens.to_string()),
    ]);
    if let Some(lora) = options.train.lora() {
        let frozen = if lora.freeze_a { ", A frozen" } else { "" };
        let targets: Vec<String> = lora.targets.iter().map(|t| t.to_string()).collect();
        let words = lora
            .words
            .map_or_else(String::new, |words| format!("; word embeddings at {words}"));
        let text = format!(
            "rank {}, alpha {}, {}{frozen}{words}",
            lora.rank,
            lora.alpha,
            targets.join(", ")
        );
        settings.push(("adapters".into(), text));
    }
    if let Some(promise) = &facts.plan.protection {
        settings.push(("clipping".into(), promise.clipping.to_string()));
    }
    match facts.plan.local_steps() {
        None => settings.push(("expected batch".into(), facts.plan.divisor.to_string())),
        Some(local) => {
            let text = format!("{} of {} rows", local.steps, local.batch);
            settings.push(("local steps".into(), text));
        }
    }
    if let Some(longest) = server.update_norm {
        settings.push(("longest update".into(), longest.to_string()));
    }
    settings.extend(virtual_settings::settings(facts.config));
    TrainingSummary {
        summed: facts.plan.summed(),
        rounds_done: facts.outcome.rounds,
        rounds_planned: facts.plan.rounds.get(),
        base_model: facts.config.model.base.display().to_string(),
        trainable: options.train.to_string(),
        trainable_parameters: facts.plan.classifier.parameters,
        device: facts.device.clone(),
        settings,
    }
}

fn client_summary(client: &ClientId, attendance: &Attendance) -> ClientSummary {
    let left_out = if !attendance.joined {
        Some("never joined".to_owned())
    } else if let Some(why) = attendance.left {
        Some(format!("left before the end: {why}"))
    } else if attendance.missed > 0 {
        Some(format!("missing in {} rounds", attendance.missed))
    } else {
        attendance.last_refusal.clone()
    };
    ClientSummary {
        name: client.to_string(),
        rounds_taken_part: attendance.counted,
        refused_updates: attendance.refused,
        left_out_reason: left_out,
    }
}

/// What the rounds' lines say of who was missing, with rounds of one kind taken together.
fn absences(metrics: &[Metric]) -> Vec<AbsenceSummary> {
    let mut absences: Vec<AbsenceSummary> = Vec::new();
    for metric in metrics {
        for (client, why) in metric.missing.iter().flatten() {
            let before = metric.round - 1;
            let goes_on =
                |a: &&mut AbsenceSummary| a.to == before && a.client == *client && a.why == *why;
            match absences.iter_mut().rev().find(goes_on) {
                Some(absence) => absence.to = metric.round,
                None => absences.push(AbsenceSummary {
                    client: client.clone(),
                    from: metric.round,
                    to: metric.round,
                    why: why.clone(),
                }),
            }
        }
    }
    absences
}

/// A round in virtual time, if it was.
fn virtual_line(metric: &Metric) -> Option<VirtualLine> {
    let VirtualRound {
        opened, missing, ..
    } = metric.virtual_time.as_ref()?;
    let missing = missing.as_ref();
    Some(VirtualLine {
        round: metric.round,
        opened: *opened,
        closed: metric.seconds,
        gave: metric.clients.map(|gave| gave as u64),
        late: missing.map(|missing| missing.late.len() as u64),
        busy: missing.map(|missing| missing.busy.len() as u64),
        dropped: missing.map(|missing| missing.dropped.len() as u64),
        away: missing.map(|missing| missing.away.len() as u64),
    })
}

/// What was known after each round.
fn curve(facts: &Facts<'_>) -> Vec<CurvePoint> {
    let metrics = facts.metrics.iter();
    metrics
        .map(|metric| CurvePoint {
            round: metric.round,
            loss: metric.loss,
            calibrated_loss: metric.calibrated_loss,
            accuracy: metric.scores.accuracy,
            micro_f1: metric.scores.micro_f1,
            rmse: metric.scores.rmse,
            epsilon: metric.epsilon,
        })
        .collect()
}

fn account_command(facts: &Facts<'_>) -> Option<String> {
    let promised = facts.plan.protection.as_ref();
    let promised = promised.zip(facts.outcome.spent.as_ref());
    promised.map(|(promise, spent)| {
        format!(
            "umbel account epsilon --noise-multiplier {} --sampling-rate {} --steps {} --delta {} \
             --adjacency {}",
            promise.noise_multiplier,
            facts.plan.accounted_sampling_rate(),
            spent.draws,
            promise.budget.delta(),
            promise.adjacency,
        )
    })
}
