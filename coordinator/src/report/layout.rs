//! The shapes that sections share: headings, tables, cells.

use super::html::Html;

/// A part of a page under a heading.
pub(super) fn part(heading: &str, content: impl Into<Html>) -> Html {
    Html::element("section", [Html::element("h2", heading), content.into()])
}

/// A section of a part.
pub(super) fn section(heading: &str, content: impl Into<Html>) -> Html {
    Html::element("section", [Html::element("h3", heading), content.into()])
}

/// A cell with a number.
pub(super) fn number(text: String) -> Html {
    Html::with("td", &[("class", "number")], text)
}

/// A table with a head; the flag says whether a column holds numbers.
pub(super) fn table(caption: &str, heads: &[(&str, bool)], rows: Html) -> Html {
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

/// A table of names and values.
pub(super) fn parameters(caption: &str, rows: Vec<(&str, String)>) -> Html {
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
