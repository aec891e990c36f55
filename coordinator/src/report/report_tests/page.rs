//! What a report looks like, whatever came of its run.

use super::*;

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
    promise(&mut hostile).group_column = Some(evil.into());
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
