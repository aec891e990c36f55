//! What an operator is told of a run while it goes on.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::lobby::{Lobby, Standing};

/// How a run stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// What it is doing, in words.
    pub doing: String,
    /// Rounds whose result is out.
    pub rounds_done: u32,
    /// Rounds that are planned.
    pub rounds_planned: u32,
    /// Epsilon spent on the data set; `None` without privacy.
    pub epsilon: Option<f64>,
    /// When the open round closes at the latest, in seconds since 1970.
    pub closes_at: Option<u64>,
    /// Whether the operator holds the run back before its next round.
    pub held: bool,
    /// Whether the run is about to stop, to be gone on with.
    pub stopping: bool,
    /// Each client. Who took part in what is for the operator alone where the client is the unit.
    pub clients: Vec<ClientStatus>,
}

/// How a client stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStatus {
    /// Its name.
    pub name: String,
    /// What it is doing, as far as that is known.
    pub state: String,
    /// Its updates that count.
    pub counted: u32,
    /// Rounds that it missed.
    pub missed: u32,
    /// Its updates that were refused.
    pub refused: u32,
}

impl Status {
    /// How the run stands now.
    pub(super) fn of(lobby: &Lobby) -> Self {
        let standing: Standing = lobby.standing();
        Self {
            doing: standing.doing,
            rounds_done: standing.rounds_done,
            rounds_planned: standing.rounds_planned,
            epsilon: standing.epsilon,
            closes_at: standing.closes_at,
            held: standing.held,
            stopping: standing.stopping,
            clients: standing
                .clients
                .into_iter()
                .map(|(name, state, attendance)| ClientStatus {
                    name: name.to_string(),
                    state: state.to_string(),
                    counted: attendance.counted,
                    missed: attendance.missed,
                    refused: attendance.refused,
                })
                .collect(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} of {} rounds are done; {}",
            self.rounds_done, self.rounds_planned, self.doing
        )?;
        if let Some(epsilon) = self.epsilon {
            writeln!(f, "epsilon spent: {epsilon:.4}")?;
        }
        if self.held {
            writeln!(
                f,
                "held back: no round begins before `umbel-coordinator resume`"
            )?;
        }
        if self.stopping {
            writeln!(
                f,
                "about to stop; `umbel-coordinator serve` goes on with the run"
            )?;
        }
        let longest = self.clients.iter().map(|client| client.name.len()).max();
        let width = longest.unwrap_or_default().max("client".len());
        writeln!(
            f,
            "\n{:width$}  {:>7}  {:>6}  {:>7}  state",
            "client", "counted", "missed", "refused"
        )?;
        for client in &self.clients {
            writeln!(
                f,
                "{:width$}  {:>7}  {:>6}  {:>7}  {}",
                client.name, client.counted, client.missed, client.refused, client.state
            )?;
        }
        Ok(())
    }
}
