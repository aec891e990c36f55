//! Several runs' scores over the time that they took, on one pair of axes, as SVG.

use std::collections::BTreeSet;

use super::comparison::ComparedRun;
use super::html::Html;
use super::svg::{Axis, line, text};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 56.0;
/// Room for the names.
const RIGHT: f64 = 190.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 46.0;
/// Each run's colour, the first ones again where there are more runs, then dashed.
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f",
];
/// Names are cut off at so many characters.
const LONGEST_NAME: usize = 26;
/// What a chart in a file of its own looks like; on a page, the page says it.
const STYLE: &str = "text{fill:#444;font:12px sans-serif}.grid{stroke:#ddd}.axis{stroke:#666}\
     .middle{text-anchor:middle}.end{text-anchor:end}.curve{fill:none;stroke-width:2}";

/// How a chart is to be put: in a page, or as a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Page,
    File,
}

/// A run's name, and where its curve goes.
struct Curve<'a> {
    name: &'a str,
    places: Vec<(f64, f64)>,
}

/// Draws the runs' scores over seconds; `None` where no run has two that can be drawn.
pub(super) fn curves_chart(
    (score, across): (&str, &str),
    runs: &[ComparedRun],
    place: Place,
) -> Option<Html> {
    let drawable =
        |(x, y): &&(f64, f64)| x.is_finite() && y.is_finite() && x.abs().max(y.abs()) < 1e100;
    let points: Vec<Vec<(f64, f64)>> = runs
        .iter()
        .map(|run| run.over_seconds.iter().filter(drawable).copied().collect())
        .collect();
    if !points.iter().any(|run| run.len() > 1) {
        return None;
    }
    let all = || points.iter().flatten();
    let seconds = Axis::around(all().map(|(x, _)| *x).chain([0.0]), None)?;
    let scores = Axis::around(all().map(|(_, y)| *y), None)?;
    let x = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * seconds.share(value);
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * scores.share(value);
    let mut pieces = vec![Html::element("title", format!("{score} by {across}"))];
    if place == Place::File {
        pieces.push(Html::element("style", Html::trusted(STYLE)));
        let whole = [("width", "100%"), ("height", "100%"), ("fill", "#fff")];
        pieces.push(Html::with("rect", &whole, ""));
    }
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for (value, label) in scores.ticks() {
        pieces.push(line("grid", (LEFT, y(value)), (right, y(value))));
        pieces.push(text("tick end", (LEFT - 7.0, y(value) + 4.0), &label));
    }
    for (value, label) in seconds.ticks() {
        pieces.push(line("axis", (x(value), bottom), (x(value), bottom + 4.0)));
        pieces.push(text("tick middle", (x(value), bottom + 18.0), &label));
    }
    pieces.push(line("axis", (LEFT, bottom), (right, bottom)));
    let middle = ((LEFT + right) / 2.0, HEIGHT - 7.0);
    pieces.push(text("tick middle", middle, across));
    pieces.push(text("tick", (4.0, TOP - 16.0), score));
    let curves = names(runs)
        .into_iter()
        .zip(&points)
        .map(|(name, points)| Curve {
            name,
            places: points
                .iter()
                .map(|(at, score)| (x(*at), y(*score)))
                .collect(),
        });
    pieces.extend(curves.enumerate().flat_map(|(i, curve)| curve.drawn(i)));
    let view = format!("0 0 {WIDTH} {HEIGHT}");
    let mut attributes = vec![("viewBox", view.as_str()), ("role", "img")];
    if place == Place::File {
        attributes.push(("xmlns", "http://www.w3.org/2000/svg"));
    }
    let content = pieces.into_iter().collect::<Html>();
    Some(Html::with("svg", &attributes, content))
}

/// The runs' names: without the time that ends a folder's name, unless two would be the same.
fn names(runs: &[ComparedRun]) -> Vec<&str> {
    let short: Vec<&str> = runs.iter().map(|run| without_time(&run.name)).collect();
    let different: BTreeSet<&str> = short.iter().copied().collect();
    match different.len() == runs.len() {
        true => short,
        false => runs.iter().map(|run| run.name.as_str()).collect(),
    }
}

