//! The sections of a report below its first lines.

use umbel_privacy::unit::PrivacyUnit;
use umbel_privacy::unit_word::UnitWord;
use umbel_proto::message;

use super::figures::{self, NONE};
use super::html::Html;
use super::judging;
use super::layout::{number, parameters, section, table};
use super::run_summary::{AbsenceSummary, ClientSummary, Ending, PromiseSummary, RunSummary};
use crate::observe::scores::Scores;

/// How the run ended.
pub(super) fn ending(run: &RunSummary) -> Html {
    let done = format!(
        "{} of {}",
        figures::count(run.training.rounds_done),
        figures::counted(run.training.rounds_planned, "round")
    );
    let (class, word, rest) = match &run.ending {
        Ending::Complete => ("done", "Complete", format!(": {done}.")),
        Ending::BudgetExhausted => (
            "done",
            "Budget exhausted",
            format!(
                " after {done}: one more would have cost more epsilon than there is. This is an \
                 ordinary ending, and the model is that of the last round that fitted."
            ),
        ),
        Ending::Failed { reason } => ("stopped", "Failed", format!(" after {done}: {reason}")),
        Ending::Diverged { round, kept } => (
            "stopped",
            "Diverged",
            format!(
                " after {done}: {}. {}",
                message::Ending::divergence(*round),
                Ending::kept(*kept)
            ),
        ),
        Ending::Stopped => (
            "done",
            "Stopped early",
            format!(" after {done}, by whoever conducted it."),
        ),
    };
    let word = Html::with("strong", &[("class", class)], word);
    Html::with("p", &[("class", "ending")], [word, Html::text(&rest)])
}

/// Scores overall and by file.
pub(super) fn results(run: &RunSummary) -> Html {
    let Some(results) = &run.results else {
        return section(
            "Results",
            Html::element("p", "The model wasn't evaluated on any public file."),
        );
    };
    let row = |class: &'static str, name: &str, scores: &Scores| {
        let values = scores.all().into_iter().map(|score| score.value);
        let numbers = values.chain([Some(scores.loss())]);
        let numbers = numbers.map(|value| number(value.map_or(NONE.into(), figures::score)));
        let head = Html::with("th", &[("scope", "row")], name);
        let rows = number(figures::count(scores.examples() as u64));
        let cells: Html = [head].into_iter().chain(numbers).chain([rows]).collect();
        Html::with("tr", &[("class", class)], cells)
    };
    let files = results
        .files
        .iter()
        .map(|file| row("file", &file.name, &file.scores));
    let rows = std::iter::once(row("total", "all rows", &results.overall)).chain(files);
    let loss = format!("loss ({})", results.overall.loss_unit());
    let mut heads = vec![("rows of", false)];
    heads.extend(results.overall.all().iter().map(|score| (score.name, true)));
    heads.extend([(loss.as_str(), true), ("rows", true)]);
    let caption = "The final model on public files.";
    let scores = table(caption, &heads, rows.collect());
    let judgement = results.judgement.as_ref();
    section(
        "Results",
        [
            judgement.map_or(Html::default(), judging::verdict),
            scores,
            judgement.map_or(Html::default(), judging::details),
        ],
    )
}

/// Who took part, who was left out and why.
pub(super) fn clients(run: &RunSummary) -> Html {
    let row = |client: &ClientSummary| {
        let fate = client
            .left_out_reason
            .as_deref()
            .map(|reason| format!("left out: {reason}"));
        let cells = [
            Html::with("th", &[("scope", "row")], &client.name),
            number(format!(
                "{} of {}",
                figures::count(client.rounds_taken_part),
                figures::count(run.training.rounds_done)
            )),
            number(figures::count(client.refused_updates)),
            Html::element("td", fate.as_deref().unwrap_or("stayed to the end")),
        ];
        Html::element("tr", cells)
    };
    let heads = [
        ("client", false),
        ("rounds taken part in", true),
        ("updates refused", true),
        ("fate", false),
    ];
    let rows = run.clients.iter().map(row).collect();
    let connections = run.connections.iter().map(|line| Html::element("p", line));
    if run.privacy.unit() == Some(PrivacyUnit::Client) {
        let hidden = Html::element(
            "p",
            "Who took part, and how often, is what this run hides, so it isn't shown here.",
        );
        return section("Who took part", [hidden, connections.collect()]);
    }
    let table = table("Everybody whom the configuration names.", &heads, rows);
    section(
        "Who took part",
        [table, absences(run), connections.collect()],
    )
}

