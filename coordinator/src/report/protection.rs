//! What a run protects, from whom, and what it doesn't: in sentences for everybody.

use umbel_privacy::unit::{Adjacency, NoisePlacement, PrivacyUnit};
use umbel_proto::plan::mechanism::LEAST_NOISE_MULTIPLIER;

use super::figures;
use super::level::{AgainstUnits, Level, MODERATE, has_weak_noise};
use super::run_summary::{PrivacySummary, RunSummary};
use super::strength::Strength;

/// The plain truth about a run's privacy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// One sentence that must be read by everyone.
    pub headline: String,
    /// What that is worth, in a word.
    pub level: Level,
    /// What is protected: against whom and how well.
    pub protected: Vec<String>,
    /// What isn't.
    pub not_protected: Vec<String>,
}

impl Statement {
    /// The statement for a run that has ended. One without a model protects nobody: there is
    /// nothing that a guarantee could be about.
    pub fn of_run(run: &RunSummary) -> Self {
        if run.leaves_a_model() {
            let mut statement = Self::of(&run.privacy);
            let strength = run.strength.as_ref().filter(|_| statement.protects());
            statement.protected.extend(strength.map(attack));
            return statement;
        }
        let headline = match run.training.rounds_done {
            0 => {
                "No round was released: this run left no model and no certificate, and protects \
                  nobody."
            }
            _ => {
                "The model diverged: this run left no sound model and no certificate, and protects \
                 nobody."
            }
        };
        let unit = Unit::of(&run.privacy);
        let mut not_protected = vec![without_a_model(&run.privacy)];
        not_protected.extend(in_every_run(&run.privacy, &unit));
        Self {
            headline: headline.into(),
            level: Level::Nobody,
            protected: Vec::new(),
            not_protected,
        }
    }

    /// The statement for a run that left a model.
    pub fn of(privacy: &PrivacySummary) -> Self {
        let unit = Unit::of(privacy);
        let mut not_protected = match privacy.unit {
            PrivacyUnit::None => without_privacy(),
            _ if privacy.seeded => vec![seeded_noise()],
            _ => Vec::new(),
        };
        if privacy.unit != PrivacyUnit::None {
            not_protected.extend(beyond_the_guarantee(privacy, &unit));
        }
        not_protected.extend(in_every_run(privacy, &unit));
        let protects = privacy.unit != PrivacyUnit::None && !privacy.seeded;
        let level = match protects {
            true => Level::of(privacy),
            false => Level::Nobody,
        };
        Self {
            headline: headline(privacy, level, &unit),
            level,
            protected: if protects {
                guarantee(privacy, &unit)
            } else {
                Vec::new()
            },
            not_protected,
        }
    }

    /// Whether anybody is protected at all.
    pub fn protects(&self) -> bool {
        self.level != Level::Nobody
    }

    /// The statement as lines of plain text, for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let not = self
            .not_protected
            .iter()
            .map(|line| format!("Not protected: {line}"));
        std::iter::once(self.headline.clone())
            .chain(self.protected.iter().cloned())
            .chain(not)
            .collect()
    }
}

/// A privacy unit in words.
struct Unit {
    /// "one row", after "with or without".
    one: String,
    /// What stays hidden, after "protects".
    secret: String,
}

impl Unit {
    fn of(privacy: &PrivacySummary) -> Self {
        let column = privacy.group_column.as_deref().unwrap_or("group");
        let (one, presence, content) = match privacy.unit {
            PrivacyUnit::Record | PrivacyUnit::None => (
                "one row".to_owned(),
                "whether any one row was in the training data, and so what it says".to_owned(),
                "what any one row of the training data says".to_owned(),
            ),
            PrivacyUnit::Group => (
                format!("all rows of one {column} at one site"),
                format!(
                    "whether the rows of any one {column} at a site were in the training data, and \
                     so what they say"
                ),
                format!("what the rows of any one {column} at a site say"),
            ),
            PrivacyUnit::Client => (
                "one client with all its rows".to_owned(),
                "whether any one client took part with its rows, and so what they say".to_owned(),
                "what the rows of any one client say".to_owned(),
            ),
        };
        Self {
            one,
            secret: match privacy.adjacency {
                Adjacency::AddOrRemove => presence,
                Adjacency::ReplaceOne | Adjacency::ZeroOut => content,
            },
        }
    }
}

