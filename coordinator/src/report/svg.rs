//! A line chart as inline SVG: one series over rounds, axes, ticks and perhaps a limit.

use super::html::Html;

/// One series over the rounds of a run.
pub(super) struct Chart<'a> {
    /// What a screen reader says it is.
    pub(super) title: &'a str,
    /// Round and value, by round. What isn't a number leaves a gap in the line.
    pub(super) points: &'a [(u32, f64)],
    /// A horizontal line with its label.
    pub(super) limit: Option<(f64, String)>,
    /// Values the axis has to reach at least.
    pub(super) include: &'a [f64],
    /// The most that a value can be (1 for an accuracy), beyond which the axis doesn't go.
    pub(super) most: Option<f64>,
    /// How a value is written.
    pub(super) write: fn(f64) -> String,
}

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 225.0;
const LEFT: f64 = 42.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 42.0;
/// Points up to which each is marked.
const MARKED: usize = 60;
/// Values beyond this can't be drawn: their differences may overflow.
const LARGEST: f64 = 1e100;

/// Draws a chart; `None` where there isn't a single point to draw.
pub(super) fn line_chart(chart: &Chart<'_>) -> Option<Html> {
    let drawable = |y: f64| y.is_finite() && y.abs() < LARGEST;
    let limit = chart.limit.as_ref().filter(|(y, _)| drawable(*y));
    let values = || chart.points.iter().filter(|(_, y)| drawable(*y));
    let last = values().next_back()?;
    let rounds = Axis::of_rounds(chart.points.iter().map(|(round, _)| *round).max()?);
    let needed = values().map(|(_, y)| *y).chain(limit.map(|(y, _)| *y));
    let levels = Axis::around(needed.chain(chart.include.iter().copied()), chart.most)?;
    let frame = Frame { rounds, levels };
    let place =
        |(round, y): &(u32, f64)| drawable(*y).then(|| (frame.x(f64::from(*round)), frame.y(*y)));
    let places: Vec<Option<(f64, f64)>> = chart.points.iter().map(place).collect();
    let mut pieces = vec![Html::element("title", chart.title)];
    pieces.extend(frame.grid("round"));
    pieces.extend(limit.map(|(y, label)| frame.limit(*y, label)));
    pieces.extend(lines(&places));
    if places.len() <= MARKED {
        let marked = chart.points.iter().zip(&places);
        pieces
            .extend(marked.filter_map(|(point, place)| Some(mark(point, (*place)?, chart.write))));
    } else if let Some(place) = place(last) {
        pieces.push(mark(last, place, chart.write));
    }
    pieces.extend(place(last).map(|place| value_label(place, &(chart.write)(last.1))));
    let view = format!("0 0 {WIDTH} {HEIGHT}");
    Some(Html::with(
        "svg",
        &[("viewBox", &view), ("role", "img")],
        pieces.into_iter().collect::<Html>(),
    ))
}

/// Draws how often claims are right (up) by what they claim (across), both from 0 to 1.
pub(super) fn reliability_chart(points: &[(f64, f64)]) -> Html {
    let frame = Frame {
        rounds: Axis::of_shares(),
        levels: Axis::of_shares(),
    };
    let places: Vec<Option<(f64, f64)>> = points
        .iter()
        .map(|(claim, right)| Some((frame.x(*claim), frame.y(*right))))
        .collect();
    let mut pieces = vec![Html::element("title", "Share right by probability claimed")];
    pieces.extend(frame.grid("probability claimed"));
    pieces.push(line(
        "limit",
        (frame.x(0.0), frame.y(0.0)),
        (frame.x(1.0), frame.y(1.0)),
    ));
    pieces.extend(lines(&places));
    for ((claim, right), place) in points.iter().zip(places.iter().flatten()) {
        let title = format!("claimed {claim:.3}, right {right:.3}");
        pieces.push(dot(*place, title));
    }
    let view = format!("0 0 {WIDTH} {HEIGHT}");
    Html::with(
        "svg",
        &[("viewBox", &view), ("role", "img")],
        pieces.into_iter().collect::<Html>(),
    )
}

