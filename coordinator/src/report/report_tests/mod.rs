//! Reports of runs that never were.

mod page;
mod promises;

use umbel_privacy::combination::Summed;
use umbel_privacy::unit::{Adjacency, NoisePlacement, PrivacyUnit};

use super::*;
use crate::observe::scores::{LabelScores, Scores, SeveralLabelScores, ValueScores};

fn scores(accuracy: f64) -> Scores {
    Scores::SingleLabel(LabelScores {
        accuracy,
        macro_f1: accuracy - 0.01,
        loss: 0.53,
        examples: 3882,
    })
}

/// Scores whose loss is no number.
fn lossless() -> Scores {
    match scores(0.76) {
        Scores::SingleLabel(scores) => Scores::SingleLabel(LabelScores {
            loss: f64::NAN,
            ..scores
        }),
        other => other,
    }
}

fn private(unit: PrivacyUnit, placement: NoisePlacement) -> PrivacySummary {
    PrivacySummary {
        promise: Some(PromiseSummary {
            unit,
            adjacency: Adjacency::AddOrRemove,
            placement,
            group_column: (unit == PrivacyUnit::Group).then(|| "patient_id".into()),
            rows_per_group: None,
            epsilon_spent: 7.981,
            spans_runs: false,
            epsilon_budget: 8.0,
            delta: 1e-5,
            units: Some(15_528),
            noise_multiplier: 0.8125,
            accounted_sampling_rate: 0.0659,
            draws_per_round: 1,
            draws: 180,
            clipping_norm: 0.5,
            clipping_threshold: None,
        }),
        sampling_rate: 0.0659,
        seeded: false,
    }
}

fn unprotected() -> PrivacySummary {
    PrivacySummary {
        promise: None,
        sampling_rate: 0.0659,
        seeded: false,
    }
}

/// What a run promised.
pub(super) fn promise(run: &mut RunSummary) -> &mut PromiseSummary {
    run.privacy.promise.as_mut().expect("a promise")
}

pub(super) fn run() -> RunSummary {
    let point = |round: u32| CurvePoint {
        round,
        loss: (round.is_multiple_of(10) || round == 1).then(|| 0.5 + 0.2 / f64::from(round).sqrt()),
        calibrated_loss: None,
        accuracy: (round.is_multiple_of(10) || round == 1).then(|| 0.76 - 0.25 / f64::from(round)),
        micro_f1: None,
        rmse: None,
        epsilon: Some(0.9 + 7.081 * (f64::from(round) / 180.0).sqrt()),
    };
    let client = |name: &str| ClientSummary {
        name: name.into(),
        rounds_taken_part: 180,
        refused_updates: 0,
        left_out_reason: None,
    };
    RunSummary {
        name: "sentiment".into(),
        software: "umbel 0.1.0".into(),
        started: "2026-01-02 10:00:00 UTC".into(),
        finished: "2026-01-02 10:04:12 UTC".into(),
        seconds: 252.0,
        ending: Ending::Complete,
        about: About {
            purpose: Some("Sort letters by their tone".into()),
            organisation: Some("Four newspapers".into()),
            contact: Some("privacy@newspapers.example".into()),
        },
        strength: Strength::of(&private(PrivacyUnit::Record, NoisePlacement::Central)),
        base: Base {
            weights: Some("5b".repeat(32)),
            ancestors: vec![Ancestor {
                run: "first-20260101-120000".into(),
                unit: Some(PrivacyUnit::Record),
                data_set: "letters".into(),
                certificate: "7c".repeat(32),
            }],
        },
        privacy: private(PrivacyUnit::Record, NoisePlacement::Central),
        training: TrainingSummary {
            summed: Summed::Gradients,
            rounds_done: 180,
            rounds_planned: 180,
            base_model: "bert-tiny".into(),
            trainable: "encoder".into(),
            trainable_parameters: 413_058,
            device: "cpu (2 threads)".into(),
            settings: vec![
                ("optimiser".into(), "adam".into()),
                (
                    "learning rate".into(),
                    "0.002, 18 rounds of warm-up, linear decay".into(),
                ),
                ("expected batch".into(), "1,024".into()),
            ],
        },
        connections: vec!["Clients were threads of one process: nothing crossed a network.".into()],
        clients: ["twitter", "amazon", "movie", "nyt"].map(client).into(),
        virtual_time: Vec::new(),
        absences: vec![AbsenceSummary {
            client: "nyt".into(),
            from: 3,
            to: 7,
            why: "nothing was heard of it".into(),
        }],
        traffic: Some(Traffic {
            bytes_up: 1_190_000_000,
            bytes_down: 1_180_000_000,
        }),
        results: Some(Results {
            overall: scores(0.7543),
            files: ["twitter", "amazon", "movie", "nyt"]
                .map(|name| NamedScores {
                    name: name.into(),
                    scores: scores(0.75),
                })
                .into(),
            judgement: None,
        }),
        curve: (1..=180).map(point).collect(),
        ledger_head: Some("3f".repeat(32)),
        signing_key: Some("00".repeat(32)),
        model_hash: Some("a0".repeat(32)),
        account_command: Some("umbel account --noise-multiplier 0.8125 --rounds 180".into()),
    }
}

/// The text of a page's body, without markup.
pub(super) fn words(page: &str) -> String {
    let body = page.split("<body>").nth(1).expect("a body");
    let mut text = String::new();
    for piece in body.split('<') {
        text.push_str(piece.split_once('>').map_or("", |(_, text)| text));
        text.push(' ');
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
