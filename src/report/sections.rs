//! The sections of a report below its first lines.

use umbel_privacy::unit::PrivacyUnit;

use super::figures::{self, NONE};
use super::html::Html;
use super::run_summary::{ClientSummary, CurvePoint, Ending, RunSummary, Scores};
use super::svg::{Chart, line_chart};

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
    };
    let word = Html::with("strong", &[("class", class)], word);
    Html::with("p", &[("class", "ending")], [word, Html::text(&rest)])
}

/// The few numbers that everybody asks for.
pub(super) fn tiles(run: &RunSummary) -> Html {
    let privacy = &run.privacy;
    let overall = run.results.as_ref().map(|r| &r.overall);
    let score = |of: fn(&Scores) -> f64| overall.map_or(NONE.into(), |s| figures::score(of(s)));
    let rows = overall.map_or("not evaluated".into(), |s| {
        format!("on {} public rows", figures::count(s.examples as u64))
    });
    let tiles = [
        tile("Accuracy", &score(|s| s.accuracy), &rows),
        tile("Macro-F1", &score(|s| s.macro_f1), &rows),
        match privacy.epsilon_spent {
            Some(epsilon) => tile("Epsilon", &figures::epsilon(epsilon), &epsilon_note(run)),
            None => tile("Epsilon", NONE, "no privacy"),
        },
        tile(
            "Delta",
            &privacy.delta.map_or(NONE.into(), figures::parameter),
            &format!("unit: {}", privacy.unit),
        ),
        tile(
            "Time",
            &figures::duration(run.seconds),
            &run.training.device,
        ),
        tile(
            "Bytes moved",
            &figures::bytes(run.traffic.bytes_up.saturating_add(run.traffic.bytes_down)),
            &format!(
                "{} up, {} down",
                figures::bytes(run.traffic.bytes_up),
                figures::bytes(run.traffic.bytes_down)
            ),
        ),
    ];
    Html::with("dl", &[("class", "tiles")], tiles)
}

fn tile(name: &str, value: &str, note: &str) -> Html {
    let value = [Html::text(value), Html::element("small", note)];
    Html::element(
        "div",
        [Html::element("dt", name), Html::element("dd", value)],
    )
}

fn epsilon_note(run: &RunSummary) -> String {
    let budget = run.privacy.epsilon_budget.map(figures::parameter);
    let budget = budget.map_or(String::new(), |budget| format!("of {budget}, "));
    format!("{budget}{}", run.privacy.adjacency)
}

/// Scores overall and by file.
pub(super) fn results(run: &RunSummary) -> Html {
    let Some(results) = &run.results else {
        return section(
            "Results",
            Html::element(
                "p",
                "The model wasn't evaluated: the configuration names no public files.",
            ),
        );
    };
    let row = |class: &'static str, name: &str, scores: &Scores| {
        let cells = [
            Html::with("th", &[("scope", "row")], name),
            number(figures::score(scores.accuracy)),
            number(figures::score(scores.macro_f1)),
            number(figures::score(scores.loss)),
            number(figures::count(scores.examples as u64)),
        ];
        Html::with("tr", &[("class", class)], cells)
    };
    let files = results
        .files
        .iter()
        .map(|file| row("file", &file.name, &file.scores));
    let rows = std::iter::once(row("total", "all rows", &results.overall)).chain(files);
    let heads = [
        ("rows of", false),
        ("accuracy", true),
        ("macro-F1", true),
        ("loss (nats)", true),
        ("rows", true),
    ];
    let caption = "The final model on public files.";
    section("Results", table(caption, &heads, rows.collect()))
}