/// Draws one labelled point for each of some things; `None` where there is none that can be drawn.
pub(super) fn points_chart(
    title: &str,
    across: &str,
    points: &[(f64, f64, String)],
) -> Option<Html> {
    let drawable = |value: f64| value.is_finite() && value.abs() < LARGEST;
    let points = points
        .iter()
        .filter(|(x, y, _)| drawable(*x) && drawable(*y));
    let points: Vec<_> = points.collect();
    let frame = Frame {
        rounds: Axis::around(points.iter().map(|(x, _, _)| *x), None)?,
        levels: Axis::around(points.iter().map(|(_, y, _)| *y), None)?,
    };
    let mut pieces = vec![Html::element("title", title)];
    pieces.extend(frame.grid(across));
    for (x, y, label) in points {
        let place = (frame.x(*x), frame.y(*y));
        pieces.push(dot(place, format!("{label}: {x:.4}, {y:.4}")));
        pieces.push(value_label(place, label));
    }
    let view = format!("0 0 {WIDTH} {HEIGHT}");
    Some(Html::with(
        "svg",
        &[("viewBox", &view), ("role", "img")],
        pieces.into_iter().collect::<Html>(),
    ))
}

/// A range of numbers, its ends at ticks.
pub(super) struct Axis {
    low: f64,
    step: f64,
    ticks: usize,
    /// Where it ends, if not at a tick of that step.
    end: Option<f64>,
}

impl Axis {
    /// From 0 to the last round, which has a tick of its own.
    fn of_rounds(last: u32) -> Self {
        let last = f64::from(last.max(1));
        let step = nice_step(last / 6.0).max(1.0);
        let whole = (last / step).floor();
        let beyond = last - whole * step;
        // A tick whose label would run into that of the last round is left out.
        let crowded = beyond > 0.0 && beyond < 0.5 * step;
        Self {
            low: 0.0,
            step,
            ticks: whole as usize - usize::from(crowded),
            end: (beyond > 0.0).then_some(last),
        }
    }

    /// From 0 to 1.
    fn of_shares() -> Self {
        Self {
            low: 0.0,
            step: 0.2,
            ticks: 5,
            end: None,
        }
    }

    /// Around some drawable values; `None` where there are none.
    pub(super) fn around(values: impl Iterator<Item = f64>, most: Option<f64>) -> Option<Self> {
        let range = values.fold(None, |range: Option<(f64, f64)>, y| {
            let (low, high) = range.unwrap_or((y, y));
            Some((low.min(y), high.max(y)))
        });
        let (low, high) = range?;
        let (low, high) = if high - low > 1e-9 * high.abs().max(low.abs()) {
            (low, high)
        } else {
            let margin = (high.abs() * 0.1).max(0.05);
            (
                low - margin,
                most.map_or(high + margin, |most| most.min(high + margin)),
            )
        };
        let step = nice_step((high - low) / 4.0);
        let low = (low / step).floor() * step;
        Some(Self {
            low,
            step,
            // At most 5 by the choice of the step; the clamp is for what floats may do.
            ticks: (((high - low) / step - 1e-9).ceil()).clamp(1.0, 20.0) as usize,
            end: None,
        })
    }

    fn high(&self) -> f64 {
        let last_tick = self.low + self.step * self.ticks as f64;
        self.end.unwrap_or(last_tick)
    }

    pub(super) fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high() - self.low)
    }

    pub(super) fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        let decimals = (-self.step.log10().floor()).clamp(0.0, 12.0) as usize;
        let ticks = (0..=self.ticks).map(|i| self.low + self.step * i as f64);
        ticks.chain(self.end).map(move |value| {
            let label = if value.abs() >= 1e6 {
                format!("{value:.1e}")
            } else {
                // Without this a sum that is a hair below zero would be written "-0.0".
                let value = if value.abs() < self.step * 1e-6 {
                    0.0
                } else {
                    value
                };
                format!("{value:.decimals$}")
            };
            (value, label)
        })
    }
}

