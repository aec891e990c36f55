//! `umbel account plot`: epsilon over rounds for several noise multipliers, as an SVG.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use umbel::failure::Failure;
use umbel_privacy::accountant::event::{MechanismEvent, NoiseMultiplier};
use umbel_privacy::accountant::{Accountant, Delta, PldAccountant};
use umbel_privacy::poisson::SamplingRate;
use umbel_privacy::unit::Adjacency;
use umbel_proto::exit_code::ExitKind;

use super::account::DELTA;
use super::print;

/// Draw epsilon over rounds for several noise multipliers, as an SVG
#[derive(Args)]
#[command(after_help = "\
Example:
  umbel account plot --noise-multiplier 0.8,1,1.5,2 --sampling-rate 0.01 --steps 2000 \\
      --delta 1e-5 --out epsilon.svg")]
pub struct PlotQuestion {
    /// Noise multipliers, one curve each (at most eight).
    #[arg(long, required = true, value_delimiter = ',', num_args = 1..)]
    noise_multiplier: Vec<f64>,
    /// Poisson sampling rate; 1 for none.
    #[arg(long, default_value_t = 1.0)]
    sampling_rate: f64,
    /// Rounds, at the right end.
    #[arg(long)]
    steps: u64,
    #[arg(long, help = DELTA)]
    delta: f64,
    /// The file to write; standard output if left out.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Points of a curve.
const POINTS: u64 = 40;

/// Colours that people who see colours differently tell apart (Okabe & Ito 2008).
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999",
];

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 120.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// One curve: σ, and epsilon after so many rounds.
struct Curve {
    sigma: f64,
    points: Vec<(u64, f64)>,
}

/// Runs the command.
pub fn plot(question: &PlotQuestion) -> Result<(), Failure> {
    let wrong = |reason: String| Failure::new(ExitKind::Configuration, reason);
    if question.noise_multiplier.len() > COLOURS.len() {
        return Err(wrong(
            "more than eight noise multipliers can't be told apart".into(),
        ));
    }
    if question.steps == 0 {
        return Err(wrong(
            "--steps 0 leaves nothing to draw; use 1 or more".into(),
        ));
    }
    let delta = Delta::try_from(question.delta).map_err(|e| wrong(e.to_string()))?;
    let rate = SamplingRate::try_from(question.sampling_rate).map_err(|e| wrong(e.to_string()))?;
    let curves = question
        .noise_multiplier
        .iter()
        .map(|&sigma| {
            let noise = NoiseMultiplier::try_from(sigma).map_err(|e| wrong(e.to_string()))?;
            let points = curve(
                &MechanismEvent::poisson_gaussian(rate, noise),
                question.steps,
                delta,
            )
            .map_err(|e| wrong(e.to_string()))?;
            Ok(Curve { sigma, points })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let title = format!(
        "epsilon at delta {delta}, sampling rate {rate} (pld, {})",
        Adjacency::AddOrRemove
    );
    let svg = drawn(&title, &curves, question.steps);
    match &question.out {
        None => return print(svg),
        Some(path) => std::fs::write(path, svg)
            .map_err(|e| wrong(format!("{} can't be written: {e}", path.display())))?,
    }
    Ok(())
}

/// Epsilon at evenly spaced numbers of rounds.
fn curve(
    event: &MechanismEvent,
    steps: u64,
    delta: Delta,
) -> Result<Vec<(u64, f64)>, umbel_privacy::accountant::AccountingError> {
    let mut rounds: Vec<u64> = (1..=POINTS)
        .map(|point| (u128::from(steps) * u128::from(point) / u128::from(POINTS)) as u64)
        .chain([1])
        .filter(|&rounds| rounds > 0)
        .collect();
    rounds.sort_unstable();
    rounds.dedup();
    rounds
        .into_iter()
        .map(|rounds| {
            let mut accountant = PldAccountant::new(Adjacency::AddOrRemove);
            accountant.compose(event, rounds)?;
            Ok((rounds, accountant.epsilon(delta).get()))
        })
        .collect()
}

fn drawn(title: &str, curves: &[Curve], steps: u64) -> String {
    let largest = curves
        .iter()
        .flat_map(|curve| &curve.points)
        .map(|point| point.1)
        .filter(|epsilon| epsilon.is_finite())
        .fold(0.0, f64::max);
    let step = tick_step(largest);
    let top = (largest / step).ceil().max(1.0) * step;
    let x = |rounds: f64| LEFT + (WIDTH - LEFT - RIGHT) * rounds / steps as f64;
    let y = |epsilon: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * epsilon / top;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n<title>{title}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\">{title}</text>\n"
    );
    let mut line = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    let mut tick = 0.0;
    while tick <= top * (1.0 + 1e-9) {
        let at = y(tick);
        line(format!(
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            number(tick)
        ));
        tick += step;
    }
    for quarter in 0..=4u64 {
        let rounds = steps as f64 * quarter as f64 / 4.0;
        line(format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x(rounds),
            HEIGHT - BOTTOM + 18.0,
            number(rounds)
        ));
    }
    line(format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">rounds</text>",
        x(steps as f64 / 2.0),
        HEIGHT - 12.0
    ));
    for (curve, colour) in curves.iter().zip(COLOURS) {
        line(path(curve, colour, x, y));
    }
    svg.push_str("</svg>\n");
    svg
}

/// A curve and its name at its end. Infinite epsilons are left out.
fn path(curve: &Curve, colour: &str, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let finite = curve.points.iter().filter(|point| point.1.is_finite());
    let mut points = String::new();
    let mut end = None;
    for &(rounds, epsilon) in finite {
        let (x, y) = (x(rounds as f64), y(epsilon));
        // Writing to a string can't fail.
        let _ = write!(points, "{x:.1},{y:.1} ");
        end = Some((x, y));
    }
    let label = end.map_or(String::new(), |(x, y)| {
        format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">σ = {}</text>",
            x + 8.0,
            y + 4.0,
            curve.sigma
        )
    });
    format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>{label}",
        points.trim_end()
    )
}

/// 1, 2 or 5 times a power of ten, so that some five ticks reach `largest`.
fn tick_step(largest: f64) -> f64 {
    let rough = (largest / 5.0).max(1e-12);
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(power * 10.0)
}

/// A tick's number, without digits that say nothing.
fn number(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    format!("{rounded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_a_curve_and_a_name_for_every_noise_multiplier() {
        let rate = SamplingRate::try_from(0.1).unwrap();
        let curves: Vec<Curve> = [1.0, 2.0]
            .into_iter()
            .map(|sigma| {
                let noise = NoiseMultiplier::try_from(sigma).unwrap();
                let event = MechanismEvent::poisson_gaussian(rate, noise);
                let points = curve(&event, 10, Delta::try_from(1e-5).unwrap()).unwrap();
                assert_eq!(points.len(), 10, "no number of rounds twice");
                assert!(points.is_sorted_by(|a, b| a.1 <= b.1), "{points:?}");
                Curve { sigma, points }
            })
            .collect();
        let svg = drawn("title", &curves, 10);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("σ = 1<") && svg.contains("σ = 2<"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn ticks_are_round_numbers() {
        for (largest, step) in [(0.9, 0.2), (4.0, 1.0), (23.0, 5.0), (80.0, 20.0)] {
            assert!((tick_step(largest) / step - 1.0).abs() < 1e-9, "{largest}");
        }
        assert!(tick_step(0.0) > 0.0);
    }
}
