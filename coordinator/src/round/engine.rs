//! The engine's states and its one transition function.

use std::collections::{BTreeMap, BTreeSet};

use umbel_proto::message::{BlobDigest, ClientId, Ending};

use super::event::{Action, Event, Participation, RefusedUpdate};

/// What a run demands of its rounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundSettings {
    /// Rounds to do.
    pub rounds: u32,
    /// Everybody who may take part.
    pub clients: BTreeSet<ClientId>,
    /// Clients that must have joined before the first round, and updates that a round needs.
    pub minimum: usize,
    /// Whether cohorts are a Poisson draw, which may be small or empty by chance: then a
    /// round needs no minimum of updates.
    pub sampled: bool,
    /// How often a round is tried.
    pub attempts: u32,
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for clients.
    Gathering,
    /// Waiting for the budget gate's word on this round.
    Gate {
        /// The round.
        round: u32,
        /// Tries before this one. Each is asked for: where sites add the noise, each costs.
        attempt: u32,
    },
    /// Waiting for the cohort.
    Draw {
        /// The round.
        round: u32,
        /// Tries before this one.
        attempt: u32,
    },
    /// Taking updates.
    Collecting {
        /// The round.
        round: u32,
        /// Tries before this one.
        attempt: u32,
        /// Who may send one.
        cohort: Vec<ClientId>,
        /// Who has, and its digest.
        received: BTreeMap<ClientId, BlobDigest>,
    },
    /// The sum is closed; waiting for the ledger.
    Spending {
        /// The round.
        round: u32,
        /// Who took part.
        participation: Participation,
    },
    /// The round is paid for; waiting for its result.
    Releasing {
        /// The round.
        round: u32,
    },
    /// Over.
    Done(Ending),
}

/// A run's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    settings: RoundSettings,
    present: BTreeSet<ClientId>,
    phase: Phase,
    done: u32,
}

impl Engine {
    /// A run that waits for its clients.
    pub fn new(settings: RoundSettings) -> Self {
        Self {
            settings,
            present: BTreeSet::new(),
            phase: Phase::Gathering,
            done: 0,
        }
    }

    /// Where the run stands.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The clients that have joined and not left.
    pub fn present(&self) -> &BTreeSet<ClientId> {
        &self.present
    }

    /// Rounds whose result is out.
    pub fn rounds_done(&self) -> u32 {
        self.done
    }

    /// Whether this update would count now: `Ok(true)` if it does, `Ok(false)` if the very
    /// same one counts already.
    ///
    /// # Errors
    /// [`RefusedUpdate`] says why it can't count.
    pub fn admits(
        &self,
        client: &ClientId,
        round: u32,
        digest: &BlobDigest,
    ) -> Result<bool, RefusedUpdate> {
        match &self.phase {
            Phase::Collecting {
                round: open,
                cohort,
                received,
                ..
            } if *open == round => {
                if !cohort.contains(client) {
                    return Err(RefusedUpdate::NotInCohort);
                }
                match received.get(client) {
                    None => Ok(true),
                    Some(earlier) if earlier == digest => Ok(false),
                    Some(_) => Err(RefusedUpdate::Conflicting),
                }
            }
            _ => Err(RefusedUpdate::Closed(round)),
        }
    }

    /// Takes an event and says what is to be done. An event that means nothing in the present
    /// phase (a late update, a deadline of a closed round) changes nothing.
    #[must_use]
    pub fn handle(mut self, event: Event) -> (Self, Vec<Action>) {
        match event {
            Event::Joined(ref client) if self.settings.clients.contains(client) => {
                self.present.insert(client.clone());
            }
            Event::Left(ref client) => {
                self.present.remove(client);
            }
            _ => {}
        }
        let actions = self.advance(event);
        (self, actions)
    }

