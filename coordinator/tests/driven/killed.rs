//! A coordinator that is killed at any write ends with the same model and the same ledger as
//! one that nobody disturbs.

use umbel_coordinator::run::Outcome;
use umbel_coordinator::store::Spool;
use umbel_privacy::ledger::chain;
use umbel_privacy::unit::NoisePlacement;
use umbel_proto::message::Ending;
use umbel_proto::plan::AgreedPlan;

use crate::harness;
use crate::machine::Machine;
use crate::power::{LastWrite, Power};

const ROUNDS: u32 = 3;
const LAST: [LastWrite; 3] = [LastWrite::Undone, LastWrite::Half, LastWrite::Done];

fn plan(placement: NoisePlacement, seed: Option<u64>) -> AgreedPlan {
    let plan = harness::plan_placed(placement, 50.0, ROUNDS);
    let changed = plan.changed(|plan| plan.seed = seed);
    changed.expect("a plan").into()
}

fn bits(outcome: &Outcome) -> Vec<u32> {
    let (round, parameters) = outcome.kept.as_ref().expect("a model");
    assert_eq!((*round, &outcome.ending), (ROUNDS, &Ending::Complete));
    parameters.iter().map(|w| w.to_bits()).collect()
}

/// The undisturbed run: its machine, its model, and how many writes it made.
fn undisturbed(plan: &AgreedPlan, spool: Spool) -> (Machine, Vec<u32>, u64) {
    let mut machine = Machine::new(plan.clone(), spool);
    let power = Power::endless();
    let outcome = machine.live(&power).expect("it ends");
    (machine, bits(&outcome), power.used())
}

/// Kills a run at each write, which is left in each of these states, one after the other or
/// all of them for each; and lets it go on.
fn killed_everywhere(plan: &AgreedPlan, spool: Spool, each: bool) {
    let (expected, model, writes) = undisturbed(plan, spool);
    for at in 0..writes {
        let one = [LAST[at as usize % 3]];
        for last in if each { &LAST[..] } else { &one } {
            let last = *last;
            let mut machine = Machine::new(plan.clone(), spool);
            let first = machine.live(&Power::for_writes(at, last));
            // What can't be removed any more is left to whoever opens the store next.
            let left = if first.is_some() {
                machine.spooled()
            } else {
                0
            };
            let outcome = first.or_else(|| machine.live(&Power::endless()));
            let outcome = outcome.expect("it ends");
            let what = format!("write {at} {last:?}");
            assert_eq!(bits(&outcome), model, "{what}");
            assert_eq!(machine.ledger(), expected.ledger(), "{what}");
            assert_eq!(machine.most_paid(), 1, "{what}");
            assert_eq!(machine.spooled(), left, "{what}");
            assert_eq!(harness::paid_draws(&outcome), u64::from(ROUNDS), "{what}");
        }
    }
}

#[test]
fn killed_at_any_write_a_seeded_run_ends_with_the_same_bits_and_the_same_ledger() {
    killed_everywhere(&plan(NoisePlacement::Central, Some(1)), Spool::Kept, true);
}

#[test]
fn so_does_one_whose_sites_keep_their_updates_themselves() {
    killed_everywhere(
        &plan(NoisePlacement::Central, Some(1)),
        Spool::Elsewhere,
        false,
    );
}

#[test]
fn so_does_one_whose_sites_add_the_noise() {
    killed_everywhere(&plan(NoisePlacement::Local, Some(1)), Spool::Kept, false);
}

#[test]
fn so_does_one_that_releases_an_average_of_its_parameters() {
    let plan = plan(NoisePlacement::Central, Some(1));
    let machine = || Machine::new(plan.clone(), Spool::Kept).averaging(0.6);
    let power = Power::endless();
    let mut undisturbed = machine();
    let model = bits(&undisturbed.live(&power).expect("it ends"));
    for at in 0..power.used() {
        let mut killed = machine();
        let first = killed.live(&Power::for_writes(at, LAST[at as usize % 3]));
        let outcome = first.or_else(|| killed.live(&Power::endless()));
        assert_eq!(bits(&outcome.expect("it ends")), model, "write {at}");
        assert_eq!(killed.ledger(), undisturbed.ledger(), "write {at}");
        // Clients train on the parameters, which the average leaves alone.
        assert_eq!(killed.asked(), undisturbed.asked(), "write {at}");
    }
    let mut plain = Machine::new(plan.clone(), Spool::Kept);
    let last = bits(&plain.live(&Power::endless()).expect("it ends"));
    assert_eq!(plain.asked(), undisturbed.asked());
    assert_ne!(last, model);
}

#[test]
fn killed_over_and_over_it_still_ends_so() {
    let plan = plan(NoisePlacement::Central, Some(1));
    let (expected, model, _) = undisturbed(&plan, Spool::Kept);
    // Each life begins with syncing what the one before it may have left unsynced.
    for every in 9..43 {
        let mut machine = Machine::new(plan.clone(), Spool::Kept);
        let mut lives = 0;
        let outcome = loop {
            lives += 1;
            assert!(lives < 200, "it gets nowhere with {every} writes a life");
            let last = LAST[lives % 3];
            if let Some(outcome) = machine.live(&Power::for_writes(every, last)) {
                break outcome;
            }
        };
        assert_eq!(bits(&outcome), model, "{every} writes a life");
        assert_eq!(machine.ledger(), expected.ledger(), "{every} writes a life");
    }
}

#[test]
fn an_unseeded_run_has_one_entry_a_round_and_publishes_one_result_for_each() {
    let plan = plan(NoisePlacement::Central, None);
    let (_, _, writes) = undisturbed(&plan, Spool::Kept);
    for at in 0..writes {
        let last = LAST[at as usize % 3];
        let mut machine = Machine::new(plan.clone(), Spool::Kept);
        let first = machine.live(&Power::for_writes(at, last));
        let outcome = first.or_else(|| machine.live(&Power::endless()));
        bits(&outcome.expect("it ends"));
        let entries = chain::verify(&machine.ledger())
            .expect("a sound ledger")
            .entries;
        let rounds: Vec<u64> = entries.iter().map(|entry| entry.round).collect();
        assert_eq!(rounds, [1, 2, 3], "write {at} {last:?}");
        for round in 1..=ROUNDS {
            assert_eq!(
                machine.published(round),
                1,
                "write {at} {last:?}, round {round}"
            );
        }
    }
}