/// Loss, accuracy and epsilon over rounds.
pub(super) fn curves(run: &RunSummary) -> Html {
    let series = |of: fn(&CurvePoint) -> Option<f64>| -> Vec<(u32, f64)> {
        run.curve
            .iter()
            .filter_map(|p| Some((p.round, of(p)?)))
            .collect()
    };
    let (loss, accuracy) = (series(|p| p.loss), series(|p| p.accuracy));
    let epsilon = series(|p| p.epsilon);
    let adjacency = format!("epsilon spent on the data set ({})", run.privacy.adjacency);
    let mut figures = vec![
        figure(
            "Loss",
            "mean cross-entropy on public rows, in nats",
            &Chart {
                title: "Loss after each evaluated round",
                points: &loss,
                limit: None,
                include: &[],
                most: None,
                write: figures::score,
            },
        ),
        figure(
            "Accuracy",
            "share of public rows classified correctly",
            &Chart {
                title: "Accuracy after each evaluated round",
                points: &accuracy,
                limit: None,
                include: &[],
                most: Some(1.0),
                write: figures::score,
            },
        ),
    ];
    if run.privacy.unit != PrivacyUnit::None {
        let budget = run.privacy.epsilon_budget;
        figures.push(figure(
            "Epsilon",
            &adjacency,
            &Chart {
                title: "Epsilon spent after each round",
                points: &epsilon,
                limit: budget.map(|b| (b, format!("budget {}", figures::parameter(b)))),
                include: &[0.0],
                most: None,
                write: figures::epsilon,
            },
        ));
    }
    let charts = Html::with(
        "div",
        &[("class", "charts")],
        figures.into_iter().collect::<Html>(),
    );
    section("Curves", [charts, curve_table(&run.curve)])
}

fn figure(name: &str, caption: &str, chart: &Chart<'_>) -> Html {
    let drawn = line_chart(chart)
        .unwrap_or_else(|| Html::element("p", "Nothing to draw: no round has a value here."));
    let undrawn = chart.points.iter().filter(|(_, y)| !y.is_finite()).count();
    let gaps = match undrawn {
        0 => Html::default(),
        n => Html::element(
            "p",
            format!("In {n} of these rounds it wasn't a number; the line has gaps there."),
        ),
    };
    let heading = Html::element("h3", name);
    Html::element(
        "figure",
        [
            Html::element("figcaption", [heading, Html::text(caption)]),
            drawn,
            gaps,
        ],
    )
}

