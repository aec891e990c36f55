//! A rehearsal: a few rounds of a run on rows that the sites make up, with everything else as it
//! will be.
//!
//! Model, plan, noise, network, devices and the sites' own checks are those of the run. Ledger and
//! folder are for the rehearsal alone and are gone afterwards, and nothing is certified: nothing
//! was learnt from anybody.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;

use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::{ClientId, Ending};
use umbel_proto::plan::{Plan, PlanError, Rehearsal, Rounds};

use crate::config::RunConfig;
use crate::lobby::{Attendance, Lobby};
use crate::round::Phase;

/// Rounds of a rehearsal: the first one is the slowest, and the others tell the pace.
const ROUNDS: u32 = 3;

/// The folder of a rehearsal, which is gone with this.
pub(super) struct Stage {
    folder: PathBuf,
}

impl Stage {
    /// Sets a rehearsal up: what it writes goes into a folder of its own.
    ///
    /// # Errors
    /// What the system says where the folder can't be made.
    pub(super) fn set_up(config: &mut RunConfig) -> io::Result<Self> {
        let name = format!(".rehearsal-{}", std::process::id());
        let folder = config.run.out.join(name);
        fs::create_dir_all(&folder)?;
        let stage = Self { folder };
        config.run.out.clone_from(&stage.folder);
        config.privacy.ledger = Some(stage.folder.join("ledger.jsonl"));
        Ok(stage)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), "can't be removed: {error}");
        }
    }
}

/// The plan of a rehearsal of this plan.
///
/// # Errors
/// [`PlanError`], which isn't known to happen.
pub(super) fn of(plan: Plan) -> Result<Plan, PlanError> {
    let rounds = plan.rounds;
    let few = Rounds::try_from(rounds.get().min(ROUNDS)).unwrap_or(rounds);
    plan.changed(|plan| {
        plan.rounds = few;
        plan.rehearsal = Some(Rehearsal { rounds });
    })
}

/// What a rehearsal came to.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    rounds: u32,
    planned: u32,
    /// Rounds of the run that was rehearsed.
    of: u32,
    /// Seconds of a round, where more than one tell.
    pace: Option<f64>,
    clients: BTreeMap<ClientId, Attendance>,
    ending: String,
}

impl Rehearsed {
    /// What this lobby's run came to, whose rounds were done after so many `seconds`.
    pub(super) fn of(plan: &Plan, lobby: &Lobby, seconds: &[f64]) -> Self {
        // The first round waits for sites to come, and warms everything up.
        let pace = match seconds {
            [first, .., last] => Some((last - first) / (seconds.len() - 1) as f64),
            _ => None,
        };
        Self {
            rounds: lobby.rounds_done(),
            planned: plan.rounds.get(),
            of: plan.rehearsal.map_or(plan.rounds, |r| r.rounds).get(),
            pace,
            clients: lobby.attendance(),
            ending: match lobby.phase() {
                Phase::Done(Ending::Complete) => "it came to its end".into(),
                Phase::Done(Ending::Failed { reason }) => format!("it failed: {reason}"),
                Phase::Done(Ending::BudgetExhausted { .. }) => "its budget ended".into(),
                Phase::Done(Ending::Diverged { round }) => Ending::divergence(round),
                _ => "it was stopped".into(),
            },
        }
    }

    /// Whether every site gave in every round.
    pub fn went_well(&self) -> bool {
        let mut clients = self.clients.values();
        self.rounds == self.planned && clients.all(|client| client.counted >= self.planned)
    }

    /// The exit code that says so.
    pub fn exit_kind(&self) -> ExitKind {
        match self.went_well() {
            true => ExitKind::Success,
            false => ExitKind::RunFailed,
        }
    }

    /// One object for machines.
    pub fn as_json(&self) -> serde_json::Value {
        let clients = self.clients.iter().map(|(name, client)| {
            serde_json::json!({
                "name": name.to_string(),
                "rounds_taken_part": client.counted,
                "refused_updates": client.refused,
                "fate": self.fate(client),
            })
        });
        serde_json::json!({
            "rehearsal": true,
            "went_well": self.went_well(),
            "ending": self.ending,
            "rounds": self.rounds,
            "rounds_rehearsed": self.planned,
            "rounds_planned": self.of,
            "seconds_a_round": self.pace,
            "clients": clients.collect::<Vec<_>>(),
        })
    }

    fn fate(&self, client: &Attendance) -> String {
        match (client.left, &client.last_refusal) {
            _ if client.counted >= self.planned => "took part in all rounds".into(),
            _ if !client.joined => "never joined".into(),
            (Some(why), _) => format!("left: {why}; its own log says more"),
            (None, Some(refusal)) => format!("an update was refused: {refusal}"),
            (None, None) => "wasn't there in every round".into(),
        }
    }
}

impl fmt::Display for Rehearsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rounds, planned) = (self.rounds, self.planned);
        writeln!(
            f,
            "Rehearsal: {rounds} of {planned} rounds on rows that the sites made up; {}",
            self.ending
        )?;
        let longest = self.clients.keys().map(|name| name.as_str().len()).max();
        let width = longest.unwrap_or_default();
        for (name, client) in &self.clients {
            writeln!(f, "  {:width$}  {}", name.as_str(), self.fate(client))?;
        }
        if let Some(pace) = self.pace {
            writeln!(
                f,
                "  {pace:.1} s a round, so about {:.0} s for all {} rounds",
                pace * f64::from(self.of),
                self.of
            )?;
        }
        match self.went_well() {
            true => writeln!(
                f,
                "Nothing was spent, and nothing is kept. The run itself begins without --rehearse."
            ),
            false => writeln!(
                f,
                "Nothing was spent, and nothing is kept. Mend what is named above, and rehearse again."
            ),
        }
    }
}
