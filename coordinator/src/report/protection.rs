//! What a run protects, from whom, and what it doesn't: in sentences for everybody.

use umbel_privacy::unit::{Adjacency, NoisePlacement, PrivacyUnit};
use umbel_proto::plan::mechanism::LEAST_NOISE_MULTIPLIER;

use super::figures;
use super::level::{AgainstUnits, Level, MODERATE, has_weak_noise};
use super::run_summary::{PrivacySummary, PromiseSummary, RunSummary};
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
        let promise = run.privacy.promise.as_ref();
        let mut not_protected = vec![without_a_model(promise)];
        not_protected.extend(in_every_run(promise));
        Self {
            headline: headline.into(),
            level: Level::Nobody,
            protected: Vec::new(),
            not_protected,
        }
    }

    /// The statement for a run that left a model.
    pub fn of(privacy: &PrivacySummary) -> Self {
        let promise = privacy.promise.as_ref();
        let mut not_protected = match promise {
            None => without_privacy(),
            Some(_) if privacy.seeded => vec![seeded_noise()],
            Some(_) => Vec::new(),
        };
        not_protected.extend(promise.into_iter().flat_map(beyond_the_guarantee));
        not_protected.extend(in_every_run(promise));
        let kept = privacy.kept();
        let level = kept.map_or(Level::Nobody, Level::of);
        let headline = match (promise, kept) {
            (None, _) => "No privacy protection: this run protects nobody.".into(),
            (Some(_), None) => {
                "This run was seeded: its noise can be predicted and it protects nobody.".into()
            }
            (_, Some(kept)) => headline(kept, level),
        };
        Self {
            headline,
            level,
            protected: kept.map(guarantee).unwrap_or_default(),
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
    fn of(promise: &PromiseSummary) -> Self {
        let column = promise.group_column.as_deref().unwrap_or("group");
        let (one, presence, content) = match promise.unit {
            PrivacyUnit::Record => (
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
            secret: match promise.adjacency {
                Adjacency::AddOrRemove => presence,
                Adjacency::ReplaceOne | Adjacency::ZeroOut => content,
            },
        }
    }
}

/// The headline of a promise that holds.
fn headline(promise: &PromiseSummary, level: Level) -> String {
    let Unit { secret, .. } = Unit::of(promise);
    if has_weak_noise(promise) {
        return format!(
            "Next to no protection: the noise multiplier is {}, below {LEAST_NOISE_MULTIPLIER}, \
             where a guarantee says next to nothing.",
            figures::parameter(promise.noise_multiplier)
        );
    }
    match level {
        Level::Nobody => "No epsilon is recorded: this run protects nobody.".into(),
        Level::Weak => weak(promise),
        Level::Moderate => format!("Moderate protection of {secret}, {}.", trust(promise)),
        Level::Strong => format!("Strong protection of {secret}, {}.", trust(promise)),
    }
}

/// From whom, in a few words.
fn trust(promise: &PromiseSummary) -> &'static str {
    match promise.placement {
        NoisePlacement::Central => "from everybody but the coordinator, which is trusted",
        NoisePlacement::Local => "from everybody, the coordinator included",
    }
}

/// Why a guarantee says next to nothing.
fn weak(promise: &PromiseSummary) -> String {
    let Unit { one, .. } = Unit::of(promise);
    if AgainstUnits::of(promise) == AgainstUnits::TooLarge {
        return format!(
            "Weak protection: delta is {}, which isn't below one over the number of units, so that \
             {one} may leak whole.",
            figures::parameter(promise.delta)
        );
    }
    format!(
        "Weak protection: epsilon is {} for {one}, and above {MODERATE} a guarantee says next to \
         nothing.",
        figures::epsilon(promise.epsilon()),
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

fn guarantee(promise: &PromiseSummary) -> Vec<String> {
    let mut lines = vec![against_whom(promise), how_well(promise)];
    if let (PrivacyUnit::Group, Some(rows)) = (promise.unit, promise.rows_per_group) {
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

fn against_whom(promise: &PromiseSummary) -> String {
    let known = "whatever else they know";
    let amplified = promise.accounted_sampling_rate < 1.0;
    match (promise.placement, promise.unit) {
        (NoisePlacement::Central, PrivacyUnit::Client) if amplified => format!(
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

fn how_well(promise: &PromiseSummary) -> String {
    let Unit { one, .. } = Unit::of(promise);
    let delta = figures::parameter(promise.delta);
    let (neighbours, comparison) = match promise.adjacency {
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
    let worst = match promise.placement {
        NoisePlacement::Local => " (of the site that spent most)",
        NoisePlacement::Central => "",
    };
    let guaranteed = promise.epsilon();
    let several = match promise.spans_runs {
        true => format!(
            " That is the budget over all runs on these rows, and the budget is what holds. {} \
             of it is spent so far; that figure alone is no guarantee.",
            figures::epsilon(promise.epsilon_spent)
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
        "How well: epsilon {}{worst} at delta {delta}, for {one} {neighbours} ({}). {likely}{several}",
        figures::epsilon(guaranteed),
        promise.adjacency,
    )
}

/// What a run without a model has shown all the same.
fn without_a_model(promise: Option<&PromiseSummary>) -> String {
    let seen = "Whatever sites sent before the run ended: the coordinator saw it";
    match promise.map(|promise| promise.placement) {
        None => format!("{seen} as it was."),
        Some(NoisePlacement::Central) => format!(
            "{seen} before any noise was added. What was recorded as spent stays spent, in the \
             ledgers of both sides."
        ),
        Some(NoisePlacement::Local) => format!(
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
fn beyond_the_guarantee(promise: &PromiseSummary) -> Vec<String> {
    let mut lines = Vec::new();
    if promise.placement == NoisePlacement::Central {
        lines.push(match promise.unit {
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
    lines.push(match promise.unit {
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
    if promise.adjacency != Adjacency::AddOrRemove {
        lines.push(format!(
            "That {} was there at all: only what it says.",
            Unit::of(promise).one
        ));
    }
    lines
}

/// What no run hides, whatever its unit.
fn in_every_run(promise: Option<&PromiseSummary>) -> Vec<String> {
    let mut lines = vec![
        "Rows of the evaluation files: they count as public, and every score here was computed on \
         them."
            .to_owned(),
        "The run's settings (labels, sampling rate, expected batch, largest counts), who was \
         configured to take part, how much each sent and how long it took, which hints at how many \
         rows it has."
            .into(),
    ];
    if let Some(promise) = promise {
        lines.push(format!(
            "What the data say as a whole: that is what a model learns, with or without {}.",
            Unit::of(promise).one
        ));
        lines.push(
            "What other runs on the same data spent: epsilon here counts what this run's ledger \
             holds. Runs that are recorded elsewhere, trials included, come on top."
                .into(),
        );
    }
    lines
}