/// `first` of `first-20260101-120000`.
fn without_time(name: &str) -> &str {
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let parts = name.rsplit_once('-').and_then(|(rest, time)| {
        let (rest, date) = rest.rsplit_once('-')?;
        (digits(time, 6) && digits(date, 8)).then_some(rest)
    });
    parts.unwrap_or(name)
}

impl Curve<'_> {
    /// The curve, and its name beside the others' at the right.
    fn drawn(&self, i: usize) -> [Html; 3] {
        let at = (WIDTH - RIGHT + 14.0, TOP + 12.0 + 18.0 * i as f64);
        let key = [(at.0, at.1 - 4.0), (at.0 + 20.0, at.1 - 4.0)];
        let name: String = self.name.chars().take(LONGEST_NAME).collect();
        [
            stroke(i, &self.places),
            stroke(i, &key),
            text("tick", (at.0 + 26.0, at.1), &name),
        ]
    }
}

/// A path in the colour of a run.
fn stroke(i: usize, places: &[(f64, f64)]) -> Html {
    let corners: Vec<String> = places
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let path = match corners.is_empty() {
        true => String::new(),
        false => format!("M{}", corners.join(" L")),
    };
    let dashes = match i / COLOURS.len() {
        0 => "none",
        1 => "6 3",
        _ => "2 3",
    };
    let attributes = [
        ("class", "curve"),
        ("stroke", COLOURS[i % COLOURS.len()]),
        ("stroke-dasharray", dashes),
        ("d", &*path),
    ];
    Html::with("path", &attributes, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, over_seconds: &[(f64, f64)]) -> ComparedRun {
        ComparedRun {
            name: name.into(),
            over_seconds: over_seconds.to_vec(),
            ..ComparedRun::default()
        }
    }

    fn drawn(runs: &[ComparedRun], place: Place) -> Option<String> {
        curves_chart(("accuracy", "seconds"), runs, place).map(Html::into_string)
    }

    #[test]
    fn every_run_has_a_curve_and_a_name_of_its_own() {
        let runs: Vec<ComparedRun> = (0..10)
            .map(|i| {
                let slow = f64::from(i + 1);
                run(&format!("run-{i}"), &[(slow, 0.1), (10.0 * slow, 0.8)])
            })
            .collect();
        let file = drawn(&runs, Place::File).expect("a chart");
        assert_eq!(file.matches("class=\"curve\"").count(), 20);
        assert!((0..10).all(|i| file.contains(&format!("run-{i}<"))));
        assert!(file.starts_with("<svg") && file.contains("xmlns"));
        let page = drawn(&runs, Place::Page).expect("a chart");
        assert!(!page.contains("<style>") && !page.contains("NaN"));
    }

    #[test]
    fn names_are_told_without_the_time_of_their_folders_where_that_leaves_them_different() {
        let of = |all: [&str; 2]| {
            let runs = all.map(|name| run(name, &[]));
            names(&runs)
                .into_iter()
                .map(String::from)
                .collect::<Vec<_>>()
        };
        let both = ["a-b-20260101-120000", "c-2026-1"];
        assert_eq!(of(both), ["a-b", "c-2026-1"]);
        let same = ["a-20260101-120000", "a-20260101-120001"];
        assert_eq!(of(same), same);
    }

    #[test]
    fn what_cant_be_drawn_is_left_out() {
        assert_eq!(drawn(&[run("one", &[(1.0, 0.5)])], Place::Page), None);
        let odd = [
            (1.0, f64::NAN),
            (f64::INFINITY, 0.1),
            (1.0, 0.2),
            (2.0, 0.3),
        ];
        let chart = drawn(&[run("<b>", &odd)], Place::Page).expect("two points");
        assert!(!chart.contains("NaN") && !chart.contains("inf") && !chart.contains("<b>"));
    }
}
