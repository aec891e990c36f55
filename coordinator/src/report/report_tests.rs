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
        unit,
        adjacency: Adjacency::AddOrRemove,
        placement,
        group_column: (unit == PrivacyUnit::Group).then(|| "patient_id".into()),
        rows_per_group: None,
        epsilon_spent: Some(7.981),
        spans_runs: false,
        epsilon_budget: Some(8.0),
        delta: Some(1e-5),
        units: Some(15_528),
        noise_multiplier: Some(0.8125),
        sampling_rate: 0.0659,
        accounted_sampling_rate: 0.0659,
        draws_per_round: 1,
        draws: 180,
        clipping_norm: Some(0.5),

        clipping_threshold: None,
        seeded: false,
    }
}

fn unprotected() -> PrivacySummary {
    PrivacySummary {
        epsilon_spent: None,
        epsilon_budget: None,
        delta: None,
        units: None,
        noise_multiplier: None,
        clipping_norm: None,

        clipping_threshold: None,
        ..private(PrivacyUnit::None, NoisePlacement::Central)
    }
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
                unit: PrivacyUnit::Record,
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

#[test]
fn the_first_lines_say_what_is_protected_and_what_is_not() {
    let text = words(&render(&run()));
    let hits = run().strength.expect("a bound").true_positives;
    let expected = format!(
        "Run sentiment Moderate protection of whether any one row was in the training \
        data, and so what it says, from everybody but the coordinator, which is trusted. What is protected Against whom: anyone who sees every model that this \
        run released, whatever else they know. How well: epsilon 7.99 at delta 1e-5, for one row \
        added or removed (add-or-remove). So whatever they see was at most 2,925 times as likely \
        with it as without it, plus a probability of 1e-5. Smaller is stronger. What is left to an \
        attacker: whoever wrongly suspects 1 % of those who weren&#39;t there finds at most {hits} \
        of those who were. What is not protected Against the coordinator: it sees each site&#39;s sum before the noise is added",
        hits = figures::share(hits)
    );
    assert!(text.starts_with(&expected), "{text}");
}

#[test]
fn a_run_without_privacy_or_with_a_seed_protects_nobody() {
    let first = |privacy| {
        let statement = Statement::of(&privacy);
        assert!(!statement.protects() && statement.protected.is_empty());
        statement.lines().swap_remove(0)
    };
    assert_eq!(
        first(unprotected()),
        "No privacy protection: this run protects nobody."
    );
    let mut seeded = private(PrivacyUnit::Client, NoisePlacement::Local);
    seeded.seeded = true;
    assert_eq!(
        first(seeded.clone()),
        "This run was seeded: its noise can be predicted and it protects nobody."
    );
    let page = render(&RunSummary {
        strength: Strength::of(&seeded),
        privacy: seeded,
        ..run()
    });
    assert!(!words(&page).contains("attacker"));
    assert!(page.contains("class=\"protection nobody\""));
    assert!(!words(&page).contains("What is protected"));
}

#[test]
fn of_several_runs_the_budget_is_what_holds_and_not_what_is_spent() {
    let mut second = run();
    second.privacy.epsilon_spent = Some(2.5);
    assert_eq!(second.privacy.epsilon_guaranteed(), Some(2.5));
    second.privacy.spans_runs = true;
    assert_eq!(second.privacy.epsilon_guaranteed(), Some(8.0));
    let text = words(&render(&second));
    assert!(text.contains("How well: epsilon 8.00"), "{text}");
    assert!(
        text.contains("2.50 of it is spent so far; that figure alone is no guarantee"),
        "{text}"
    );
    second.privacy.seeded = true;
    assert_eq!(second.privacy.epsilon_guaranteed(), None);
}

#[test]
fn a_run_with_next_to_no_noise_says_so_in_a_red_headline() {
    let mut weak = run();
    weak.privacy.noise_multiplier = Some(0.2);
    let statement = Statement::of(&weak.privacy);
    assert!(statement.headline.starts_with("Next to no protection"));
    assert!(statement.headline.contains("0.2, below 0.3"));
    let figures = statement.protected.join(" ");
    assert!(figures.contains("epsilon 7.99"), "{figures}");
    assert!(render(&weak).contains("class=\"protection nobody\""));
    assert!(render(&run()).contains("class=\"protection moderate\""));
}

#[test]
fn each_unit_and_placement_names_its_own_secret_and_adversary() {
    let lines = |unit, placement| Statement::of(&private(unit, placement)).lines().join("\n");
    let group = lines(PrivacyUnit::Group, NoisePlacement::Central);
    assert!(
        group.contains("the rows of any one patient_id at a site"),
        "{group}"
    );
    let client = lines(PrivacyUnit::Client, NoisePlacement::Central);
    assert!(
        client.contains("whether any one client took part"),
        "{client}"
    );
    assert!(
        client.contains("but not which clients were drawn"),
        "{client}"
    );
    let local = lines(PrivacyUnit::Record, NoisePlacement::Local);
    assert!(
        local.contains("Against whom: the coordinator, the other sites"),
        "{local}"
    );
    assert!(local.contains("of the site that spent most"), "{local}");
    assert!(
        !local.contains("Not protected: Against the coordinator"),
        "{local}"
    );
    for unit in [PrivacyUnit::Record, PrivacyUnit::Group, PrivacyUnit::Client] {
        for placement in [NoisePlacement::Central, NoisePlacement::Local] {
            let text = lines(unit, placement);
            assert!(text.contains("(add-or-remove)"), "{text}");
            assert!(
                text.contains("Not protected: Rows of the evaluation files"),
                "{text}"
            );
        }
    }
}

#[test]
fn replacing_a_row_hides_what_it_says_but_not_that_it_is_there() {
    let mut privacy = private(PrivacyUnit::Record, NoisePlacement::Central);
    privacy.adjacency = Adjacency::ReplaceOne;
    let text = Statement::of(&privacy).lines().join("\n");
    assert!(
        text.starts_with("Moderate protection of what any one row of the training data says,"),
        "{text}"
    );
    assert!(
        text.contains("for one row replaced by another (replace-one)"),
        "{text}"
    );
    assert!(
        text.contains("Not protected: That one row was there at all"),
        "{text}"
    );
}

#[test]
fn the_page_loads_nothing_and_runs_nothing() {
    let page = render(&run());
    for forbidden in [
        "<script", "<link", "<img", "<iframe", " src=", " href=", "url(", "@import", "http:",
        "https:",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn names_from_configurations_are_escaped_everywhere() {
    let evil = "<script>alert('x')</script>\"&";
    let mut hostile = run();
    hostile.name = evil.into();
    hostile.software = evil.into();
    hostile.privacy = private(PrivacyUnit::Group, NoisePlacement::Local);
    hostile.privacy.group_column = Some(evil.into());
    hostile.ending = Ending::Failed {
        reason: evil.into(),
    };
    hostile.training.base_model = evil.into();
    hostile.training.device = evil.into();
    hostile.training.settings.push((evil.into(), evil.into()));
    hostile.connections.push(evil.into());
    hostile.clients[0].name = evil.into();
    hostile.clients[0].left_out_reason = Some(evil.into());
    hostile.about.purpose = Some(evil.into());
    hostile.about.organisation = Some(evil.into());
    hostile.about.contact = Some(evil.into());
    hostile.base.weights = Some(evil.into());
    hostile.base.ancestors[0].run = evil.into();
    hostile.base.ancestors[0].data_set = evil.into();
    hostile.ledger_head = Some(evil.into());
    hostile.model_hash = Some(evil.into());
    hostile.account_command = Some(evil.into());
    if let Some(results) = &mut hostile.results {
        results.files[0].name = evil.into();
    }
    let page = render(&hostile);
    assert!(!page.contains("<script") && !page.contains("alert('"));
    assert!(
        page.matches("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;")
            .count()
            >= 20
    );
}

#[test]
fn every_element_is_closed_in_order() {
    let page = render(&run());
    let mut open = Vec::new();
    for piece in page.split('<').skip(1) {
        let tag = piece.split(['>', ' ', '\n']).next().unwrap_or_default();
        match tag.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed)),
            None if tag == "meta" || tag.starts_with('!') => {}
            None => open.push(tag),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_run_that_diverged_says_so_and_which_model_is_left() {
    let mut diverged = run();
    diverged.training.rounds_done = 7;
    diverged.ending = Ending::Diverged {
        round: 7,
        kept: Some(6),
    };
    let text = words(&render(&diverged));
    assert!(text.contains("Diverged after 7 of 180 rounds"), "{text}");
    assert!(text.contains("lower learning rate"), "{text}");
    assert!(
        text.contains("The model that is kept is that of round 6."),
        "{text}"
    );
    assert!(
        Statement::of_run(&diverged).protects(),
        "round 6 is protected"
    );
    diverged.ending = Ending::Diverged {
        round: 1,
        kept: None,
    };
    let statement = Statement::of_run(&diverged);
    assert!(!statement.protects() && statement.protected.is_empty());
}

#[test]
fn a_run_without_a_released_round_protects_nobody_whatever_it_promised() {
    let mut failed = run();
    failed.training.rounds_done = 0;
    failed.ending = Ending::BudgetExhausted;
    for placement in [NoisePlacement::Central, NoisePlacement::Local] {
        failed.privacy = private(PrivacyUnit::Record, placement);
        let page = render(&failed);
        assert!(page.contains("protection nobody") && !page.contains("protection moderate"));
        let text = words(&page);
        assert!(text.contains("No round was released"), "{text}");
        assert!(!text.contains("oderate protection"), "{text}");
        assert!(!text.contains("attacker"), "{text}");
        assert!(text.contains("stays spent"), "{text}");
    }
}

#[test]
fn a_run_of_no_or_one_round_has_a_report_too() {
    let mut failed = run();
    failed.ending = Ending::Failed {
        reason: "fewer than 4 clients came".into(),
    };
    failed.training.rounds_done = 0;
    failed.curve.clear();
    failed.results = None;
    failed.ledger_head = None;
    failed.model_hash = None;
    let text = words(&render(&failed));
    assert!(
        text.contains("Failed after 0 of 180 rounds: fewer than 4 clients came"),
        "{text}"
    );
    assert!(text.contains("Nothing to draw"), "{text}");
    let mut single = run();
    single.training.rounds_planned = 1;
    single.training.rounds_done = 1;
    single.curve.truncate(1);
    assert!(words(&render(&single)).contains(": 1 of 1 round."));
}

#[test]
fn a_loss_that_is_not_a_number_is_said_and_leaves_a_gap() {
    let mut broken = run();
    broken.curve[9].loss = Some(f64::NAN);
    if let Some(results) = &mut broken.results {
        results.overall = lossless();
    }
    let page = render(&broken);
    assert!(!page.contains("NaN"));
    let text = words(&page);
    assert!(
        text.contains("In 1 of these rounds it wasn&#39;t a number"),
        "{text}"
    );
    assert!(text.contains("not a number"), "{text}");
}

#[test]
fn an_exhausted_budget_is_an_ordinary_ending() {
    let mut exhausted = run();
    exhausted.ending = Ending::BudgetExhausted;
    exhausted.training.rounds_done = 57;
    let text = words(&render(&exhausted));
    assert!(
        text.contains("Budget exhausted after 57 of 180 rounds"),
        "{text}"
    );
}

#[test]
fn a_summary_survives_json_even_with_a_loss_that_is_not_a_number() {
    let json = |run: &RunSummary| serde_json::to_string(run).expect("JSON");
    let back = |text: &str| serde_json::from_str::<RunSummary>(text).expect("a summary");
    assert_eq!(back(&json(&run())), run());
    let mut broken = run();
    if let Some(results) = &mut broken.results {
        results.overall = lossless();
    }
    let found = back(&json(&broken)).results.expect("results").overall;
    assert!(found.loss().is_nan());
}

#[test]
fn a_report_is_written_and_a_place_where_it_cannot_be_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("report.html");
    write(&run(), &path).expect("writable");
    assert_eq!(
        std::fs::read_to_string(&path).expect("readable"),
        render(&run())
    );
    let nowhere = folder.path().join("no/report.html");
    let message = write(&run(), &nowhere).expect_err("no folder").to_string();
    assert!(
        message.starts_with(&format!("can't write {}", nowhere.display())),
        "{message}"
    );
}

#[test]
fn the_closing_table_says_the_verdict_before_its_heads_and_not_between_its_rows() {
    let verdict = "No better than always answering \"good\".";
    let judgement = serde_json::json!({ "per_class": [], "verdict": verdict });
    let mut run = run();
    let results = run.results.as_mut().unwrap();
    results.judgement = Some(serde_json::from_value(judgement).unwrap());
    let table = run_report::RunReport::new(run, "runs/test".into()).table();
    let place = |words: &str| {
        table
            .find(words)
            .unwrap_or_else(|| panic!("{words}: {table}"))
    };
    assert!(place(verdict) < place("macro-F1"), "{table}");
    let after_heads = table[place("macro-F1")..].lines().nth(1).unwrap();
    assert!(after_heads.starts_with("overall"), "{table}");
}

#[test]
fn a_report_of_another_task_shows_its_own_scores_and_no_other() {
    let mut several = run();
    let results = several.results.as_mut().expect("results");
    results.overall = Scores::MultiLabel(SeveralLabelScores {
        micro_f1: 0.876,
        macro_f1: 0.765,
        exact_match: 0.654,
        loss: 0.123,
        examples: 3882,
    });
    results.files.clear();
    for point in &mut several.curve {
        point.micro_f1 = point.accuracy.take();
    }
    let page = render(&several);
    for shown in [
        "Micro-F1",
        "0.876",
        "0.765",
        "0.654",
        "binary cross-entropy",
    ] {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(!page.contains("Accuracy after"));
    let results = several.results.as_mut().expect("results");
    results.overall = Scores::Regression(ValueScores {
        rmse: 1.234,
        mae: 0.987,
        r2: None,
        loss: 0.345,
        examples: 3882,
    });
    for point in &mut several.curve {
        point.rmse = point.micro_f1.take();
    }
    let page = render(&several);
    for shown in ["RMSE", "1.234", "0.987", "squared error"] {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(!page.contains("Micro-F1"));
}
