//! A client that lies, against the real coordinator.

use std::fs;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use umbel_client::grpc::{ClientIdentity, ConnectionSettings, GrpcTransport};
use umbel_client::transport::Transport;
use umbel_coordinator::run::conduct::Conducted;
use umbel_coordinator::run::place::Beginning;
use umbel_coordinator::run::serve::{ServeOptions, Served, serve};
use umbel_privacy::ledger::chain;
use umbel_proto::message::{Ending, Instance, Task};

use crate::coordinator::hello;
use crate::site::{Bench, LOCAL, north};

#[test]
fn polling_for_tasks_costs_nothing_and_each_attempt_counts_once() {
    let bench = Bench::new();
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let sections = format!(
        "{LOCAL}[federation]\nattempts = 2\nround_seconds = 1\n\
         [serve]\nlisten = \"127.0.0.1:{port}\"\ntls = false\n"
    );
    let options = ServeOptions {
        beginning: Beginning::GoOn,
        new_data_set: false,
        rehearse: false,
        config: bench.configuration("polled", 3, &sections),
        overrides: Vec::new(),
        seed: None,
        device: "cpu".parse().unwrap(),
    };
    let serving = thread::spawn(move || match serve(&options) {
        Ok(Served::Run(Conducted::Ended(report))) => report,
        other => panic!("{other:?}"),
    });
    let mut settings = ConnectionSettings::new(
        format!("http://127.0.0.1:{port}"),
        ClientIdentity::Name(north()),
        Instance(1),
    );
    settings.retry.first_pause = Duration::from_millis(20);
    settings.retry.patience = Duration::from_secs(60);
    let mut client = GrpcTransport::connect(settings).unwrap();
    client.join(&hello()).unwrap();
    // It asks for its task over and over, and never trains.
    let mut polls = 0;
    let ending = loop {
        match client.next_task().unwrap() {
            Task::Train { round, .. } => {
                assert_eq!(round, 1);
                polls += 1;
            }
            Task::Finished(ending) => break ending,
        }
    };
    assert!(matches!(ending, Ending::Failed { .. }), "{ending:?}");
    assert!(polls > 20, "{polls}");
    serving.join().unwrap();

    let ledger = fs::read(bench.path("ledger.jsonl")).unwrap();
    let entries = chain::verify(&ledger).unwrap().entries;
    let draws = entries.iter().map(|entry| {
        let event = serde_json::to_value(&entry.event).unwrap();
        event["count"].as_u64().unwrap_or(1)
    });
    let draws: u64 = draws.sum();
    assert_eq!(draws, 2, "two attempts at one round, after {polls} polls");
}
