//! Many threads at once: what counts is in the sum, once, whenever the round is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use umbel_privacy::Sha256Digest;
use umbel_privacy::lattice::LatticeVector;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::departure::Departure;
use umbel_proto::federation::Federation;
use umbel_proto::message::{
    ClientId, Ending, Hello, Instance, PROTOCOL_VERSION, Receipt, Task, Update,
};

use super::*;
use crate::round::{Engine, Participation, RoundSettings};

/// Each client has one process.
const THIS: Instance = Instance(1);

const CLIENTS: usize = 24;
const THREADS: usize = 6;
/// Long enough that additions overlap with everything else.
const NUMBERS: usize = 20_000;
const LONG: Duration = Duration::from_secs(20);

fn client(i: usize) -> ClientId {
    format!("client-{i}").parse().unwrap()
}

fn clients() -> Vec<ClientId> {
    (0..CLIENTS).map(client).collect()
}

/// The update of one client: one that no combination of others adds up to.
fn values(i: usize) -> Vec<i64> {
    (0..NUMBERS).map(|n| (1 << i) + n as i64).collect()
}

fn update(i: usize) -> Update {
    let values = LatticeVector::from_values(values(i)).encode();
    Update { round: 1, values }
}

/// The sum of these clients' updates, added one after the other.
fn sum_of(clients: &[ClientId]) -> Vec<i64> {
    let mut sum = vec![0; NUMBERS];
    for i in (0..CLIENTS).filter(|i| clients.contains(&client(*i))) {
        sum.iter_mut().zip(values(i)).for_each(|(s, v)| *s += v);
    }
    sum
}

/// A lobby whose first round is open.
fn open_lobby(minimum: usize, independent: bool, attempts: u32) -> Lobby {
    let offer = Offer {
        plan: Vec::new(),
        labels: Vec::new(),
        files: Vec::new(),
    };
    let settings = RoundSettings {
        rounds: 1,
        clients: clients().into_iter().collect(),
        minimum,
        independent,
        closes_early: true,
        quorum: None,
        attempts,
        patient: false,
    };
    let lobby = Lobby::new(
        offer,
        UpdateRules::of_numbers(NUMBERS),
        Engine::new(settings),
    );
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        software: "test".into(),
        labels: Vec::new(),
        ledger: LedgerPoint::START,
        instance: THIS,
    };
    lobby.open(WitnessTerms {
        run: "test".into(),
        plan: Sha256Digest::of(&[]),
        public_key: [7; 32].into(),
        ledger: (Arc::from([]), LedgerPoint::START),
        digest: BlobDigest::of(&[]),
        seen: None,
    });
    for client in clients() {
        lobby.join(&client, &hello).unwrap();
        lobby.next_task(&client, THIS, Duration::ZERO).unwrap();
    }
    lobby
}

/// Does what a driver does until the round is released: its sum, and who took part.
fn drive(lobby: &Lobby) -> (LatticeVector, Participation) {
    let mut sum = None;
    loop {
        let Some(Woken::Action(action)) = lobby.next_action(LONG) else {
            panic!("no action in time");
        };
        match action {
            Action::AskGate { .. } => lobby.tell(Event::RoundPermitted),
            Action::DrawCohort { .. } => lobby.tell(Event::CohortDrawn(clients())),
            Action::Open { .. } => lobby.offer_round(Arc::from([0; 4])),
            Action::RecordSpend { .. } => {
                sum = Some(lobby.take_sum().expect("a sum"));
                lobby.tell(Event::SpendRecorded);
            }
            Action::Release { participation, .. } => {
                return (sum.expect("taken before"), participation);
            }
            Action::Finish(ending) => panic!("{ending:?}"),
            Action::Count(_) | Action::GrantGrace { .. } | Action::Pause { .. } => {}
        }
    }
}

/// Waits until clients can train.
fn wait_until_open(lobby: &Lobby) {
    let task = lobby.next_task(&client(0), THIS, LONG).unwrap();
    assert!(matches!(task, Some(Task::Train { .. })), "{task:?}");
}

/// Every client's index, in an order of each thread's own.
fn order(thread: usize) -> impl Iterator<Item = usize> {
    // 24 and each of these have no factor in common.
    let stride = [1, 5, 7, 11, 13, 17][thread % 6];
    (0..CLIENTS).map(move |i| (i * stride + thread) % CLIENTS)
}

