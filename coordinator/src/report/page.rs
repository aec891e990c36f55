//! The page of a report: its head, and its sections in the order in which they matter.

use super::html::Html;
use super::protection::Statement;
use super::run_summary::RunSummary;
use super::{sections, verification};

/// The whole document.
pub(super) fn document(run: &RunSummary) -> String {
    framed(&format!("Run {}", run.name), main(run))
}

/// A document around its content.
pub(super) fn framed(title: &str, main: Html) -> String {
    let body = Html::element("body", [Html::element("main", main)]);
    let page = Html::with("html", &[("lang", "en")], [head(title), body]);
    format!("<!DOCTYPE html>\n{}\n", page.into_string())
}

/// The policy forbids scripts and whatever would have to be loaded, so that a report can be
/// opened anywhere without telling anybody.
fn head(title: &str) -> Html {
    Html::element(
        "head",
        [
            Html::trusted(
                "<meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" \
                 content=\"default-src 'none'; style-src 'unsafe-inline'\"><meta name=\"viewport\" \
                 content=\"width=device-width, initial-scale=1\">",
            ),
            Html::element("title", title),
            Html::trusted(concat!("<style>\n", include_str!("style.css"), "</style>")),
        ],
    )
}

fn main(run: &RunSummary) -> Html {
    [
        Html::element("h1", format!("Run {}", run.name)),
        protection(&Statement::of_run(run)),
        sections::ending(run),
        sections::tiles(run),
        sections::results(run),
        sections::curves(run),
        sections::clients(run),
        sections::privacy_parameters(run),
        sections::training_parameters(run),
        verification::section_of(run),
        footer(run),
    ]
    .into()
}

/// The statement in a frame of its own.
pub(super) fn protection(statement: &Statement) -> Html {
    let class = if statement.protects && !statement.weak {
        "protection some"
    } else {
        "protection nobody"
    };
    let list = |heading: &str, lines: &[String]| {
        if lines.is_empty() {
            return Html::default();
        }
        let items = lines.iter().map(|line| Html::element("li", line));
        [
            Html::element("h2", heading),
            Html::element("ul", items.collect::<Html>()),
        ]
        .into()
    };
    Html::with(
        "section",
        &[("class", class), ("aria-label", "What is protected")],
        [
            Html::with("p", &[("class", "headline")], &statement.headline),
            list("What is protected", &statement.protected),
            list("What is not protected", &statement.not_protected),
        ],
    )
}

fn footer(run: &RunSummary) -> Html {
    Html::element(
        "footer",
        format!(
            "Written by {}. Began {}, ended {}.",
            run.software, run.started, run.finished
        ),
    )
}
