//! Several runs on one page: what each came to, how it got there, and which settings differ.

use std::collections::{BTreeMap, BTreeSet};

use super::curves_chart::{Place, curves_chart};
use super::figures::{self, NONE};
use super::html::Html;
use super::layout::{number, part, table};
use super::page::framed;
use super::svg::{Chart, line_chart, points_chart};

/// A run beside others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComparedRun {
    /// What it is called in tables: its folder's name.
    pub name: String,
    /// Its main score (accuracy, for a single label), from 0 to 1 or, of values, an error.
    pub score: Option<f64>,
    /// Mean loss on public rows.
    pub loss: Option<f64>,
    /// Epsilon spent; `None` for a run without privacy.
    pub epsilon: Option<f64>,
    /// Rounds whose result is out.
    pub rounds: u32,
    /// Bytes moved, both ways; `None` where the unit is the client, which hides them.
    pub bytes: Option<u64>,
    /// Seconds that it took.
    pub seconds: f64,
    /// How it ended, in a word.
    pub ending: String,
    /// The score after each evaluated round.
    pub curve: Vec<(u32, f64)>,
    /// When each evaluated round was over, in seconds from the run's beginning, and its score.
    pub over_seconds: Vec<(f64, f64)>,
    /// Whether its seconds are virtual.
    pub virtual_time: bool,
    /// Settings by name.
    pub settings: BTreeMap<String, String>,
}

/// Runs side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What their score is called.
    pub score: &'static str,
    /// They, in the order in which they were named.
    pub runs: Vec<ComparedRun>,
}

/// What a run took.
type Across = fn(&ComparedRun) -> Option<f64>;

/// A setting's name, and its value in each run that has one.
type Setting<'a> = (&'a str, Vec<Option<&'a str>>);

impl Comparison {
    /// Settings that aren't the same in all runs, each with its value in each run.
    pub fn differing(&self) -> Vec<Setting<'_>> {
        self.settings()
            .filter(|(_, values)| differ(values))
            .collect()
    }

    fn settings(&self) -> impl Iterator<Item = Setting<'_>> {
        let names: BTreeSet<&str> = self
            .runs
            .iter()
            .flat_map(|run| run.settings.keys().map(String::as_str))
            .collect();
        names.into_iter().map(|name| {
            let value = |run| -> Option<&str> {
                let run: &ComparedRun = run;
                run.settings.get(name).map(String::as_str)
            };
            (name, self.runs.iter().map(value).collect())
        })
    }

    /// The page.
    pub fn page(&self) -> String {
        let content = [
            Html::element("h1", format!("{} runs", self.runs.len())),
            part("Results", self.results()),
            part("Score by what it took", self.charts()),
            part("Score over time", self.over_time()),
            part("Score over rounds", self.curves()),
            part("Settings", self.settings_table()),
        ];
        framed("Runs compared", content.into())
    }

    fn results(&self) -> Html {
        let of =
            |value: Option<f64>, write: fn(f64) -> String| number(value.map_or(NONE.into(), write));
        let row = |(i, run): (usize, &ComparedRun)| {
            let cells = [
                number((i + 1).to_string()),
                Html::with("th", &[("scope", "row")], &run.name),
                of(run.score, figures::score),
                of(run.loss, figures::score),
                of(run.epsilon, figures::epsilon),
                number(figures::count(run.rounds)),
                number(run.bytes.map_or(NONE.into(), figures::bytes)),
                number(figures::duration(run.seconds)),
                Html::element("td", &run.ending),
            ];
            Html::element("tr", cells)
        };
        let heads = [
            ("", true),
            ("run", false),
            (self.score, true),
            ("loss", true),
            ("epsilon", true),
            ("rounds", true),
            ("moved", true),
            ("time", true),
            ("ending", false),
        ];
        let caption = "Scores of public rows. Where epsilon is missing, nobody is protected.";
        table(
            caption,
            &heads,
            self.runs.iter().enumerate().map(row).collect(),
        )
    }

    fn charts(&self) -> Html {
        let points = |across: Across| -> Vec<(f64, f64, String)> {
            let runs = self.runs.iter().zip(1..);
            runs.filter_map(|(run, i)| Some((across(run)?, run.score?, format!("{i}"))))
                .collect()
        };
        let charts: [(&str, Across); 4] = [
            ("epsilon", |run| run.epsilon),
            ("rounds", |run| Some(f64::from(run.rounds))),
            ("megabytes moved", |run| Some(run.bytes? as f64 / 1e6)),
            ("seconds", |run| Some(run.seconds)),
        ];
        let drawn = charts.into_iter().filter_map(|(across, of)| {
            let chart = points_chart(&format!("{} by {across}", self.score), across, &points(of))?;
            Some(figure(&format!("{} by {across}", self.score), chart))
        });
        in_a_row(drawn)
    }

    /// The runs' scores over the time that they took, as an SVG file; `None` where no run has two
    /// evaluated rounds.
    pub fn figure(&self) -> Option<String> {
        let chart = curves_chart((self.score, self.seconds()), &self.runs, Place::File);
        chart.map(|chart| chart.into_string() + "\n")
    }

    fn over_time(&self) -> Html {
        let chart = curves_chart((self.score, self.seconds()), &self.runs, Place::Page);
        match chart {
            Some(chart) => figure(&format!("{} by {}", self.score, self.seconds()), chart),
            None => Html::element("p", "No run has scores of two rounds (evaluation.every)."),
        }
    }

    /// What the runs' seconds are.
    fn seconds(&self) -> &'static str {
        let of_virtual_time = self.runs.iter().filter(|run| run.virtual_time).count();
        match of_virtual_time {
            0 => "seconds",
            all if all == self.runs.len() => "virtual seconds",
            _ => "seconds, virtual in some runs",
        }
    }

    fn curves(&self) -> Html {
        // One scale for all of them, so that they can be compared by eye.
        let all = self.runs.iter().flat_map(|run| &run.curve);
        let include: Vec<f64> = all
            .map(|(_, score)| *score)
            .filter(|s| s.is_finite())
            .collect();
        let drawn = self.runs.iter().zip(1..).filter_map(|(run, i)| {
            let chart = line_chart(&Chart {
                title: &format!("{} of {} after each evaluated round", self.score, run.name),
                points: &run.curve,
                limit: None,
                include: &include,
                most: None,
                write: figures::score,
            })?;
            Some(figure(&format!("{i}: {}", run.name), chart))
        });
        in_a_row(drawn)
    }

    fn settings_table(&self) -> Html {
        let rows = |wanted: bool| -> Html {
            let settings = self
                .settings()
                .filter(|(_, values)| differ(values) == wanted);
            settings
                .map(|(name, values)| {
                    let values = values.into_iter().map(|value| {
                        let value = value.unwrap_or(NONE);
                        match wanted {
                            true => Html::element("td", Html::element("strong", value)),
                            false => Html::element("td", value),
                        }
                    });
                    let name = Html::with("th", &[("scope", "row")], name);
                    Html::element("tr", std::iter::once(name).chain(values).collect::<Html>())
                })
                .collect()
        };
        let numbers: Vec<String> = (1..=self.runs.len()).map(|i| i.to_string()).collect();
        let mut heads = vec![("setting", false)];
        heads.extend(numbers.iter().map(|number| (number.as_str(), false)));
        let different = match self.differing().is_empty() {
            true => Html::element("p", "All settings are the same."),
            false => table("Settings that differ.", &heads, rows(true)),
        };
        let same = table("Settings that are the same.", &heads, rows(false));
        let same = [Html::element("summary", "Settings that are the same"), same];
        [different, Html::element("details", same)].into()
    }
}

