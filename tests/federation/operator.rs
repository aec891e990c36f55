//! What an operator can ask of a coordinator that conducts a run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::network::{
    EIGHT, Processes, binary, check_eight_rounds, configured, federation, free_port, report,
    start_clients, start_coordinator, wait_for_round,
};
use crate::workbench::{SITES, Workbench};

fn coordinator(bench: &Workbench, arguments: &[&str], configuration: &Path) -> Output {
    Command::new(binary("umbel-coordinator"))
        .args(arguments)
        .arg(configuration)
        .current_dir(bench.path())
        .stdin(Stdio::null())
        .output()
        .expect("it starts")
}

/// How the run stands, after this was asked of it.
fn ask(bench: &Workbench, arguments: &[&str], configuration: &Path) -> Value {
    let output = coordinator(bench, &[arguments, &["--json"]].concat(), configuration);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Asks until this holds.
fn wait_until(bench: &Workbench, configuration: &Path, holds: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let status = ask(bench, &["status"], configuration);
        if holds(&status) {
            return status;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{status}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_run_is_asked_how_it_stands_is_held_back_and_is_stopped_after_a_round() {
    let bench = Workbench::new(12);
    let configuration = federation(&bench, free_port());
    let first = start_coordinator(&bench, &configuration, &EIGHT);
    let clients = start_clients(&bench);
    wait_for_round(&bench, 1);
    ask(&bench, &["pause"], &configuration);
    let held = wait_until(&bench, &configuration, |status| {
        status["doing"]
            .as_str()
            .is_some_and(|doing| doing.starts_with("waits before round"))
    });
    assert_eq!(held["held"], true);
    assert_eq!(held["rounds_planned"], 8);
    assert!(
        held["epsilon"]
            .as_f64()
            .is_some_and(|epsilon| epsilon > 0.0),
        "{held}"
    );
    let states = held["clients"].as_array().expect("clients");
    assert!(
        states.iter().all(|client| client["state"] == "ready"),
        "{held}"
    );
    // Nothing happens while it is held.
    thread::sleep(Duration::from_millis(500));
    let later = ask(&bench, &["status"], &configuration);
    assert_eq!(later, held);
    let text = coordinator(&bench, &["status"], &configuration);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("rounds are done; waits before round"),
        "{text}"
    );
    assert!(
        text.contains("held back") && text.contains("amazon"),
        "{text}"
    );
    // The socket is for the operator alone.
    let socket = socket_below(&bench.path().join("runs"));
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().expect("a folder")), 0o700);
    let going_on = ask(&bench, &["resume"], &configuration);
    assert_eq!(going_on["held"], false);
    let stopping = ask(&bench, &["stop", "--after-round"], &configuration);
    assert_eq!(stopping["stopping"], true);
    let output = first.wait_with_output().expect("it ends");
    let log = fs::read_to_string(bench.path().join("coordinator.log")).unwrap_or_default();
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(log.contains("start the same command again"), "{log}");
    assert!(!socket.exists());
    let nobody = coordinator(&bench, &["status"], &configuration);
    let said = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(!nobody.status.success(), "{said}");
    assert!(
        said.contains("no coordinator conducts a run of this configuration"),
        "{said}"
    );
    // Nobody had trained in vain: each site's ledger has one entry a round in the end.
    let second = start_coordinator(&bench, &configuration, &EIGHT);
    let served = report(&bench, second);
    check_eight_rounds(&bench, &served, clients);
}

fn socket_below(runs: &Path) -> std::path::PathBuf {
    let folders = fs::read_dir(runs).expect("runs");
    let mut sockets = folders.filter_map(|folder| {
        let socket = folder.ok()?.path().join("journal/control.sock");
        socket.exists().then_some(socket)
    });
    sockets.next().expect("a socket")
}

#[test]
fn certificates_that_end_in_the_middle_of_a_run_end_nothing_but_new_connections() {
    use std::time::SystemTime;
    use umbel_coordinator::init::{InitOptions, init};

    const LEFT: Duration = Duration::from_secs(45);
    let bench = Workbench::new(12);
    let port = free_port();
    let day = Duration::from_secs(86_400);
    let ends = SystemTime::now() + LEFT;
    let address = format!("https://localhost:{port}")
        .parse()
        .expect("an address");
    let mut options = InitOptions::new(address, ends - day);
    options.days = 1;
    let sites = SITES.map(|site| site.parse().expect("a name"));
    init(&bench.path().join("federation"), &sites, &options).expect("certificates");
    let configuration = configured(&bench, port);
    let coordinator = start_coordinator(&bench, &configuration, &EIGHT);
    let clients = start_clients(&bench);
    wait_for_round(&bench, 1);
    ask(&bench, &["pause"], &configuration);
    while SystemTime::now() < ends + Duration::from_secs(2) {
        thread::sleep(Duration::from_millis(200));
    }
    let held = ask(&bench, &["status"], &configuration);
    assert!(
        held["rounds_done"].as_u64() < Some(8),
        "the run waits for the end: {held}"
    );
    ask(&bench, &["resume"], &configuration);
    let served = report(&bench, coordinator);
    check_eight_rounds(&bench, &served, clients);
    // Whoever starts now is told what is wrong, on both sides.
    let late = start_coordinator(&bench, &configuration, &EIGHT);
    let code = late.wait_with_output().expect("it ends").status.code();
    let log = fs::read_to_string(bench.path().join("coordinator.log")).unwrap_or_default();
    assert_eq!(code, Some(2), "{log}");
    let mut clients = start_clients(&bench);
    for client in clients.0.drain(..) {
        let output = client.wait_with_output().expect("it ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains("ended"), "{errors}");
    }
}

#[test]
fn a_stranger_to_the_protocol_of_the_socket_harms_nobody() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    let bench = Workbench::new(12);
    let configuration = federation(&bench, free_port());
    let running = Processes(vec![start_coordinator(&bench, &configuration, &EIGHT)]);
    let begun = Instant::now();
    while coordinator(&bench, &["status"], &configuration)
        .status
        .code()
        != Some(0)
    {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it doesn't answer"
        );
        thread::sleep(Duration::from_millis(50));
    }
    let socket = socket_below(&bench.path().join("runs"));
    let long = vec![b'x'; 100_000];
    for said in [
        &b"nonsense\n"[..],
        b"\n",
        b"",
        b"{\"do\":\"format\"}\n",
        b"\xff\xfe\n",
        &long,
    ] {
        let mut stream = UnixStream::connect(&socket).expect("it listens");
        // It may have hung up on what is too long.
        let _ = stream.write_all(said);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
    }
    let status = ask(&bench, &["status"], &configuration);
    assert_eq!(status["doing"], "waiting for clients");
    drop(running);
    // It was killed, and what is left of its socket is no answer.
    let gone = coordinator(&bench, &["pause"], &configuration);
    let said = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(said.contains("no coordinator conducts"), "{said}");
}
