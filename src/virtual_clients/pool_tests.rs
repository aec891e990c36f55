use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::*;

/// Counts its turns, and goes after the last.
struct Counting {
    name: ClientId,
    turns: Arc<AtomicUsize>,
    goes_after: usize,
    panics: bool,
    given_up: Arc<AtomicUsize>,
    busy: Arc<AtomicUsize>,
    most_busy: Arc<AtomicUsize>,
}

impl TakesTurns for Counting {
    fn name(&self) -> &ClientId {
        &self.name
    }

    fn take_turn(&mut self) -> Turn {
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_busy.fetch_max(busy, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(1));
        self.busy.fetch_sub(1, Ordering::SeqCst);
        if self.panics {
            std::panic::resume_unwind(Box::new("as planned"));
        }
        match self.turns.fetch_add(1, Ordering::SeqCst) + 1 == self.goes_after {
            true => Turn::Gone,
            false => Turn::Rest,
        }
    }

    fn give_up(&mut self) {
        self.given_up.fetch_add(1, Ordering::SeqCst);
    }
}

fn name(i: usize) -> ClientId {
    format!("client-{i}").parse().unwrap()
}

#[derive(Default)]
struct Seen {
    turns: Vec<Arc<AtomicUsize>>,
    given_up: Arc<AtomicUsize>,
    busy: Arc<AtomicUsize>,
    most_busy: Arc<AtomicUsize>,
}

impl Seen {
    fn client(&mut self, goes_after: usize, panics: bool) -> Counting {
        let turns = Arc::new(AtomicUsize::new(0));
        self.turns.push(Arc::clone(&turns));
        Counting {
            name: name(self.turns.len() - 1),
            turns,
            goes_after,
            panics,
            given_up: Arc::clone(&self.given_up),
            busy: Arc::clone(&self.busy),
            most_busy: Arc::clone(&self.most_busy),
        }
    }

    fn turns(&self) -> Vec<usize> {
        self.turns.iter().map(|t| t.load(Ordering::SeqCst)).collect()
    }
}

#[test]
fn everybody_takes_a_turn_and_then_only_who_is_asked_by_no_more_workers_than_there_are() {
    let mut seen = Seen::default();
    let clients: Vec<Counting> = (0..20).map(|_| seen.client(usize::MAX, false)).collect();
    let pool = Pool::of(clients);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| pool.work());
        }
        while seen.turns().contains(&0) {
            thread::yield_now();
        }
        pool.ask([&name(3), &name(7)]);
        while seen.turns()[3] < 2 || seen.turns()[7] < 2 {
            thread::yield_now();
        }
        let others = seen.turns().iter().sum::<usize>();
        assert_eq!(others, 22);
        pool.close();
    });
    assert!(pool.is_empty());
    // A last turn each.
    assert_eq!(seen.turns().iter().sum::<usize>(), 42);
    assert!((1..=3).contains(&seen.most_busy.load(Ordering::SeqCst)));
}

#[test]
fn who_is_asked_while_it_is_at_work_gets_another_turn() {
    let mut seen = Seen::default();
    let pool = Pool::of([seen.client(usize::MAX, false)]);
    let mut taken = pool.next().unwrap();
    pool.ask([&name(0)]);
    let turn = taken.take_turn();
    pool.put_back(taken, turn);
    let mut again = pool.next().unwrap();
    assert_eq!(again.take_turn(), Turn::Rest);
    pool.put_back(again, Turn::Gone);
    assert!(pool.is_empty());
    assert!(pool.next().is_none());
}

#[test]
fn a_panic_costs_that_client_alone_and_is_kept() {
    let mut seen = Seen::default();
    let clients = [
        seen.client(1, false),
        seen.client(1, true),
        seen.client(1, false),
    ];
    let pool = Pool::of(clients);
    pool.work();
    assert!(pool.is_empty());
    assert_eq!(seen.turns(), [1, 0, 1]);
    assert_eq!(seen.given_up.load(Ordering::SeqCst), 1);
    assert!(pool.take_panic().is_some());
}
