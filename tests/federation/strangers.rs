//! A run under attack by somebody who has no certificate.

use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::network::{
    EIGHT, binary, check_eight_rounds, federation, free_port, report, start_clients,
};
use crate::workbench::Workbench;

/// Silent connections; where this process may have fewer files open, as many as it may.
const STRANGERS: usize = 1_100;

#[cfg(unix)]
#[test]
fn silent_connections_neither_end_a_run_nor_hold_it_up() {
    let bench = Workbench::new(12);
    let port = free_port();
    let configuration = federation(&bench, port);
    let log = bench.path().join("coordinator.log");
    // So few files that the strangers could take all of them, and the limit can't be raised.
    let coordinator = Command::new("sh")
        .args(["-c", "ulimit -n 480 && exec \"$0\" \"$@\""])
        .arg(binary("umbel-coordinator"))
        .arg("serve")
        .arg(&configuration)
        .args(["--seed", "11", "--json"])
        .args(EIGHT)
        .env_remove("RUST_LOG")
        .current_dir(bench.path())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&log).expect("a log"))
        .spawn()
        .expect("the coordinator starts");
    let read_log = || fs::read_to_string(&log).unwrap_or_default();
    let begun = Instant::now();
    while !read_log().contains("waiting for clients") {
        assert!(begun.elapsed() < Duration::from_secs(120), "{}", read_log());
        thread::sleep(Duration::from_millis(10));
    }
    let connect = |_| TcpStream::connect(("127.0.0.1", port)).ok();
    let strangers: Vec<TcpStream> = (0..STRANGERS).map_while(connect).collect();
    assert!(strangers.len() > 600, "{} strangers", strangers.len());
    let clients = start_clients(&bench);
    let served = report(&bench, coordinator);
    check_eight_rounds(&bench, &served, clients);
    drop(strangers);
    let log = read_log();
    assert!(
        log.contains("connection refused: it was still in its handshake"),
        "{log}"
    );
    assert!(log.contains("127.0.0.1:"), "{log}");
    let lines = log.matches("connection refused").count();
    assert!(lines <= 30, "{lines} lines for one flood");
}