fn headline(privacy: &PrivacySummary, level: Level, unit: &Unit) -> String {
    match privacy.unit {
        PrivacyUnit::None => "No privacy protection: this run protects nobody.".into(),
        _ if privacy.seeded => {
            "This run was seeded: its noise can be predicted and it protects nobody.".into()
        }
        _ if has_weak_noise(privacy) => format!(
            "Next to no protection: the noise multiplier is {}, below {LEAST_NOISE_MULTIPLIER}, \
             where a guarantee says next to nothing.",
            privacy
                .noise_multiplier
                .map_or(figures::NONE.into(), figures::parameter),
        ),
        _ => match level {
            Level::Nobody => "No epsilon is recorded: this run protects nobody.".into(),
            Level::Weak => weak(privacy, unit),
            Level::Moderate => format!(
                "Moderate protection of {}, {}.",
                unit.secret,
                trust(privacy)
            ),
            Level::Strong => format!("Strong protection of {}, {}.", unit.secret, trust(privacy)),
        },
    }
}

/// From whom, in a few words.
fn trust(privacy: &PrivacySummary) -> &'static str {
    match privacy.placement {
        NoisePlacement::Central => "from everybody but the coordinator, which is trusted",
        NoisePlacement::Local => "from everybody, the coordinator included",
    }
}

/// Why a guarantee says next to nothing.
fn weak(privacy: &PrivacySummary, unit: &Unit) -> String {
    if AgainstUnits::of(privacy) == AgainstUnits::TooLarge {
        return format!(
            "Weak protection: delta is {}, which isn't below one over the number of units, so that \
             {} may leak whole.",
            privacy
                .delta
                .map_or(figures::NONE.into(), figures::parameter),
            unit.one,
        );
    }
    format!(
        "Weak protection: epsilon is {} for {}, and above {MODERATE} a guarantee says next to \
         nothing.",
        privacy
            .epsilon_guaranteed()
            .map_or(figures::NONE.into(), figures::epsilon),
        unit.one,
    )
}

/// What that leaves to an attacker.
fn attack(strength: &Strength) -> String {
    format!(
        "What is left to an attacker: whoever wrongly suspects 1 % of those who weren't there finds \
         at most {} of those who were.",
        figures::share(strength.true_positives)
    )
}

fn guarantee(privacy: &PrivacySummary, unit: &Unit) -> Vec<String> {
    let mut lines = vec![against_whom(privacy), how_well(privacy, unit)];
    if let (PrivacyUnit::Group, Some(rows)) = (privacy.unit, privacy.rows_per_group) {
        lines.push(format!(
            "Of each group at most {} took part.",
            rows_counted(rows)
        ));
    }
    lines
}

fn rows_counted(rows: usize) -> String {
    figures::counted(u32::try_from(rows).unwrap_or(u32::MAX), "row")
}

fn against_whom(privacy: &PrivacySummary) -> String {
    let known = "whatever else they know";
    match (privacy.placement, privacy.unit) {
        (NoisePlacement::Central, PrivacyUnit::Client) if privacy.sampling_rate < 1.0 => format!(
            "Against whom: anyone who sees every model that this run released, {known}, but not \
             which clients were drawn in which round."
        ),
        (NoisePlacement::Central, _) => {
            format!("Against whom: anyone who sees every model that this run released, {known}.")
        }
        (NoisePlacement::Local, PrivacyUnit::Client) => format!(
            "Against whom: the coordinator, and anyone who sees every update and every model, \
             {known}. Each client added all the noise that its own guarantee needs."
        ),
        (NoisePlacement::Local, _) => format!(
            "Against whom: the coordinator, the other sites, and anyone who sees every update and \
             every model, {known}. Each site added all the noise that its own guarantee needs."
        ),
    }
}