#[test]
fn a_round_that_closes_in_the_middle_of_submissions_has_all_that_count_once() {
    for trial in 0..50 {
        let close_after = trial % (CLIENTS + 1);
        let lobby = open_lobby(0, true, 1);
        let accepted: Vec<AtomicUsize> = (0..CLIENTS).map(|_| AtomicUsize::new(0)).collect();
        let (accepted, lobby) = (&accepted, &lobby);
        let so_far = || {
            accepted
                .iter()
                .map(|n| n.load(Ordering::SeqCst))
                .sum::<usize>()
        };
        let (sum, participation) = thread::scope(|scope| {
            let driving = scope.spawn(|| drive(lobby));
            wait_until_open(lobby);
            for thread in 0..THREADS {
                scope.spawn(move || {
                    for i in order(thread) {
                        match lobby.submit(&client(i), update(i)) {
                            Receipt::Accepted => {
                                accepted[i].fetch_add(1, Ordering::SeqCst);
                            }
                            Receipt::Duplicate => {}
                            Receipt::NotNow { reason } => panic!("nothing is stored: {reason}"),
                            Receipt::Refused { reason } => panic!("all are sound: {reason}"),
                            Receipt::Late { reason } => {
                                assert!(reason.contains("round 1 isn't open"), "{reason}");
                            }
                        }
                    }
                });
            }
            while so_far() < close_after {
                thread::yield_now();
            }
            lobby.tell(Event::DeadlinePassed);
            driving.join().unwrap()
        });
        assert_eq!(
            sum.values(),
            sum_of(&participation.counted),
            "trial {trial}"
        );
        for (i, times) in accepted.iter().enumerate() {
            let counts = participation.counted.contains(&client(i));
            assert_eq!(times.load(Ordering::SeqCst), usize::from(counts), "{i}");
            let attendance = &lobby.attendance()[&client(i)];
            assert_eq!(attendance.counted, u32::from(counts));
        }
        assert!(participation.counted.len() >= close_after);
    }
}

#[test]
fn nothing_of_an_attempt_that_came_to_nothing_is_in_the_next_one() {
    for trial in 0..30 {
        let lobby = &open_lobby(CLIENTS, false, 3);
        let (sum, participation) = thread::scope(|scope| {
            let driving = scope.spawn(|| drive(lobby));
            wait_until_open(lobby);
            for thread in 0..THREADS {
                scope.spawn(move || {
                    // Until the round is closed with everybody's update in it.
                    while !matches!(lobby.phase(), Phase::Releasing { .. }) {
                        for i in order(thread) {
                            lobby.submit(&client(i), update(i));
                        }
                    }
                });
            }
            // Ends up to two attempts, wherever they are.
            for _ in 0..2 {
                thread::sleep(Duration::from_micros(200 * trial));
                lobby.tell(Event::DeadlinePassed);
            }
            driving.join().unwrap()
        });
        assert_eq!(participation.counted.len(), CLIENTS);
        assert_eq!(sum.values(), sum_of(&clients()), "trial {trial}");
    }
}

#[test]
fn while_an_update_is_added_all_other_calls_are_answered_and_the_sum_is_waited_for() {
    let lobby = &open_lobby(0, true, 1);
    thread::scope(|scope| {
        let driving = scope.spawn(|| drive(lobby));
        wait_until_open(lobby);
        assert_eq!(lobby.submit(&client(1), update(1)), Receipt::Accepted);
        let open = lobby.lock().sum.clone().unwrap();
        let adding = open.lock().unwrap();
        let waiting = scope.spawn(|| lobby.submit(&client(2), update(2)));
        // Its first check passed, and it comes to the sum's lock or waits there.
        let both = update(1).values.len() + update(2).values.len();
        while lobby.traffic().up < both as u64 {
            thread::yield_now();
        }
        wait_until_open(lobby);
        assert_eq!(lobby.submit(&client(1), update(1)), Receipt::Duplicate);
        lobby.leave(&client(3), THIS, Departure::Unsaid);
        lobby.tell(Event::DeadlinePassed);
        assert!(matches!(lobby.phase(), Phase::Spending { .. }));
        thread::sleep(Duration::from_millis(100));
        assert!(!driving.is_finished() && !waiting.is_finished());
        drop(adding);
        let (sum, participation) = driving.join().unwrap();
        assert_eq!(participation.counted, [client(1)]);
        assert_eq!(sum.values(), values(1));
        assert!(matches!(waiting.join().unwrap(), Receipt::Late { .. }));
    });
}

#[test]
fn a_panic_while_adding_loses_the_sum_and_never_the_update_alone() {
    let lobby = &open_lobby(0, true, 1);
    thread::scope(|scope| {
        let driving = scope.spawn(|| drive(lobby));
        wait_until_open(lobby);
        let open = lobby.lock().sum.clone().unwrap();
        let panicked = scope.spawn(move || {
            let _adding = open.lock().unwrap();
            panic!("in the middle of an addition");
        });
        assert!(panicked.join().is_err());
        let late = lobby.submit(&client(1), update(1));
        assert!(matches!(late, Receipt::Refused { .. }));
        lobby.tell(Event::DeadlinePassed);
        // The driver gets no sum, and so never pays.
        assert!(driving.join().is_err());
        assert!(matches!(lobby.phase(), Phase::Spending { .. }));
    });
}

#[test]
fn a_panic_under_the_lobbys_lock_ends_the_run() {
    let lobby = &open_lobby(0, true, 1);
    let panicked = thread::scope(|scope| {
        let held = scope.spawn(|| {
            let _state = lobby.lock();
            panic!("in the middle of a change");
        });
        held.join()
    });
    assert!(panicked.is_err());
    let task = lobby.next_task(&client(0), THIS, Duration::ZERO).unwrap();
    let Some(Task::Finished(Ending::Failed { reason })) = task else {
        panic!("expected the end, got {task:?}");
    };
    assert!(reason.contains("failed inside the coordinator"), "{reason}");
}
