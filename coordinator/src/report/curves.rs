//! A report's curves over rounds, drawn and as a table.

use super::by_task::{self, ScoreCurve};
use super::figures::{self, NONE};
use super::html::Html;
use super::layout::{number, section, table};
use super::run_summary::{CurvePoint, RunSummary};
use super::svg::{Chart, line_chart};

/// Loss, a score and epsilon over rounds.
pub(super) fn curves(run: &RunSummary) -> Html {
    let series = |of: fn(&CurvePoint) -> Option<f64>| -> Vec<(u32, f64)> {
        run.curve
            .iter()
            .filter_map(|p| Some((p.round, of(p)?)))
            .collect()
    };
    let calibrated = series(|p| p.calibrated_loss);
    let (caption, loss) = match calibrated.is_empty() {
        true => (by_task::loss_caption(run), series(|p| p.loss)),
        false => (
            "mean cross-entropy on half of the public rows, in nats, at each round's temperature \
             fitted on the other half",
            calibrated,
        ),
    };
    let score = ScoreCurve::of(run);
    let scores = series(score.value);
    let epsilon = series(|p| p.epsilon);
    let mut figures = vec![
        figure(
            "Loss",
            caption,
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
            score.name,
            score.caption,
            &Chart {
                title: score.title,
                points: &scores,
                limit: None,
                include: &[],
                most: score.most,
                write: figures::score,
            },
        ),
    ];
    if let Some(promise) = &run.privacy.promise {
        let (budget, adjacency) = (promise.epsilon_budget, promise.adjacency);
        figures.push(figure(
            "Epsilon",
            &format!("epsilon spent on the data set ({adjacency})"),
            &Chart {
                title: "Epsilon spent after each round",
                points: &epsilon,
                limit: Some((budget, format!("budget {}", figures::parameter(budget)))),
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
    section("Curves", [charts, curve_table(&run.curve, &score)])
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
    let heading = Html::element("h4", name);
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
fn curve_table(curve: &[CurvePoint], score: &ScoreCurve) -> Html {
    let cell =
        |value: Option<f64>, write: fn(f64) -> String| number(value.map_or(NONE.into(), write));
    let row = |p: &CurvePoint| {
        let cells = [
            number(figures::count(p.round)),
            cell(p.loss, figures::score),
            cell(p.calibrated_loss, figures::score),
            cell((score.value)(p), figures::score),
            cell(p.epsilon, figures::epsilon),
        ];
        Html::element("tr", cells)
    };
    let heads = [
        ("round", true),
        ("loss", true),
        ("loss, calibrated", true),
        (score.head, true),
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
