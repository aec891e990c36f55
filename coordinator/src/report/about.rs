//! What a run is for, where its model comes from, and who signs for it.

use umbel_privacy::unit_word::UnitWord;

use super::html::Html;
use super::layout::{parameters, section};
use super::run_summary::RunSummary;

/// Purpose, organisation and contact, as far as they are configured.
pub(super) fn about(run: &RunSummary) -> Html {
    let about = &run.about;
    let rows: Vec<(&str, &String)> = [
        ("Purpose", &about.purpose),
        ("Organisation", &about.organisation),
        ("Contact", &about.contact),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value.as_ref()?)))
    .collect();
    if rows.is_empty() {
        return Html::default();
    }
    let row = |(name, value): (&str, &String)| {
        Html::element(
            "div",
            [Html::element("dt", name), Html::element("dd", value)],
        )
    };
    let rows: Html = rows.into_iter().map(row).collect();
    Html::with("dl", &[("class", "about")], rows)
}

/// The base model, and the runs that it descends from.
pub(super) fn lineage(run: &RunSummary) -> Html {
    let mut rows = vec![("base model", run.training.base_model.clone())];
    if let Some(weights) = &run.base.weights {
        rows.push(("SHA-256 of its weights", weights.clone()));
    }
    rows.push(match run.base.ancestors.is_empty() {
        true => (
            "how it was trained",
            "not known here: it has no certificate of this software. What its own training rows \
             risk isn't counted in this report."
                .into(),
        ),
        false => (
            "how it was trained",
            "by earlier runs of this software, whose certificates are checked and whose cost on \
             the same rows is counted"
                .into(),
        ),
    });
    for ancestor in &run.base.ancestors {
        let told = format!(
            "unit {}, data set {}; certificate {}",
            UnitWord(ancestor.unit),
            ancestor.data_set,
            ancestor.certificate
        );
        rows.push((ancestor.run.as_str(), told));
    }
    section(
        "Base model and lineage",
        parameters("What training began with.", rows),
    )
}

/// Lines for people to sign on, once the page is printed.
pub(super) fn signatures() -> Html {
    let line = |role: &str| {
        let field = |name: &str| {
            Html::element(
                "div",
                [
                    Html::with("span", &[("class", "line")], ""),
                    Html::with("small", &[], name),
                ],
            )
        };
        Html::with(
            "div",
            &[("class", "signature")],
            [
                Html::element("p", role),
                field("name"),
                field("date and place"),
                field("signature"),
            ],
        )
    };
    let words = "For a printed copy. What protects the files themselves is the certificate's \
                 electronic signature, which the commands above check.";
    Html::with(
        "section",
        &[("class", "signatures"), ("aria-label", "Signatures")],
        [
            Html::element("h2", "Signatures"),
            Html::element("p", words),
            line("Responsible for the run"),
            line("Privacy officer"),
        ],
    )
}