fn how_well(privacy: &PrivacySummary, unit: &Unit) -> String {
    let Some(epsilon) = privacy.epsilon_spent else {
        return "How well: unknown, since no epsilon was recorded.".into();
    };
    let delta = privacy
        .delta
        .map_or(figures::NONE.into(), figures::parameter);
    let (neighbours, comparison) = match privacy.adjacency {
        Adjacency::AddOrRemove => ("added or removed", "with it as without it"),
        Adjacency::ReplaceOne => (
            "replaced by another",
            "with it as with any other in its place",
        ),
        Adjacency::ZeroOut => (
            "replaced by an empty one",
            "with it as with an empty one in its place",
        ),
    };
    let worst = match privacy.placement {
        NoisePlacement::Local => " (of the site that spent most)",
        NoisePlacement::Central => "",
    };
    let guaranteed = match privacy.epsilon_budget {
        Some(budget) if privacy.spans_runs => budget,
        _ => epsilon,
    };
    let several = match privacy.spans_runs {
        true => format!(
            " That is the budget over all runs on these rows, and the budget is what holds. {} \
             of it is spent so far; that figure alone is no guarantee.",
            figures::epsilon(epsilon)
        ),
        false => String::new(),
    };
    let likely = match figures::times_as_likely(guaranteed) {
        Some(times) => format!(
            "So whatever they see was at most {times} as likely {comparison}, plus a probability of \
             {delta}. Smaller is stronger."
        ),
        None => format!(
            "So whatever they see may have been more than a million times as likely {comparison}: \
             by itself, such an epsilon limits next to nothing."
        ),
    };
    format!(
        "How well: epsilon {}{worst} at delta {delta}, for {} {neighbours} ({}). {likely}{several}",
        figures::epsilon(guaranteed),
        unit.one,
        privacy.adjacency,
    )
}

/// What a run without a model has shown all the same.
fn without_a_model(privacy: &PrivacySummary) -> String {
    let seen = "Whatever sites sent before the run ended: the coordinator saw it";
    match (privacy.unit, privacy.placement) {
        (PrivacyUnit::None, _) => format!("{seen} as it was."),
        (_, NoisePlacement::Central) => format!(
            "{seen} before any noise was added. What was recorded as spent stays spent, in the \
             ledgers of both sides."
        ),
        (_, NoisePlacement::Local) => format!(
            "{seen}, with each site's own noise. What was recorded as spent stays spent, in the \
             ledgers of both sides."
        ),
    }
}

fn without_privacy() -> Vec<String> {
    vec![
        "Against those who see a released model: it may repeat what single rows say.".into(),
        "Against the coordinator: it sees each site's update as it is, and rows can be \
         reconstructed from updates."
            .into(),
    ]
}

fn seeded_noise() -> String {
    "Anything, against those who know or guess the seed: they can compute the noise and take it \
     off. Each epsilon in this report is what the same run would spend with noise that nobody can \
     predict."
        .into()
}

/// Where this unit's and this placement's guarantee ends.
fn beyond_the_guarantee(privacy: &PrivacySummary, unit: &Unit) -> Vec<String> {
    let mut lines = Vec::new();
    if privacy.placement == NoisePlacement::Central {
        lines.push(match privacy.unit {
            PrivacyUnit::Client => {
                "Against the coordinator: it sees each client's update before the noise is added, \
                 and is trusted to neither use it nor pass it on."
                    .into()
            }
            _ => "Against the coordinator: it sees each site's sum before the noise is added, and \
                  is trusted to neither use it nor pass it on."
                .to_owned(),
        });
    }
    lines.push(match privacy.unit {
        PrivacyUnit::Group => {
            "Somebody who appears at several sites, or under several names at one: each share is \
             protected by itself, and their epsilons add up."
                .into()
        }
        PrivacyUnit::Client => {
            "Somebody whose rows several clients hold: each client is protected by itself, and \
             their epsilons add up."
                .into()
        }
        _ => {
            "Somebody who wrote several rows: each row is protected by itself, and their epsilons \
              add up. Where a column says whom a row is about, the unit \"group\" protects the \
              person."
                .to_owned()
        }
    });
    if privacy.adjacency != Adjacency::AddOrRemove {
        lines.push(format!(
            "That {} was there at all: only what it says.",
            unit.one
        ));
    }
    lines
}

/// What no run hides, whatever its unit.
fn in_every_run(privacy: &PrivacySummary, unit: &Unit) -> Vec<String> {
    let mut lines = vec![
        "Rows of the evaluation files: they count as public, and every score here was computed on \
         them."
            .to_owned(),
        "The run's settings (labels, sampling rate, expected batch, largest counts), who was \
         configured to take part, how much each sent and how long it took, which hints at how many \
         rows it has."
            .into(),
    ];
    if privacy.unit != PrivacyUnit::None {
        lines.push(format!(
            "What the data say as a whole: that is what a model learns, with or without {}.",
            unit.one
        ));
        lines.push(
            "What other runs on the same data spent: epsilon here counts what this run's ledger \
             holds. Runs that are recorded elsewhere, trials included, come on top."
                .into(),
        );
    }
    lines
}
