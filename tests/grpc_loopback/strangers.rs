//! What strangers without a certificate can do to a coordinator: next to nothing.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use umbel_client::transport::Transport;
use umbel_coordinator::grpc::{ConnectionLimits, ServiceLimits};

use crate::coordinator::{Coordinator, Script, certificates, hello, north, security};

/// Limits with few places for handshakes.
fn limits(in_handshake: usize, handshake: Duration) -> ServiceLimits {
    ServiceLimits {
        connections: ConnectionLimits {
            in_handshake,
            handshake,
            ..ConnectionLimits::for_clients(2)
        },
        ..ServiceLimits::default()
    }
}

const LONG: Duration = Duration::from_secs(600);

fn silent(address: SocketAddr) -> TcpStream {
    let stranger = TcpStream::connect(address).unwrap();
    stranger.set_nonblocking(true).unwrap();
    stranger
}

/// Whether the coordinator still has this connection.
fn is_open(mut stranger: &TcpStream) -> bool {
    matches!(stranger.read(&mut [0]), Err(e) if e.kind() == ErrorKind::WouldBlock)
}

/// Waits until at most so many of them are open; returns how many are.
fn settled(strangers: &[TcpStream], most: usize) -> usize {
    let begun = Instant::now();
    loop {
        let open = strangers
            .iter()
            .filter(|stranger| is_open(stranger))
            .count();
        if open <= most || begun.elapsed() > Duration::from_secs(30) {
            return open;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn silent_strangers_hold_few_places_and_keep_no_site_out() {
    let dir = tempfile::tempdir().unwrap();
    let report = certificates(dir.path(), 0);
    let script = Arc::new(Script::default());
    let secured = security(&report, &report);
    let coordinator = Coordinator::start_within(limits(16, LONG), "127.0.0.1:0", &script, secured);
    let strangers: Vec<TcpStream> = (0..300).map(|_| silent(coordinator.address)).collect();
    north(coordinator.address.port(), &report)
        .join(&hello())
        .unwrap();
    assert!(settled(&strangers, 16) <= 16);
    assert_eq!(script.calls().len(), 1);
}

#[test]
fn a_handshake_that_says_nothing_ends() {
    let dir = tempfile::tempdir().unwrap();
    let report = certificates(dir.path(), 0);
    let soon = limits(16, Duration::from_millis(100));
    let secured = security(&report, &report);
    let coordinator = Coordinator::start_within(soon, "127.0.0.1:0", &Arc::default(), secured);
    let strangers: Vec<TcpStream> = (0..10).map(|_| silent(coordinator.address)).collect();
    assert_eq!(settled(&strangers, 0), 0);
}

#[test]
fn a_site_joins_again_and_again_while_a_stranger_floods_from_its_own_address() {
    let dir = tempfile::tempdir().unwrap();
    let report = certificates(dir.path(), 0);
    let script = Arc::new(Script::default());
    let secured = security(&report, &report);
    let coordinator = Coordinator::start_within(limits(64, LONG), "127.0.0.1:0", &script, secured);
    let address = coordinator.address;
    let over = Arc::new(AtomicBool::new(false));
    let flood = {
        let over = Arc::clone(&over);
        thread::spawn(move || {
            let mut held = std::collections::VecDeque::new();
            while !over.load(Ordering::Relaxed) {
                // The flood outruns the coordinator now and then, and then nobody listens.
                held.extend(TcpStream::connect_timeout(&address, Duration::from_secs(5)));
                if held.len() > 200 {
                    held.pop_front();
                }
                thread::sleep(Duration::from_millis(1));
            }
        })
    };
    for _ in 0..20 {
        north(address.port(), &report).join(&hello()).unwrap();
    }
    over.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    assert!(script.calls().len() >= 20);
}

#[test]
fn connections_that_were_let_in_are_limited_and_come_free_again() {
    let dir = tempfile::tempdir().unwrap();
    let report = certificates(dir.path(), 0);
    let script = Arc::new(Script::default());
    let secured = security(&report, &report);
    let coordinator = Coordinator::start_within(limits(16, LONG), "127.0.0.1:0", &script, secured);
    let port = coordinator.address.port();
    // One client may have 16 at a time; here they come one after the other.
    for _ in 0..40 {
        north(port, &report).join(&hello()).unwrap();
    }
    assert_eq!(script.calls().len(), 40);
}