/// The least of 1, 2 and 5 times a power of ten that isn't below `rough`.
fn nice_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.max(1e-12).log10().floor());
    let factors = [1.0, 2.0, 5.0];
    let fitting = factors
        .iter()
        .find(|factor| **factor * power >= rough * (1.0 - 1e-9));
    fitting.unwrap_or(&10.0) * power
}

/// The area between the axes.
struct Frame {
    rounds: Axis,
    levels: Axis,
}

impl Frame {
    fn x(&self, round: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * self.rounds.share(round)
    }

    fn y(&self, level: f64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * self.levels.share(level)
    }

    fn grid(&self, across: &str) -> Vec<Html> {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        let mut pieces = Vec::new();
        for (level, label) in self.levels.ticks() {
            let y = self.y(level);
            pieces.push(line("grid", (LEFT, y), (right, y)));
            pieces.push(text("tick end", (LEFT - 7.0, y + 4.0), &label));
        }
        for (round, label) in self.rounds.ticks() {
            let x = self.x(round);
            pieces.push(line("axis", (x, bottom), (x, bottom + 4.0)));
            pieces.push(text("tick middle", (x, bottom + 18.0), &label));
        }
        pieces.push(line("axis", (LEFT, bottom), (right, bottom)));
        pieces.push(text(
            "tick middle",
            ((LEFT + right) / 2.0, HEIGHT - 5.0),
            across,
        ));
        pieces
    }

    fn limit(&self, level: f64, label: &str) -> Html {
        let y = self.y(level);
        [
            line("limit", (LEFT, y), (WIDTH - RIGHT, y)),
            text("limit-label", (LEFT + 6.0, y - 5.0), label),
        ]
        .into()
    }
}

/// One path for each run of points without a gap.
fn lines(places: &[Option<(f64, f64)>]) -> Option<Html> {
    let runs = places.split(Option::is_none).filter(|run| run.len() > 1);
    let path: Vec<String> = runs
        .map(|run| corners(run.iter().flatten().copied()))
        .collect();
    (!path.is_empty())
        .then(|| Html::with("path", &[("class", "series"), ("d", &path.join(" "))], ""))
}

/// A path from point to point.
pub(super) fn polyline(class: &str, places: &[(f64, f64)]) -> Html {
    let path = corners(places.iter().copied());
    Html::with("path", &[("class", class), ("d", &path)], "")
}

fn corners(places: impl Iterator<Item = (f64, f64)>) -> String {
    let corners: Vec<String> = places.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    format!("M{}", corners.join(" L"))
}

fn mark((round, value): &(u32, f64), place: (f64, f64), write: fn(f64) -> String) -> Html {
    dot(place, format!("round {round}: {}", write(*value)))
}

fn dot((x, y): (f64, f64), title: String) -> Html {
    let (x, y) = (format!("{x:.1}"), format!("{y:.1}"));
    let attributes = [("class", "mark"), ("cx", &*x), ("cy", &*y), ("r", "2.6")];
    Html::with("circle", &attributes, Html::element("title", title))
}

/// The last value, above its point or, near the top, below it.
fn value_label((x, y): (f64, f64), label: &str) -> Html {
    let y = if y < TOP + 14.0 { y + 18.0 } else { y - 9.0 };
    let anchor = if x > WIDTH - RIGHT - 40.0 {
        "value end"
    } else {
        "value middle"
    };
    text(anchor, (x, y), label)
}

pub(super) fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Html {
    let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(|v| format!("{v:.1}"));
    let attributes = [
        ("class", class),
        ("x1", &*x1),
        ("y1", &*y1),
        ("x2", &*x2),
        ("y2", &*y2),
    ];
    Html::with("line", &attributes, "")
}

pub(super) fn text(class: &str, (x, y): (f64, f64), content: &str) -> Html {
    let (x, y) = (format!("{x:.1}"), format!("{y:.1}"));
    Html::with("text", &[("class", class), ("x", &*x), ("y", &*y)], content)
}

#[cfg(test)]
#[path = "svg_tests.rs"]
mod tests;
