//! A round's result is scored while the next one trains. Scores can end a run, but neither
//! their slowness nor their failure does, and nothing is paid for a model that is beyond help.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use umbel_coordinator::run::absence::Patience;
use umbel_coordinator::run::{Health, Observer, Outcome, RoundSummary};
use umbel_privacy::ledger::chain;
use umbel_privacy::unit::NoisePlacement;
use umbel_proto::message::Ending;

use crate::harness::{Clients, Setting, paid_draws, plan, plan_placed, run_watched};

/// An observer that finds what the test tells it to, and not before.
struct Waiting {
    verdicts: Receiver<Health>,
    seen: Arc<Mutex<Vec<u32>>>,
}

impl Observer for Waiting {
    fn round_done(&mut self, summary: &RoundSummary) -> Health {
        self.seen.lock().expect("no panic").push(summary.round);
        let verdict = self.verdicts.recv_timeout(Duration::from_secs(30));
        verdict.expect("the test tells in time")
    }
}

/// Runs these rounds with noise added by the coordinator, so that only it pays.
fn run(
    test: &'static str,
    rounds: u32,
    clients: impl FnOnce(&Clients<'_>, &Sender<Health>),
) -> (Outcome, Vec<u32>) {
    let plan = plan_placed(NoisePlacement::Central, 8.0, rounds);
    let setting = Setting {
        test,
        plan,
        minimum: 2,
        attempts: 1,
        patience: Patience::NONE,
    };
    let (tell, verdicts) = channel();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut observer = Waiting {
        verdicts,
        seen: Arc::clone(&seen),
    };
    let outcome = run_watched(0.1, setting, &mut observer, |these| clients(these, &tell));
    let seen = seen.lock().expect("no panic").clone();
    (outcome, seen)
}

fn entries(outcome: &Outcome) -> usize {
    let ledger = outcome.ledger.as_ref().expect("a ledger");
    let chain = chain::verify(&ledger.bytes).expect("a sound ledger");
    chain.entries.len()
}

fn kept(outcome: &Outcome) -> Option<u32> {
    outcome.kept.as_ref().map(|(round, _)| *round)
}

#[test]
fn the_next_round_begins_while_the_last_one_is_scored() {
    let (outcome, seen) = run("begins", 3, |clients, tell| {
        for round in 1..=3 {
            // The round before isn't scored yet.
            clients.asked("a", round);
            clients.asked("b", round);
            if round > 1 {
                tell.send(Health::Sound).expect("a run");
            }
            clients.take_part(round);
        }
        tell.send(Health::Sound).expect("a run");
    });
    assert_eq!(outcome.ending, Ending::Complete);
    assert_eq!((outcome.rounds, kept(&outcome)), (3, Some(3)));
    assert_eq!(seen, [1, 2, 3]);
}

#[test]
fn scores_that_are_not_finite_end_the_run_while_its_next_round_trains() {
    let (outcome, _) = run("trains", 9, |clients, tell| {
        clients.take_part(1);
        clients.asked("a", 2);
        clients.asked("b", 2);
        tell.send(Health::Diverged).expect("a run");
        // Nobody has to finish the second round.
        for name in ["a", "b"] {
            assert_eq!(clients.ends(name), Ending::Diverged { round: 1 });
        }
    });
    assert_eq!(outcome.ending, Ending::Diverged { round: 1 });
    assert_eq!(
        (outcome.rounds, paid_draws(&outcome), entries(&outcome)),
        (1, 1, 1)
    );
    assert_eq!(kept(&outcome), None);
}

#[test]
fn a_round_is_paid_for_only_once_the_one_before_is_known_to_be_sound() {
    let (outcome, seen) = run("paid", 9, |clients, tell| {
        clients.take_part(1);
        tell.send(Health::Sound).expect("a run");
        clients.take_part(2);
        clients.take_part(3);
        // All updates of the third round are there, and the second isn't scored.
        std::thread::sleep(Duration::from_millis(300));
        tell.send(Health::Diverged).expect("a run");
        assert_eq!(clients.ends("a"), Ending::Diverged { round: 2 });
    });
    assert_eq!(outcome.ending, Ending::Diverged { round: 2 });
    assert_eq!(
        (outcome.rounds, paid_draws(&outcome), entries(&outcome)),
        (2, 2, 2)
    );
    assert_eq!(kept(&outcome), Some(1));
    assert_eq!(seen, [1, 2]);
}

#[test]
fn the_last_round_is_scored_before_anybody_hears_how_the_run_ended() {
    let (outcome, _) = run("last", 2, |clients, tell| {
        clients.take_part(1);
        tell.send(Health::Sound).expect("a run");
        clients.take_part(2);
        clients.has_nothing_to_do("a");
        tell.send(Health::Diverged).expect("a run");
        assert_eq!(clients.told("a"), Ending::Diverged { round: 2 });
    });
    assert_eq!(outcome.ending, Ending::Diverged { round: 2 });
    assert_eq!((outcome.rounds, kept(&outcome)), (2, Some(1)));
}

#[test]
fn a_run_that_ends_for_another_reason_still_waits_for_its_last_scores() {
    let (outcome, _) = run("left", 9, |clients, tell| {
        clients.take_part(1);
        clients.asked("b", 2);
        clients.leaves("b");
        tell.send(Health::Diverged).expect("a run");
    });
    assert_eq!(outcome.ending, Ending::Diverged { round: 1 });
    assert_eq!((entries(&outcome), kept(&outcome)), (1, None));
}

/// Looks at nothing.
struct Broken;

impl Observer for Broken {
    fn round_done(&mut self, _: &RoundSummary) -> Health {
        panic!("no device");
    }
}

#[test]
fn scoring_that_fails_ends_no_run() {
    let setting = Setting {
        test: "broken",
        plan: plan(8.0, 2),
        minimum: 2,
        attempts: 1,
        patience: Patience::NONE,
    };
    let outcome = run_watched(0.1, setting, &mut Broken, |clients| {
        clients.take_part(1);
        clients.take_part(2);
    });
    assert_eq!(outcome.ending, Ending::Complete);
    assert_eq!((outcome.rounds, kept(&outcome)), (2, Some(2)));
}
