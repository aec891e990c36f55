//! The trade-off of an attacker as inline SVG: hits against false alarms, the latter by powers of
//! ten, since few false alarms are what makes an attack.

use super::figures;
use super::html::Html;
use super::strength::{FALSE_POSITIVES, Strength};
use super::svg::{line, polyline, text};

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 46.0;
/// The least rate of false positives is 10 to this.
const LEAST: f64 = -4.0;

fn x(rate: f64) -> f64 {
    let share = 1.0 - rate.max(1e-300).log10().max(LEAST) / LEAST;
    LEFT + (WIDTH - LEFT - RIGHT) * share
}

fn y(hits: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * hits.clamp(0.0, 1.0)
}

/// Draws what an attacker can do at most, beside what guessing does.
pub(super) fn trade_off_chart(strength: &Strength) -> Html {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let mut pieces = vec![Html::element(
        "title",
        "Share of those who were there that an attacker finds at most, by the share of those who \
         weren't and are suspected all the same",
    )];
    for quarter in 0..=4 {
        let hits = f64::from(quarter) / 4.0;
        pieces.push(line("grid", (LEFT, y(hits)), (right, y(hits))));
        let label = format!("{} %", 25 * quarter);
        pieces.push(text("tick end", (LEFT - 6.0, y(hits) + 4.0), &label));
    }
    for (rate, label) in [
        (1e-4, "0.01 %"),
        (1e-3, "0.1 %"),
        (1e-2, "1 %"),
        (1e-1, "10 %"),
        (1.0, "100 %"),
    ] {
        pieces.push(line("axis", (x(rate), bottom), (x(rate), bottom + 4.0)));
        let class = if rate < 1.0 {
            "tick middle"
        } else {
            "tick end"
        };
        let at = if rate < 1.0 { x(rate) } else { right + RIGHT };
        pieces.push(text(class, (at, bottom + 18.0), label));
    }
    pieces.push(line("axis", (LEFT, bottom), (right, bottom)));
    let middle = ((LEFT + right) / 2.0, HEIGHT - 7.0);
    pieces.push(text("tick middle", middle, "wrongly suspected"));
    let guesses: Vec<(f64, f64)> = strength
        .curve
        .iter()
        .map(|(rate, _)| (x(*rate), y(*rate)))
        .collect();
    pieces.push(polyline("guess", &guesses));
    pieces.push(text("guess-label", (right - 2.0, y(0.0) - 6.0), "guessing"));
    let bound: Vec<(f64, f64)> = strength
        .curve
        .iter()
        .map(|(rate, hits)| (x(*rate), y(*hits)))
        .collect();
    pieces.push(polyline("series", &bound));
    let (at, hits) = (x(FALSE_POSITIVES), strength.true_positives);
    pieces.push(line("limit", (at, y(hits)), (at, bottom)));
    let label = format!("{} at 1 %", figures::share(hits));
    let above = if y(hits) < TOP + 14.0 { 16.0 } else { -8.0 };
    let label = text("value end", (at - 5.0, y(hits) + above), &label);
    pieces.push(label);
    let view = format!("0 0 {WIDTH} {HEIGHT}");
    Html::with(
        "svg",
        &[("viewBox", &view), ("role", "img")],
        pieces.into_iter().collect::<Html>(),
    )
}
