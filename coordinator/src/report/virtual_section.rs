//! The section of a report about virtual time.

use super::figures;
use super::html::Html;
use super::layout::{number, section, table};
use super::run_summary::{RunSummary, VirtualLine};

/// Rounds that the page lists; `metrics.jsonl` has all of them.
const ROUNDS_SHOWN: usize = 100;

/// When rounds closed, and who was missing; nothing of a run in the machine's own time.
pub(super) fn section_of(run: &RunSummary) -> Html {
    if run.virtual_time.is_empty() {
        return Html::default();
    }
    let row = |line: &VirtualLine| {
        let times = [line.opened, line.closed, line.closed - line.opened];
        let count = |count: Option<u64>| number(count.map_or("hidden".into(), figures::count));
        let cells: Html = [number(figures::count(line.round))]
            .into_iter()
            .chain(times.map(|seconds| number(figures::duration(seconds))))
            .chain([line.gave, line.late, line.busy, line.dropped, line.away].map(count))
            .collect();
        Html::element("tr", cells)
    };
    let heads = [
        ("round", true),
        ("opened", true),
        ("closed", true),
        ("took", true),
        ("updates", true),
        ("late", true),
        ("still busy", true),
        ("dropped out", true),
        ("away", true),
    ];
    let shown = run.virtual_time.iter().take(ROUNDS_SHOWN);
    let caption = match run.virtual_time.len() > ROUNDS_SHOWN {
        true => "The first rounds; metrics.jsonl has all of them.",
        false => "Every round, as in metrics.jsonl.",
    };
    let told = "All times of this run are virtual. How long clients took was drawn as its \
                configuration says ([simulation]), and computing took none of that time.";
    section(
        "Virtual time",
        [
            Html::element("p", told),
            table(caption, &heads, shown.map(row).collect()),
        ],
    )
}
