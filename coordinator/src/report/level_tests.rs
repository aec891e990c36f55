//! Colour, words and numbers follow epsilon, delta, unit and trust.

use umbel_privacy::unit::NoisePlacement;

use super::report_tests::{promise, run, words};
use super::*;

/// A run with this epsilon and this delta, by as much noise as that takes to be so.
fn of(epsilon: f64, delta: f64, units: Option<u64>) -> RunSummary {
    let mut run = run();
    let promised = promise(&mut run);
    promised.epsilon_spent = epsilon;
    promised.epsilon_budget = epsilon;
    promised.delta = delta;
    promised.units = units;
    run.strength = Strength::of(&run.privacy);
    run
}

/// The class of the headline's frame, and the headline.
fn headline(run: &RunSummary) -> (String, String) {
    let page = render(run);
    let class = page.split("class=\"protection ").nth(1).expect("a frame");
    let class = class.split('"').next().expect("a class").to_owned();
    (class, Statement::of_run(run).headline)
}

#[test]
fn the_headline_follows_epsilon() {
    let units = Some(10_000);
    for (epsilon, class, words) in [
        (0.5, "strong", "Strong protection of whether any one row"),
        (1.0, "strong", "Strong protection"),
        (
            1.01,
            "moderate",
            "Moderate protection of whether any one row",
        ),
        (8.0, "moderate", "Moderate protection"),
        (10.0, "moderate", "Moderate protection"),
        (
            10.01,
            "nobody",
            "Weak protection: epsilon is 10.01 for one row",
        ),
        (
            500.0,
            "nobody",
            "Weak protection: epsilon is 500.00 for one row",
        ),
        (f64::INFINITY, "nobody", "No epsilon is recorded"),
    ] {
        let (found, said) = headline(&of(epsilon, 1e-5, units));
        assert_eq!(found, class, "{epsilon}");
        assert!(said.starts_with(words), "{epsilon}: {said}");
    }
}

#[test]
fn an_epsilon_that_limits_nothing_is_not_called_a_limit() {
    let text = Statement::of_run(&of(500.0, 1e-5, Some(10_000)))
        .lines()
        .join(" ");
    assert!(
        text.contains("more than a million times as likely"),
        "{text}"
    );
    assert!(!text.contains("at most more"), "{text}");
}

#[test]
fn the_headline_names_whom_one_has_to_trust() {
    let mut run = of(8.0, 1e-5, Some(10_000));
    assert!(
        headline(&run)
            .1
            .ends_with("but the coordinator, which is trusted.")
    );
    promise(&mut run).placement = NoisePlacement::Local;
    assert!(headline(&run).1.ends_with("the coordinator included."));
}

#[test]
fn delta_is_held_against_the_number_of_units() {
    let (class, said) = headline(&of(0.5, 1e-3, Some(1_000)));
    assert_eq!(class, "nobody");
    assert!(
        said.contains("delta is 0.001") && said.contains("may leak whole"),
        "{said}"
    );
    let text = words(&render(&of(0.5, 1e-3, Some(1_000))));
    assert!(
        text.contains("too large: not below one over the number of units (about 1,000)"),
        "{text}"
    );
    // Just below it.
    assert_eq!(headline(&of(0.5, 0.999e-3, Some(1_000))).0, "strong");
    // Where nobody knows the number, delta is red and nothing is green.
    let unknown = of(0.5, 1e-5, None);
    assert_eq!(headline(&unknown).0, "moderate");
    let page = render(&unknown);
    assert!(
        page.contains("<div class=\"nobody\"><dt>Delta</dt>"),
        "{page}"
    );
    assert!(words(&page).contains("privacy.units"));
    let known = render(&of(0.5, 1e-5, Some(10_000)));
    assert!(known.contains("<div class=\"plain\"><dt>Delta</dt>"));
    assert!(
        words(&known).contains("10.0 % of one over the number of units (about 10,000)"),
        "{}",
        words(&known)
    );
}

#[test]
fn an_attacker_is_bounded_by_the_mechanism_that_ran() {
    let run = run();
    let strength = run.strength.as_ref().expect("a bound");
    assert_eq!(strength.basis, Basis::Mechanism);
    // Epsilon 8 alone would let an attacker find next to everybody.
    assert!(
        (0.15..0.3).contains(&strength.true_positives),
        "{strength:?}"
    );
    assert!(
        strength.mu.is_some_and(|mu| (1.0..3.0).contains(&mu)),
        "{strength:?}"
    );
    let rising = strength.curve.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
    assert!(
        rising && strength.curve.iter().all(|(rate, hits)| hits >= rate),
        "{strength:?}"
    );
    let page = render(&run);
    let text = words(&page);
    let hits = figures::share(strength.true_positives);
    assert!(
        text.contains(&format!(
            "found where 1 % are wrongly suspected at most {hits}"
        )),
        "{text}"
    );
    assert!(
        page.contains("class=\"guess\""),
        "the curve is drawn beside guessing"
    );
}

#[test]
fn where_more_was_spent_than_by_this_mechanism_epsilon_and_delta_bound_an_attacker() {
    let mut several = run();
    promise(&mut several).spans_runs = true;
    let mut inherited = run();
    // The base model's lineage cost something on the same rows.
    let spent = promise(&mut inherited);
    (spent.epsilon_spent, spent.epsilon_budget) = (30.0, 30.0);
    for mut run in [several, inherited] {
        run.strength = Strength::of(&run.privacy);
        let strength = run.strength.as_ref().expect("a bound");
        assert_eq!(strength.basis, Basis::EpsilonAndDelta);
        assert!(strength.true_positives > 0.99, "{strength:?}");
        let text = words(&render(&run));
        assert!(
            text.contains("follows from epsilon and delta alone"),
            "{text}"
        );
    }
}

#[test]
fn purpose_lineage_and_lines_to_sign_on_are_there() {
    let text = words(&render(&run()));
    for words in [
        "Purpose Sort letters by their tone",
        "Organisation Four newspapers",
        "Contact privacy@newspapers.example",
        "first-20260101-120000 unit record, data set letters",
        "Responsible for the run name date and place signature",
        "Privacy officer",
        "NIST SP 800-226",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let mut unknown = run();
    unknown.base.ancestors.clear();
    unknown.about = About::default();
    let text = words(&render(&unknown));
    assert!(
        text.contains("not known here: it has no certificate"),
        "{text}"
    );
    assert!(!text.contains("Purpose"), "{text}");
}

#[test]
fn headings_go_down_one_step_at_a_time() {
    let page = render(&run());
    let mut level = 0;
    for piece in page.split("<h").skip(1) {
        let Some(next) = piece.chars().next().and_then(|c| c.to_digit(10)) else {
            continue;
        };
        assert!(next <= level + 1, "{level} then {next}: {}", &piece[..40]);
        level = next;
    }
    for part in [
        "<h2>Unit and epsilon</h2>",
        "<h2>Algorithm, utility and bias</h2>",
        "<h2>Trust model, security and data collection</h2>",
    ] {
        assert!(page.contains(part), "{part}");
    }
}
