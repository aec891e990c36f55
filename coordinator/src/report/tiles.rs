//! The few numbers below a report's headline.

use super::by_task;
use super::figures::{self, NONE};
use super::html::Html;
use super::level::{AgainstUnits, Level};
use super::protection::Statement;
use super::run_summary::{PromiseSummary, RunSummary};

/// The few numbers that everybody asks for.
pub(super) fn tiles(run: &RunSummary) -> Html {
    let promise = run.privacy.promise.as_ref();
    let overall = run.results.as_ref().map(|r| &r.overall);
    let rows = overall.map_or("not evaluated".into(), |s| {
        format!("on {} public rows", figures::count(s.examples() as u64))
    });
    let telling = by_task::tiles(overall);
    let telling = telling.iter().map(|(name, value)| tile(name, value, &rows));
    let mut tiles: Vec<Html> = telling.collect();
    tiles.extend([
        match promise {
            Some(promise) => toned(
                epsilon_tone(run),
                tile_parts(
                    "Epsilon",
                    &figures::epsilon(promise.epsilon_spent),
                    &epsilon_note(promise),
                ),
            ),
            None => tile("Epsilon", NONE, "no privacy"),
        },
        match promise {
            Some(promise) => delta_tile(promise),
            None => tile("Delta", NONE, "no privacy"),
        },
        match run.virtual_time.is_empty() {
            true => tile(
                "Time",
                &figures::duration(run.seconds),
                &run.training.device,
            ),
            false => tile(
                "Virtual time",
                &figures::duration(run.seconds),
                "[simulation]",
            ),
        },
    ]);
    tiles.extend(run.traffic.as_ref().map(|traffic| {
        let (up, down) = (traffic.bytes_up, traffic.bytes_down);
        let note = format!("{} up, {} down", figures::bytes(up), figures::bytes(down));
        tile(
            "Bytes moved",
            &figures::bytes(up.saturating_add(down)),
            &note,
        )
    }));
    Html::with(
        "dl",
        &[("class", "tiles")],
        tiles.into_iter().collect::<Html>(),
    )
}

fn tile(name: &str, value: &str, note: &str) -> Html {
    Html::element("div", tile_parts(name, value, note))
}

fn tile_parts(name: &str, value: &str, note: &str) -> Html {
    let value = [Html::text(value), Html::element("small", note)];
    [Html::element("dt", name), Html::element("dd", value)].into()
}

/// A tile whose colour says something, too.
fn toned(tone: &str, parts: Html) -> Html {
    Html::with("div", &[("class", tone)], parts)
}

/// The colour of epsilon: that of the page's headline.
fn epsilon_tone(run: &RunSummary) -> &'static str {
    match Statement::of_run(run).level {
        Level::Strong => "strong",
        Level::Moderate => "moderate",
        Level::Weak | Level::Nobody => "nobody",
    }
}

/// Delta, beside one over the number of units.
fn delta_tile(promise: &PromiseSummary) -> Html {
    let (tone, note) = match (AgainstUnits::of(promise), promise.units) {
        (AgainstUnits::Below, Some(units)) => (
            "plain",
            format!("below 1 / {} units", figures::count(units)),
        ),
        (AgainstUnits::TooLarge, Some(units)) => (
            "nobody",
            format!("too large: not below 1 / {} units", figures::count(units)),
        ),
        _ => ("nobody", "number of units not known".into()),
    };
    let note = format!("{note}; unit: {}", promise.unit);
    let delta = figures::parameter(promise.delta);
    toned(tone, tile_parts("Delta", &delta, &note))
}

fn epsilon_note(promise: &PromiseSummary) -> String {
    let budget = figures::parameter(promise.epsilon_budget);
    let several = match promise.spans_runs {
        true => ", spent by several runs: only the budget is a guarantee",
        false => "",
    };
    format!("of {budget}, {}{several}", promise.adjacency)
}
