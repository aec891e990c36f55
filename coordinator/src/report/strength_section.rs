//! The section that says what epsilon and delta leave to an attacker.

use super::figures::{self, NONE};
use super::html::Html;
use super::layout::{parameters, part, section};
use super::level::{AgainstUnits, MODERATE, STRONG};
use super::run_summary::{PromiseSummary, RunSummary};
use super::strength::{Basis, Strength};
use super::trade_off_chart::trade_off_chart;

const HEADING: &str = "What is left to an attacker";

/// The section of a part; nothing where nothing is guaranteed.
pub(super) fn section_of(run: &RunSummary) -> Html {
    content(run).map_or_else(Html::default, |content| section(HEADING, content))
}

/// The same as a part of a page of its own.
pub(super) fn part_of(run: &RunSummary) -> Html {
    content(run).map_or_else(Html::default, |content| part(HEADING, content))
}

fn content(run: &RunSummary) -> Option<Html> {
    let promise = run.privacy.promise.as_ref()?;
    let strength = run.strength.as_ref().filter(|_| run.leaves_a_model())?;
    let words = format!(
        "The attacker knows every unit but one, sees everything that was released, and guesses \
         whether that one was there. No attack does better than the curve{}.",
        match strength.basis {
            Basis::Mechanism =>
                ", which is computed from the very mechanism that ran, all rounds together",
            Basis::EpsilonAndDelta =>
                ", which follows from epsilon and delta alone, since more than this run's own \
                 mechanism counts; the truth is likely to be better",
        }
    );
    let figure = Html::with(
        "figure",
        &[("class", "trade-off")],
        [
            Html::element(
                "figcaption",
                [
                    Html::element("h4", "Found, at most"),
                    Html::text(
                        "share of those who were there that are found, by the share of those who \
                         weren't and are suspected all the same",
                    ),
                ],
            ),
            trade_off_chart(strength),
        ],
    );
    let table = parameters("What epsilon and delta come to.", rows(promise, strength));
    let tiers = format!(
        "Strong is an epsilon of at most {STRONG}, moderate one of at most {MODERATE}; above that a \
         guarantee is weak (the tiers of Ponomareva et al. 2023, How to DP-fy ML, section 5.2). \
         Whatever epsilon is, a delta that isn't below 1 / (number of units) is weak: it allows that \
         one unit leaks whole."
    );
    Some(Html::from([
        Html::element("p", words),
        Html::with("div", &[("class", "strength")], [figure, table]),
        Html::element("p", tiers),
    ]))
}

fn rows(promise: &PromiseSummary, strength: &Strength) -> Vec<(&'static str, String)> {
    vec![
        (
            "found where 1 % are wrongly suspected",
            format!("at most {}", figures::share(strength.true_positives)),
        ),
        (
            "Gaussian differential privacy, μ",
            strength.mu.map_or(NONE.into(), |mu| {
                format!(
                    "{} (as easy to attack as a Gaussian mechanism of this μ, from 0.01 % wrongly \
                     suspected)",
                    figures::epsilon(mu)
                )
            }),
        ),
        ("delta against the number of units", against_units(promise)),
    ]
}

/// Delta times the number of units, in words.
pub(super) fn against_units(promise: &PromiseSummary) -> String {
    let (delta, Some(units)) = (promise.delta, promise.units) else {
        return "not known: nobody said about how many units there are (privacy.units)".into();
    };
    let about = figures::count(units);
    match AgainstUnits::of(promise) {
        AgainstUnits::Below => format!(
            "{} of one over the number of units (about {about})",
            figures::share(delta * units as f64)
        ),
        _ => format!("too large: not below one over the number of units (about {about})"),
    }
}
