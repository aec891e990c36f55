use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use umbel_privacy::ledger::{LedgerBook, LedgerStorage};

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
    prepared: Arc<AtomicUsize>,
    seen_prepared: Arc<AtomicUsize>,
    /// How many acted on a thread that is one worker's own.
    alone: Arc<AtomicUsize>,
}

impl TakesTurns for Counting {
    fn name(&self) -> &ClientId {
        &self.name
    }

    fn prepare(&mut self, _: u32) -> Turn {
        self.busy(|this| {
            this.prepared.fetch_add(1, Ordering::SeqCst);
            Turn::Again
        })
    }

    fn computes(&self) -> bool {
        true
    }

    fn act(&mut self, _: &Committed) -> Turn {
        if rayon::current_thread_index().is_some() && rayon::current_num_threads() == 1 {
            self.alone.fetch_add(1, Ordering::SeqCst);
        }
        self.busy(|this| {
            if this.panics {
                std::panic::resume_unwind(Box::new("as planned"));
            }
            this.seen_prepared
                .fetch_min(this.prepared.load(Ordering::SeqCst), Ordering::SeqCst);
            match this.turns.fetch_add(1, Ordering::SeqCst) + 1 == this.goes_after {
                true => Turn::Gone,
                false => Turn::Rest,
            }
        })
    }

    fn spoil(&mut self, _: &io::Error) {
        self.given_up.fetch_add(1, Ordering::SeqCst);
    }

    fn give_up(&mut self) {
        self.given_up.fetch_add(1, Ordering::SeqCst);
    }
}

impl Counting {
    fn busy(&self, work: impl FnOnce(&Self) -> Turn) -> Turn {
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_busy.fetch_max(busy, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(1));
        self.busy.fetch_sub(1, Ordering::SeqCst);
        work(self)
    }
}

/// A book on a disk that may be full.
struct Paper {
    full: bool,
}

impl LedgerStorage for Paper {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn append(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.full {
            true => Err(io::Error::other("no space left")),
            false => Ok(()),
        }
    }

    fn truncate_to(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }
}

fn begin(full: bool) -> Begin {
    let book = LedgerBook::open(Box::new(Paper { full })).unwrap();
    // A line, so that there is something to sync.
    let mut chain = book.chain("a").unwrap();
    let chain = Mutex::new(move || {
        chain.append(b"{}\n").unwrap();
        chain.sync()
    });
    Box::new(move || {
        let batch = book.begin()?;
        (chain.lock().unwrap())()?;
        Ok(batch)
    })
}

fn workers(count: usize) -> NonZero<usize> {
    NonZero::new(count).unwrap()
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
    prepared: Arc<AtomicUsize>,
    /// How many had prepared when the first one acted.
    seen_prepared: Arc<AtomicUsize>,
    alone: Arc<AtomicUsize>,
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
            prepared: Arc::clone(&self.prepared),
            seen_prepared: Arc::clone(&self.seen_prepared),
            alone: Arc::clone(&self.alone),
        }
    }

    fn turns(&self) -> Vec<usize> {
        self.turns
            .iter()
            .map(|t| t.load(Ordering::SeqCst))
            .collect()
    }
}

#[test]
fn everybody_takes_a_turn_and_then_only_who_is_asked_by_no_more_workers_than_there_are() {
    let mut seen = Seen::default();
    seen.seen_prepared.store(usize::MAX, Ordering::SeqCst);
    let clients: Vec<Counting> = (0..20).map(|_| seen.client(usize::MAX, false)).collect();
    let pool = Pool::of(clients, begin(false));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| pool.work(workers(3)));
        }
        while seen.turns().contains(&0) {
            thread::yield_now();
        }
        // Nobody acted before everybody had prepared.
        assert_eq!(seen.seen_prepared.load(Ordering::SeqCst), 20);
        pool.ask([&name(3), &name(7)], 1);
        while seen.turns()[3] < 2 || seen.turns()[7] < 2 {
            thread::yield_now();
        }
        assert_eq!(seen.turns().iter().sum::<usize>(), 22);
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
    let pool = Pool::of([seen.client(2, false)], begin(false));
    let (client, job, _) = pool.next().unwrap();
    assert!(matches!(job, Job::Prepare { .. }));
    pool.put_back(client, Turn::Again, true);
    let (mut client, job, _) = pool.next().unwrap();
    assert_eq!(job.run(&mut *client), Turn::Rest);
    pool.ask([&name(0)], 1);
    pool.put_back(client, Turn::Rest, false);
    pool.work(workers(1));
    assert_eq!(seen.turns(), [2]);
    assert!(pool.is_empty());
}

#[test]
fn a_panic_costs_that_client_alone_and_is_kept() {
    let mut seen = Seen::default();
    let clients = [
        seen.client(1, false),
        seen.client(1, true),
        seen.client(1, false),
    ];
    let pool = Pool::of(clients, begin(false));
    pool.work(workers(1));
    assert!(pool.is_empty());
    assert_eq!(seen.turns(), [1, 0, 1]);
    assert_eq!(seen.given_up.load(Ordering::SeqCst), 1);
    assert!(pool.take_panic().is_some());
}

#[test]
fn nobody_acts_on_what_is_not_durable() {
    let mut seen = Seen::default();
    let pool = Pool::of([seen.client(1, false), seen.client(1, false)], begin(true));
    pool.work(workers(1));
    assert!(pool.is_empty());
    assert_eq!(seen.turns(), [0, 0]);
    assert_eq!(seen.given_up.load(Ordering::SeqCst), 2);
}

#[test]
fn a_worker_computes_alone_while_there_is_a_client_for_each() {
    let mut seen = Seen::default();
    let clients: Vec<Counting> = (0..20).map(|_| seen.client(1, false)).collect();
    let pool = Pool::of(clients, begin(false));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| pool.work(workers(3)));
        }
    });
    assert_eq!(seen.turns(), [1; 20]);
    // The last two leave one worker without a client.
    assert_eq!(seen.alone.load(Ordering::SeqCst), 18);
}