/// The same numbers for those who can't see the charts, or want to copy them.
fn curve_table(curve: &[CurvePoint]) -> Html {
    let cell =
        |value: Option<f64>, write: fn(f64) -> String| number(value.map_or(NONE.into(), write));
    let row = |p: &CurvePoint| {
        let cells = [
            number(figures::count(p.round)),
            cell(p.loss, figures::score),
            cell(p.accuracy, figures::score),
            cell(p.epsilon, figures::epsilon),
        ];
        Html::element("tr", cells)
    };
    let heads = [
        ("round", true),
        ("loss", true),
        ("accuracy", true),
        ("epsilon", true),
    ];
    let table = table("Every round.", &heads, curve.iter().map(row).collect());
    if curve.is_empty() {
        return Html::default();
    }
    Html::element(
        "details",
        [Html::element("summary", "The curves as a table"), table],
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
    let table = table("Everybody whom the configuration names.", &heads, rows);
    section("Who took part", [table, connections.collect()])
}

/// The numbers behind the guarantee.
pub(super) fn privacy_parameters(run: &RunSummary) -> Html {
    let p = &run.privacy;
    let mut rows = vec![("unit", p.unit.to_string())];
    if p.unit != PrivacyUnit::None {
        let maybe = |value: Option<f64>| value.map_or(NONE.into(), figures::parameter);
        rows.extend(
            p.group_column
                .clone()
                .map(|column| ("group column", column)),
        );
        rows.extend(
            p.rows_per_group
                .map(|rows| ("rows of one group, at most", figures::count(rows as u64))),
        );
        rows.extend([
            ("adjacency", p.adjacency.to_string()),
            ("noise", p.placement.to_string()),
            (
                "epsilon spent",
                p.epsilon_spent.map_or(NONE.into(), |e| {
                    format!("{} ({})", figures::epsilon(e), p.adjacency)
                }),
            ),
            (
                "epsilon of the budget",
                p.epsilon_budget.map_or(NONE.into(), |e| {
                    format!("{} ({})", figures::parameter(e), p.adjacency)
                }),
            ),
            ("delta", maybe(p.delta)),
            ("noise multiplier", maybe(p.noise_multiplier)),
            ("clipping norm (L2)", maybe(p.clipping_norm)),
        ]);
    }
    rows.push((
        "sampling rate (Poisson)",
        figures::parameter(p.sampling_rate),
    ));
    if p.unit != PrivacyUnit::None && p.accounted_sampling_rate != p.sampling_rate {
        rows.push((
            "sampling rate for which amplification is claimed",
            figures::parameter(p.accounted_sampling_rate),
        ));
    }
    if p.unit != PrivacyUnit::None {
        rows.push(("noise draws in a round", figures::count(p.draws_per_round)));
    }
    let seeded = if p.seeded {
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

fn parameters(caption: &str, rows: Vec<(&str, String)>) -> Html {
    let row = |(name, value): (&str, String)| {
        Html::element(
            "tr",
            [
                Html::with("th", &[("scope", "row")], name),
                Html::element("td", value),
            ],
        )
    };
    let body: Html = rows.into_iter().map(row).collect();
    let content = [
        Html::element("caption", caption),
        Html::element("tbody", body),
    ];
    scrolled(Html::with("table", &[("class", "parameters")], content))
}

/// How to check what this page says, without believing the software that wrote it.
pub(super) fn verification(run: &RunSummary) -> Html {
    let hash = |hash: &str| Html::with("code", &[("class", "hash")], hash);
    let mut steps = Vec::new();
    if let Some(model) = &run.model_hash {
        steps.push(Html::from([
            Html::text("The model is the one that this page speaks of if the SHA-256 of "),
            Html::element("code", "model/model.safetensors"),
            Html::text(" is "),
            hash(model),
            Html::text("."),
        ]));
    }
    if let Some(head) = &run.ledger_head {
        steps.push(Html::from([
            Html::text("Each entry of the ledger holds the hash of the one before, and the last one's was "),
            hash(head),
            Html::text(" when this page was written. An entry that was changed or removed since breaks that chain."),
        ]));
    }
    if let Some(command) = &run.account_command {
        steps.push(Html::from([
            Html::text("Epsilon of this run alone follows from the parameters above:"),
            Html::element("pre", Html::element("code", command)),
        ]));
    }
    steps.extend(independent_accountant(run));
    let steps: Html = steps
        .into_iter()
        .map(|step| Html::element("li", step))
        .collect();
    if steps.is_empty() {
        return section(
            "How to verify",
            Html::element("p", "This run left neither a model nor a ledger to check."),
        );
    }
    section("How to verify", Html::element("ol", steps))
}

/// The same computation by another project's accountant.
fn independent_accountant(run: &RunSummary) -> Option<Html> {
    let p = &run.privacy;
    let comparable = p.adjacency == umbel_privacy::unit::Adjacency::AddOrRemove;
    let (sigma, delta) = (p.noise_multiplier?, p.delta?);
    if p.unit == PrivacyUnit::None || !comparable {
        return None;
    }
    let draws = u64::from(run.training.rounds_done).saturating_mul(u64::from(p.draws_per_round));
    // `{:?}` writes the shortest digits that read back as the same number.
    let code = format!(
        "import dp_accounting\n\
         from dp_accounting import rdp\n\n\
         noise = dp_accounting.GaussianDpEvent({sigma:?})\n\
         draw = dp_accounting.PoissonSampledDpEvent({:?}, noise)\n\
         accountant = rdp.RdpAccountant()\n\
         accountant.compose(draw, {draws})\n\
         print(accountant.get_epsilon({delta:?}))",
        p.accounted_sampling_rate
    );
    Some(Html::from([
        Html::text("So it does with an accountant of other makers, Google's "),
        Html::element("code", "dp_accounting"),
        Html::text(" for Python:"),
        Html::element("pre", Html::element("code", code)),
    ]))
}

fn section(heading: &str, content: impl Into<Html>) -> Html {
    Html::element("section", [Html::element("h2", heading), content.into()])
}

fn number(text: String) -> Html {
    Html::with("td", &[("class", "number")], text)
}

/// A table with a head; the flag says whether a column holds numbers.
fn table(caption: &str, heads: &[(&str, bool)], rows: Html) -> Html {
    let head = |(name, numeric): &(&str, bool)| {
        let class = if *numeric { "number" } else { "words" };
        Html::with("th", &[("scope", "col"), ("class", class)], *name)
    };
    let heads: Html = heads.iter().map(head).collect();
    let content = [
        Html::element("caption", caption),
        Html::element("thead", Html::element("tr", heads)),
        Html::element("tbody", rows),
    ];
    scrolled(Html::element("table", content))
}

fn scrolled(table: Html) -> Html {
    Html::with("div", &[("class", "scroll")], table)
}
