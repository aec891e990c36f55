//! The engine as simply as it can be written: everything is looked for and counted anew at each
//! event, and no count is kept. It is slow, and easy to compare with what ARCHITECTURE says.

use std::collections::BTreeMap;

use umbel_coordinator::round::{Action, Event, Participation, RoundSettings};
use umbel_proto::message::{BlobDigest, ClientId, Ending};

#[derive(Clone, Debug, PartialEq)]
enum At {
    Gathering,
    Paused,
    Gate,
    Draw,
    Collecting,
    Spending,
    Releasing,
    Done,
}

#[derive(Clone, Debug)]
pub struct Reference {
    settings: RoundSettings,
    at: At,
    round: u32,
    attempt: u32,
    done: u32,
    present: Vec<ClientId>,
    departed: Vec<ClientId>,
    cohort: Vec<ClientId>,
    updates: BTreeMap<ClientId, BlobDigest>,
    stopping: bool,
}

impl Reference {
    pub fn new(settings: RoundSettings) -> Self {
        Self {
            settings,
            at: At::Gathering,
            round: 1,
            attempt: 0,
            done: 0,
            present: Vec::new(),
            departed: Vec::new(),
            cohort: Vec::new(),
            updates: BTreeMap::new(),
            stopping: false,
        }
    }

    pub fn rounds_done(&self) -> u32 {
        self.done
    }

    pub fn present(&self) -> &[ClientId] {
        &self.present
    }

    /// `Some(true)`: it would count; `Some(false)`: it counts already; `None`: it can't count.
    pub fn admits(&self, client: &ClientId, round: u32, digest: &BlobDigest) -> Option<bool> {
        if self.at != At::Collecting || self.round != round || !self.cohort.contains(client) {
            return None;
        }
        match self.updates.get(client) {
            None => Some(true),
            Some(earlier) => (earlier == digest).then_some(false),
        }
    }