/// Absences that the page lists; `metrics.jsonl` has all of them.
const ABSENCES_SHOWN: usize = 100;

/// Who gave nothing in which rounds, and why.
fn absences(run: &RunSummary) -> Html {
    if run.absences.is_empty() {
        return Html::default();
    }
    let row = |absence: &AbsenceSummary| {
        let rounds = match absence.from == absence.to {
            true => figures::count(absence.from),
            false => format!(
                "{} to {}",
                figures::count(absence.from),
                figures::count(absence.to)
            ),
        };
        let cells = [
            Html::with("th", &[("scope", "row")], &rounds),
            Html::element("td", &absence.client),
            Html::element("td", &absence.why),
        ];
        Html::element("tr", cells)
    };
    let heads = [
        ("rounds", false),
        ("client", false),
        ("gave nothing, since", false),
    ];
    let rows = run.absences.iter().take(ABSENCES_SHOWN).map(row).collect();
    let more = run.absences.len().saturating_sub(ABSENCES_SHOWN);
    let caption = match more {
        0 => "Whose update is missing, by round. Everybody else of the cohort gave one.".to_owned(),
        more => {
            format!("Whose update is missing, by round; metrics.jsonl has {more} more.")
        }
    };
    table(&caption, &heads, rows)
}

/// The numbers behind the guarantee.
pub(super) fn privacy_parameters(run: &RunSummary) -> Html {
    let privacy = &run.privacy;
    let mut rows = vec![("unit", UnitWord(privacy.unit()).to_string())];
    rows.extend(privacy.promise.iter().flat_map(promised));
    rows.push((
        "sampling rate (Poisson)",
        figures::parameter(privacy.sampling_rate),
    ));
    if let Some(promise) = &privacy.promise {
        if promise.accounted_sampling_rate != privacy.sampling_rate {
            rows.push((
                "sampling rate for which amplification is claimed",
                figures::parameter(promise.accounted_sampling_rate),
            ));
        }
        let each = figures::count(promise.draws_per_round);
        rows.push(("noise draws in a round", each));
        rows.push(("noise draws recorded", figures::count(promise.draws)));
    }
    let seeded = if privacy.seeded {
        "a seed: predictable"
    } else {
        "the operating system"
    };
    rows.push(("randomness", seeded.into()));
    section(
        "Privacy parameters",
        parameters("How the guarantee was made.", rows),
    )
}

/// A promise's numbers.
fn promised(p: &PromiseSummary) -> Vec<(&'static str, String)> {
    let count = |rows: usize| figures::count(rows as u64);
    let spent = figures::epsilon(p.epsilon_spent);
    let budget = figures::parameter(p.epsilon_budget);
    let threshold = p.clipping_threshold.map(figures::parameter);
    let optional = [
        ("group column", p.group_column.clone()),
        ("rows of one group, at most", p.rows_per_group.map(count)),
    ];
    let always = [
        ("adjacency", p.adjacency.to_string()),
        ("noise", p.placement.to_string()),
        ("epsilon spent", format!("{spent} ({})", p.adjacency)),
        (
            "epsilon of the budget",
            format!("{budget} ({})", p.adjacency),
        ),
        ("delta", figures::parameter(p.delta)),
        ("noise multiplier", figures::parameter(p.noise_multiplier)),
        ("clipping norm (L2)", figures::parameter(p.clipping_norm)),
    ];
    let adaptive = ("adaptive clipping: last threshold (L2)", threshold);
    let always = always.map(|(name, value)| (name, Some(value)));
    let all = optional.into_iter().chain(always).chain([adaptive]);
    all.filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// What was trained and how.
pub(super) fn training_parameters(run: &RunSummary) -> Html {
    let t = &run.training;
    let mut rows = vec![
        ("what clients sent", t.summed.to_string()),
        ("rounds planned", figures::count(t.rounds_planned)),
        ("base model", t.base_model.clone()),
        (
            "trained part",
            format!(
                "{} ({} parameters)",
                t.trainable,
                figures::count(t.trainable_parameters as u64)
            ),
        ),
        ("device", t.device.clone()),
    ];
    rows.extend(
        t.settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone())),
    );
    section(
        "Training parameters",
        parameters("What was trained and how.", rows),
    )
}
