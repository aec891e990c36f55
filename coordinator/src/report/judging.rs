//! What a report says of the worth of its scores.

use super::figures::{self, NONE};
use super::html::Html;
use super::layout::{number, parameters, table};
use super::svg::reliability_chart;
use crate::observe::judgement::{Calibration, Judgement, PerClass};

/// Labels up to which tables by label are shown; [`Judgement`] in `result.json` has all.
const SHOWN: usize = 40;
/// Labels up to which the table of who is taken for whom is shown.
const CONFUSED: usize = 12;

/// What has to be said before any number.
pub(super) fn verdict(judgement: &Judgement) -> Html {
    let Some(verdict) = &judgement.verdict else {
        return Html::default();
    };
    let strong = Html::with("strong", &[("class", "stopped")], verdict.as_str());
    Html::with("p", &[("class", "ending")], strong)
}

/// All below the scores.
pub(super) fn details(judgement: &Judgement) -> Html {
    [
        beside(judgement),
        by_label(&judgement.per_class),
        confused(judgement),
        judgement
            .calibration
            .as_ref()
            .map_or(Html::default(), calibration),
    ]
    .into()
}

fn range((low, high): (f64, f64)) -> String {
    format!("{} to {}", figures::score(low), figures::score(high))
}

/// What the scores are to be compared with.
fn beside(judgement: &Judgement) -> Html {
    let mut rows = Vec::new();
    if let Some(of) = &judgement.intervals {
        rows.push(("accuracy, 95 % interval".to_owned(), range(of.accuracy)));
        rows.push(("macro-F1, 95 % interval".into(), range(of.macro_f1)));
    }
    for (name, of) in &judgement.file_intervals {
        let text = format!(
            "accuracy {}, macro-F1 {}",
            range(of.accuracy),
            range(of.macro_f1)
        );
        rows.push((format!("{name}, 95 % intervals"), text));
    }
    if let Some(area) = judgement.auc {
        rows.push(("area under the ROC curve".into(), figures::score(area)));
    }
    if let Some(majority) = &judgement.majority {
        let text = format!("accuracy {}", figures::score(majority.share));
        rows.push((format!("always answering {:?}", majority.label), text));
    }
    if let Some(fitted_on) = judgement.thresholds_fitted_on {
        let text = format!(
            "those with the best F1 on {} other public rows: no score is of a row that they were \
             fitted on",
            figures::count(fitted_on as u64)
        );
        rows.push(("thresholds of the labels".into(), text));
    }
    let words = match &judgement.bag_of_words {
        Some(words) => format!(
            "accuracy {}, macro-F1 {}, trained on {} public rows and scored on {} others, where \
             this model has {} and {}",
            figures::score(words.accuracy),
            figures::score(words.macro_f1),
            figures::count(words.trained_on as u64),
            figures::count(words.examples as u64),
            figures::score(words.model_accuracy),
            figures::score(words.model_macro_f1),
        ),
        None => "missing: there are too few public rows to train one on".into(),
    };
    // Only labels that exclude each other have probabilities of the kind that are calibrated, and a
    // simpler model to be beside.
    if judgement.calibration.is_some() {
        rows.push(("bag-of-words model".into(), words));
    }
    if rows.is_empty() {
        return Html::default();
    }
    let rows = rows
        .iter()
        .map(|(name, text)| (name.as_str(), text.clone()));
    let caption = "What to compare with. Intervals: percentile bootstrap, 1,000 samples.";
    parameters(caption, rows.collect())
}

fn by_label(per_class: &[PerClass]) -> Html {
    if per_class.len() > SHOWN {
        let text = format!(
            "The scores of the {} labels are in result.json.",
            per_class.len()
        );
        return Html::element("p", text);
    }
    if per_class.is_empty() {
        return Html::default();
    }
    // Where a text has any number of labels, each has its own threshold.
    let thresholds = per_class.iter().any(|class| class.threshold.is_some());
    let row = |class: &PerClass| {
        let threshold = class.threshold.map(|t| number(figures::score(t)));
        let cells = [
            Html::with("th", &[("scope", "row")], &class.label),
            number(figures::score(class.precision)),
            number(figures::score(class.recall)),
            number(figures::score(class.f1)),
            number(figures::count(class.examples as u64)),
        ];
        Html::element("tr", cells.into_iter().chain(threshold).collect::<Html>())
    };
    let mut heads = vec![
        ("label", false),
        ("precision", true),
        ("recall", true),
        ("F1", true),
        ("rows", true),
    ];
    if thresholds {
        heads.push(("threshold", true));
    }
    table(
        "Label by label.",
        &heads,
        per_class.iter().map(row).collect(),
    )
}

fn confused(judgement: &Judgement) -> Html {
    let labels: Vec<&str> = judgement
        .per_class
        .iter()
        .map(|c| c.label.as_str())
        .collect();
    let Some(counts) = judgement
        .confusion
        .as_ref()
        .filter(|_| labels.len() <= CONFUSED)
    else {
        return Html::default();
    };
    let row = |(label, counts): (&&str, &Vec<usize>)| {
        let head = Html::with("th", &[("scope", "row")], *label);
        let cells = counts.iter().map(|n| number(figures::count(*n as u64)));
        Html::element("tr", std::iter::once(head).chain(cells).collect::<Html>())
    };
    let heads = labels.iter().map(|label| (*label, true));
    let heads: Vec<(&str, bool)> = std::iter::once(("has the label", false))
        .chain(heads)
        .collect();
    let rows = labels.iter().zip(counts).map(row).collect();
    table(
        "Which labels (rows) were taken for which (columns).",
        &heads,
        rows,
    )
}

fn calibration(calibration: &Calibration) -> Html {
    let figure = |value: Option<f64>| value.map_or(NONE.to_owned(), figures::score);
    let before = calibration.before.as_ref();
    let (before_loss, before_ece) = (before.map(|b| b.loss), before.map(|b| b.ece));
    let mut rows = vec![
        (
            "temperature",
            calibration
                .temperature
                .map_or("none".to_owned(), figures::score),
        ),
        (
            "fitted on",
            format!(
                "{} public rows",
                figures::count(calibration.fitted_on as u64)
            ),
        ),
        (
            "judged on",
            format!("{} others", figures::count(calibration.examples as u64)),
        ),
        (
            "expected calibration error, 15 bins",
            match before {
                Some(_) => format!(
                    "{}; as trained {}",
                    figures::score(calibration.now.ece),
                    figure(before_ece)
                ),
                None => figures::score(calibration.now.ece),
            },
        ),
        (
            "loss (nats)",
            match before {
                Some(_) => format!(
                    "{}; as trained {}",
                    figures::score(calibration.now.loss),
                    figure(before_loss)
                ),
                None => figures::score(calibration.now.loss),
            },
        ),
    ];
    if let Some(note) = &calibration.note {
        rows.push(("note", note.clone()));
    }
    let points = |of: &crate::observe::judgement::Reliability| -> Vec<(f64, f64)> {
        let bins = of.bins.iter().filter(|bin| bin.examples > 0);
        bins.map(|bin| (bin.confidence, bin.accuracy)).collect()
    };
    let drawn = reliability_chart(&points(&calibration.now));
    let caption = [
        Html::element("h4", "Reliability"),
        Html::text(
            "share of rows that are right (up) by the probability that was claimed (across); on \
             the dashed line, claims are what they say",
        ),
    ];
    let figure = Html::element("figure", [Html::element("figcaption", caption), drawn]);
    [
        parameters("Whether probabilities are what they say.", rows),
        Html::with("div", &[("class", "charts")], figure),
    ]
    .into()
}