    pub fn handle(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Joined(client) if self.settings.clients.contains(&client) => {
                self.departed.retain(|departed| *departed != client);
                if !self.present.contains(&client) {
                    self.present.push(client);
                }
                if self.at == At::Paused && self.enough() {
                    return self.ask_gate();
                }
                return self.begin_if_all_are_known();
            }
            Event::Left(client) => {
                self.present.retain(|present| *present != client);
                if self.at == At::Gathering && self.settings.clients.contains(&client) {
                    self.departed.retain(|departed| *departed != client);
                    self.departed.push(client);
                    return self.begin_if_all_are_known();
                }
                return self.close_if_in_vain();
            }
            Event::GatheringOver if self.at == At::Gathering => {
                return if self.enough() {
                    self.ask_gate()
                } else {
                    self.pause()
                };
            }
            Event::DeadlinePassed if self.at == At::Paused => return self.give_up(),
            Event::RoundPermitted if self.at == At::Gate => {
                self.at = At::Draw;
                return vec![Action::DrawCohort {
                    round: self.round,
                    attempt: self.attempt,
                }];
            }
            Event::BudgetExhausted if self.at == At::Gate => {
                let rounds = self.round - 1;
                return self.finish(Ending::BudgetExhausted { rounds });
            }
            Event::CohortDrawn(drawn) if self.at == At::Draw => {
                let known = self.settings.clients.iter();
                self.cohort = known.filter(|c| drawn.contains(c)).cloned().collect();
                self.updates.clear();
                self.at = At::Collecting;
                let open = Action::Open {
                    round: self.round,
                    attempt: self.attempt,
                    cohort: self.cohort.clone(),
                };
                return [vec![open], self.close_if_in_vain()].concat();
            }
            Event::UpdateArrived {
                client,
                round,
                digest,
            } if self.admits(&client, round, &digest) == Some(true) => {
                self.updates.insert(client.clone(), digest);
                let closed = self.close_if_in_vain();
                return [vec![Action::Count(client)], closed, self.grace()].concat();
            }
            Event::DeadlinePassed if self.at == At::Collecting => return self.close(),
            Event::SpendRecorded if self.at == At::Spending => {
                self.at = At::Releasing;
                return vec![Action::Release {
                    round: self.round,
                    participation: self.participation(),
                }];
            }
            Event::Released if self.at == At::Releasing => {
                self.done = self.round;
                if self.round == self.settings.rounds {
                    return self.finish(Ending::Complete);
                }
                self.round += 1;
                self.attempt = 0;
                return self.ask_gate();
            }
            Event::Diverged { round } => {
                if self.at == At::Releasing && round == self.round {
                    self.done = round;
                    return self.finish(Ending::Diverged { round });
                }
                let is_out = (1..=self.done).contains(&round);
                if is_out && !matches!(self.at, At::Releasing | At::Done) {
                    return self.finish(Ending::Diverged { round });
                }
            }
            Event::Stop => {
                self.stopping = true;
                let idle = [At::Gathering, At::Paused, At::Gate, At::Draw];
                if idle.contains(&self.at) {
                    return self.finish(Ending::Stopped { rounds: self.done });
                }
            }
            Event::Broken(reason) => return self.finish(Ending::Failed { reason }),
            _ => {}
        }
        vec![]
    }

    fn enough(&self) -> bool {
        self.present.len() >= self.settings.minimum.max(1)
    }

    fn begin_if_all_are_known(&mut self) -> Vec<Action> {
        let mut all = self.settings.clients.iter();
        let known = |c: &ClientId| self.present.contains(c) || self.departed.contains(c);
        if self.at != At::Gathering || !all.all(known) {
            return vec![];
        }
        match (self.enough(), self.settings.patient) {
            (true, _) => self.ask_gate(),
            (false, true) => vec![],
            (false, false) => self.give_up(),
        }
    }

    fn absent(&self) -> Vec<ClientId> {
        let all = self.settings.clients.iter();
        all.filter(|c| !self.present.contains(c)).cloned().collect()
    }

    fn pause(&mut self) -> Vec<Action> {
        if !self.settings.patient {
            return self.give_up();
        }
        self.at = At::Paused;
        vec![Action::Pause {
            round: self.round,
            missing: self.absent(),
        }]
    }

    fn give_up(&mut self) -> Vec<Action> {
        let reason = format!(
            "{} of at least {} clients are here, and the others didn't come in time: {}",
            self.present.len(),
            self.settings.minimum.max(1),
            names(self.absent().iter())
        );
        self.finish(Ending::Failed { reason })
    }

    fn ask_gate(&mut self) -> Vec<Action> {
        if self.stopping {
            let rounds = self.done;
            return self.finish(Ending::Stopped { rounds });
        }
        self.at = At::Gate;
        vec![Action::AskGate { round: self.round }]
    }

    fn finish(&mut self, ending: Ending) -> Vec<Action> {
        self.at = At::Done;
        vec![Action::Finish(ending)]
    }

    fn needed(&self) -> usize {
        if self.settings.independent {
            0
        } else {
            self.settings.minimum
        }
    }

    fn participation(&self) -> Participation {
        let gave = |client: &ClientId| self.updates.contains_key(client);
        let (counted, missing) = self.cohort.iter().cloned().partition(gave);
        Participation { counted, missing }
    }

    fn close_if_in_vain(&mut self) -> Vec<Action> {
        let all = self.settings.independent && self.settings.patient;
        let awaited = self.cohort.iter().filter(|client| {
            (all || self.present.contains(client)) && !self.updates.contains_key(client)
        });
        let awaited = awaited.count();
        let in_vain = awaited == 0 || self.updates.len() + awaited < self.needed();
        let waits = all && !self.settings.closes_early;
        if self.at == At::Collecting && in_vain && !waits {
            return self.close();
        }
        vec![]
    }

    /// Once the updates are just enough.
    fn grace(&self) -> Vec<Action> {
        let given = self.updates.len();
        let is_enough = |given: usize| {
            let percent: usize = self.settings.quorum.unwrap_or(0).into();
            given * 100 >= self.cohort.len() * percent && given >= self.settings.minimum
        };
        let quorum = self.settings.quorum.is_some() && !self.settings.independent;
        let just_now = is_enough(given) && (given == 1 || !is_enough(given - 1));
        if self.at == At::Collecting && quorum && just_now {
            return vec![Action::GrantGrace {
                round: self.round,
                attempt: self.attempt,
            }];
        }
        vec![]
    }

    fn close(&mut self) -> Vec<Action> {
        let (given, needed) = (self.updates.len(), self.needed());
        if given >= needed {
            self.at = At::Spending;
            return vec![Action::RecordSpend { round: self.round }];
        }
        self.attempt += 1;
        if !self.enough() && self.settings.patient {
            return self.pause();
        }
        if self.attempt < self.settings.attempts && self.enough() {
            return self.ask_gate();
        }
        let reason = format!(
            "round {} got {given} of at least {needed} updates in {} attempts; missing: {}",
            self.round,
            self.attempt,
            names(self.participation().missing.iter())
        );
        self.finish(Ending::Failed { reason })
    }
}

fn names<'a>(clients: impl Iterator<Item = &'a ClientId>) -> String {
    let names: Vec<&str> = clients.map(ClientId::as_str).collect();
    names.join(", ")
}
