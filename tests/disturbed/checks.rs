//! What must hold after any run, whatever happened to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use umbel_privacy::ledger::{LedgerEntry, chain};
use umbel_proto::message::{ClientId, Ending};

use crate::coordinator::MACHINE;
use crate::faults::Faults;
use crate::life::{self, Life, closed_sets};
use crate::setting::{CLIENTS, ROUNDS, Setting, client};
use crate::world::World;

/// The models of runs that nothing happened to, by who gave in which round.
#[derive(Default)]
pub struct References(Mutex<BTreeMap<String, Vec<u32>>>);

fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// Checks everything.
///
/// # Errors
/// What doesn't hold.
pub fn all(life: &Life, references: &References) -> Result<(), String> {
    let outcome = &life.outcome;
    require(
        outcome.ending == Ending::Complete && outcome.rounds == ROUNDS,
        || {
            format!(
                "it ended with {:?} after {}",
                outcome.ending, outcome.rounds
            )
        },
    )?;
    what_left_is_paid_for_once(&life.world)?;
    the_coordinator_paid_once(&life.world)?;
    let found = bits(life);
    let expected = references.of(life)?;
    require(found == expected, || {
        format!("the model is {found:?}, and undisturbed {expected:?}")
    })
}

fn bits(life: &Life) -> Vec<u32> {
    let kept = life.outcome.kept.as_ref();
    let parameters = kept.map(|(_, parameters)| parameters.iter().map(|w| w.to_bits()));
    parameters.map(Iterator::collect).unwrap_or_default()
}

fn entries(world: &World, of: &str) -> Result<Vec<LedgerEntry>, String> {
    let path = world.folder(of).join("ledger.jsonl");
    let bytes = std::fs::read(path).unwrap_or_default();
    let chain = chain::verify(&bytes).map_err(|e| format!("{of}'s ledger: {e}"))?;
    Ok(chain.entries)
}

/// Each site sent one update of a round at most, and its ledger has one entry for each that it
/// sent, and no round twice.
fn what_left_is_paid_for_once(world: &World) -> Result<(), String> {
    let seen = world.seen();
    for ((site, round), updates) in &seen.sent {
        require(updates.len() == 1, || {
            format!("{site} sent {} updates of round {round}", updates.len())
        })?;
    }
    for site in CLIENTS {
        let entries = entries(world, site)?;
        if world.setting.is_independent() {
            require(entries.len() == 1, || {
                format!("{site} paid {} times for the plan", entries.len())
            })?;
            continue;
        }
        for round in 1..=ROUNDS {
            let paid = entries
                .iter()
                .filter(|e| e.round == u64::from(round))
                .count();
            let sent = seen.sent.contains_key(&(client(site), round));
            let fair = if sent { paid == 1 } else { paid <= 1 };
            require(fair, || {
                format!("{site} paid {paid} times for round {round}, sent: {sent}")
            })?;
        }
    }
    Ok(())
}

/// Each round was published once, and has one entry.
fn the_coordinator_paid_once(world: &World) -> Result<(), String> {
    for (round, parameters) in &world.seen().published {
        require(parameters.len() == 1, || {
            format!("round {round} began with {} models", parameters.len())
        })?;
    }
    let entries = entries(world, MACHINE)?;
    let rounds: Vec<u64> = entries.iter().map(|entry| entry.round).collect();
    let expected: Vec<u64> = (1..=u64::from(ROUNDS)).collect();
    require(rounds == expected, || {
        format!("the coordinator's ledger has rounds {rounds:?}")
    })
}

impl References {
    /// The model of a run in which the same clients gave, and nothing went wrong.
    fn of(&self, life: &Life) -> Result<Vec<u32>, String> {
        let closed = closed_sets(&life.world);
        let absent = absent(&closed);
        let setting = Setting {
            absent,
            takes: None,
            ..life.world.setting.clone()
        };
        let name = format!("{setting:?}");
        if let Some(known) = self.lock().get(&name) {
            return Ok(known.clone());
        }
        let undisturbed = life::live(0, setting, &Faults::none());
        let undisturbed = undisturbed.map_err(|e| format!("undisturbed: {e}"))?;
        let again = closed_sets(&undisturbed.world);
        require(again == closed, || {
            format!("the reference was closed with {again:?} instead of {closed:?}")
        })?;
        let bits = bits(&undisturbed);
        self.lock().insert(name, bits.clone());
        Ok(bits)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<u32>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn absent(closed: &BTreeMap<u32, BTreeSet<ClientId>>) -> BTreeSet<(ClientId, u32)> {
    let everybody = CLIENTS.map(client);
    let of = |(round, gave): (&u32, &BTreeSet<ClientId>)| {
        let absent = everybody.iter().filter(|name| !gave.contains(*name));
        let absent: Vec<_> = absent.map(|name| (name.clone(), *round)).collect();
        absent
    };
    closed.iter().flat_map(of).collect()
}
