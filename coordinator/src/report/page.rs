//! The page of a report: its head, and its sections in the order in which they matter.

use super::html::Html;
use super::layout::{part, section};
use super::level::Level;
use super::protection::Statement;
use super::run_summary::RunSummary;
use super::{
    about, curves, sections, strength_section, tiles, trust, verification, virtual_section,
};

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
        about::about(run),
        sections::ending(run),
        tiles::tiles(run),
        part(
            "Unit and epsilon",
            [
                strength_section::section_of(run),
                sections::privacy_parameters(run),
            ],
        ),
        part(
            "Algorithm, utility and bias",
            [
                sections::results(run),
                curves::curves(run),
                section("Bias", Html::element("p", BIAS)),
                sections::training_parameters(run),
                about::lineage(run),
            ],
        ),
        part(
            "Trust model, security and data collection",
            [
                trust::sections(run),
                sections::clients(run),
                virtual_section::section_of(run),
            ],
        ),
        verification::section_of(run),
        about::signatures(),
        footer(run),
    ]
    .into()
}

/// The statement in a frame of its own.
pub(super) fn protection(statement: &Statement) -> Html {
    let class = match statement.level {
        Level::Strong => "protection strong",
        Level::Moderate => "protection moderate",
        Level::Weak | Level::Nobody => "protection nobody",
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

/// What privacy itself does to fairness.
const BIAS: &str = "\
    Clipping and noise hide what single units say, so that what few say is learned worst: rare \
    classes, rare ways of writing, small sites. A good score over all rows may hide that. Compare the \
    scores of each class and file before anybody is treated by this model's answers; what was unfair \
    in the training data is learned, too.";

fn footer(run: &RunSummary) -> Html {
    Html::element(
        "footer",
        format!(
            "Written by {}. Began {}, ended {}. The three parts in the middle follow the guidelines \
             of NIST SP 800-226, from epsilon down to how data were collected.",
            run.software, run.started, run.finished
        ),
    )
}