fn differ(values: &[Option<&str>]) -> bool {
    values.windows(2).any(|pair| pair[0] != pair[1])
}

fn figure(caption: &str, chart: Html) -> Html {
    let heading = Html::element("h4", caption);
    Html::element("figure", [Html::element("figcaption", heading), chart])
}

fn in_a_row(figures: impl Iterator<Item = Html>) -> Html {
    Html::with("div", &[("class", "charts")], figures.collect::<Html>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, score: f64, epsilon: Option<f64>, rate: &str) -> ComparedRun {
        let settings = [("rate", rate), ("unit", "record")];
        ComparedRun {
            name: name.into(),
            score: Some(score),
            epsilon,
            rounds: 20,
            seconds: 3.0,
            ending: "complete".into(),
            curve: vec![(1, 0.5), (20, score)],
            settings: settings.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            ..ComparedRun::default()
        }
    }

    #[test]
    fn settings_that_differ_are_told_from_those_that_dont() {
        let comparison = Comparison {
            score: "accuracy",
            runs: vec![run("a", 0.7, Some(2.0), "0.1"), run("b", 0.8, None, "0.2")],
        };
        assert_eq!(
            comparison.differing(),
            [("rate", vec![Some("0.1"), Some("0.2")])]
        );
        let page = comparison.page();
        assert!(page.contains("<strong>0.2</strong>") && !page.contains("<strong>record"));
        assert!(page.contains("accuracy by epsilon"));
    }

    #[test]
    fn a_name_is_shown_and_not_obeyed() {
        let comparison = Comparison {
            score: "accuracy",
            runs: vec![run("<script>", f64::NAN, Some(f64::INFINITY), "<b>")],
        };
        let page = comparison.page();
        assert!(!page.contains("<script>") && !page.contains("<b>"));
    }
}