    fn advance(&mut self, event: Event) -> Vec<Action> {
        if let Event::Broken(reason) = event {
            return self.finish(Ending::Failed { reason });
        }
        match (std::mem::replace(&mut self.phase, Phase::Gathering), event) {
            (Phase::Gathering, Event::Joined(_)) => self.begin_if_all_are_here(),
            (Phase::Gathering, Event::GatheringOver) => self.begin_if_enough_are_here(),
            (Phase::Gate { round, attempt }, Event::RoundPermitted) => self.draw(round, attempt),
            (Phase::Gate { round, .. }, Event::BudgetExhausted) => {
                self.finish(Ending::BudgetExhausted { rounds: round - 1 })
            }
            (Phase::Draw { round, attempt }, Event::CohortDrawn(cohort)) => {
                self.open(round, attempt, cohort)
            }
            (
                Phase::Collecting {
                    round,
                    attempt,
                    cohort,
                    mut received,
                },
                Event::UpdateArrived {
                    client,
                    round: of,
                    digest,
                },
            ) => {
                let counts =
                    of == round && cohort.contains(&client) && !received.contains_key(&client);
                let mut actions = Vec::new();
                if counts {
                    received.insert(client.clone(), digest);
                    actions.push(Action::Count(client));
                }
                actions.extend(self.collect(round, attempt, cohort, received));
                actions
            }
            (
                Phase::Collecting {
                    round,
                    attempt,
                    cohort,
                    received,
                },
                Event::Left(_),
            ) => self.collect(round, attempt, cohort, received),
            (
                Phase::Collecting {
                    round,
                    attempt,
                    cohort,
                    received,
                },
                Event::DeadlinePassed,
            ) => self.close(round, attempt, &cohort, &received),
            (
                Phase::Spending {
                    round,
                    participation,
                },
                Event::SpendRecorded,
            ) => {
                self.phase = Phase::Releasing { round };
                vec![Action::Release {
                    round,
                    participation,
                }]
            }
            (Phase::Releasing { round }, Event::Released) => {
                self.done = round;
                if round < self.settings.rounds {
                    self.ask_gate(round + 1, 0)
                } else {
                    self.finish(Ending::Complete)
                }
            }
            // Before the gate is asked again: no later round may cost anything.
            (Phase::Releasing { round }, Event::Diverged) => {
                self.done = round;
                self.finish(Ending::Diverged { round })
            }
            (unchanged, _) => {
                self.phase = unchanged;
                Vec::new()
            }
        }
    }

    fn begin_if_all_are_here(&mut self) -> Vec<Action> {
        if self.present == self.settings.clients {
            self.ask_gate(1, 0)
        } else {
            self.phase = Phase::Gathering;
            Vec::new()
        }
    }

    fn begin_if_enough_are_here(&mut self) -> Vec<Action> {
        if self.present.len() >= self.settings.minimum.max(1) {
            return self.ask_gate(1, 0);
        }
        let absent: Vec<&str> = self
            .settings
            .clients
            .difference(&self.present)
            .map(ClientId::as_str)
            .collect();
        let reason = format!(
            "{} of at least {} clients joined in time; not seen: {}",
            self.present.len(),
            self.settings.minimum.max(1),
            absent.join(", ")
        );
        self.finish(Ending::Failed { reason })
    }

    fn ask_gate(&mut self, round: u32, attempt: u32) -> Vec<Action> {
        self.phase = Phase::Gate { round, attempt };
        vec![Action::AskGate { round }]
    }

    fn draw(&mut self, round: u32, attempt: u32) -> Vec<Action> {
        self.phase = Phase::Draw { round, attempt };
        vec![Action::DrawCohort { round, attempt }]
    }

    fn open(&mut self, round: u32, attempt: u32, cohort: Vec<ClientId>) -> Vec<Action> {
        let cohort: Vec<ClientId> = self
            .settings
            .clients
            .iter()
            .filter(|client| cohort.contains(client))
            .cloned()
            .collect();
        let mut actions = vec![Action::Open {
            round,
            cohort: cohort.clone(),
        }];
        actions.extend(self.collect(round, attempt, cohort, BTreeMap::new()));
        actions
    }

    /// Goes on collecting, or closes the round if nobody is left to wait for or too few are.
    fn collect(
        &mut self,
        round: u32,
        attempt: u32,
        cohort: Vec<ClientId>,
        received: BTreeMap<ClientId, BlobDigest>,
    ) -> Vec<Action> {
        let awaited = cohort
            .iter()
            .filter(|client| self.present.contains(client) && !received.contains_key(client))
            .count();
        if awaited == 0 || received.len() + awaited < self.needed() {
            return self.close(round, attempt, &cohort, &received);
        }
        self.phase = Phase::Collecting {
            round,
            attempt,
            cohort,
            received,
        };
        Vec::new()
    }

    /// Updates that a round needs.
    fn needed(&self) -> usize {
        if self.settings.sampled {
            0
        } else {
            self.settings.minimum
        }
    }

    fn close(
        &mut self,
        round: u32,
        attempt: u32,
        cohort: &[ClientId],
        received: &BTreeMap<ClientId, BlobDigest>,
    ) -> Vec<Action> {
        let needed = self.needed();
        if received.len() >= needed {
            self.phase = Phase::Spending {
                round,
                participation: Participation::of(cohort, received),
            };
            return vec![Action::RecordSpend { round }];
        }
        if attempt + 1 < self.settings.attempts && self.present.len() >= needed {
            return self.ask_gate(round, attempt + 1);
        }
        let missing: Vec<String> = Participation::of(cohort, received)
            .missing
            .iter()
            .map(ToString::to_string)
            .collect();
        let reason = format!(
            "round {round} got {} of at least {needed} updates in {} attempts; missing: {}",
            received.len(),
            attempt + 1,
            missing.join(", ")
        );
        self.finish(Ending::Failed { reason })
    }

    fn finish(&mut self, ending: Ending) -> Vec<Action> {
        self.phase = Phase::Done(ending.clone());
        vec![Action::Finish(ending)]
    }
}
