//! What a coordinator keeps in memory, which mustn't grow with its clients.

use std::time::Duration;

use peak_alloc::PeakAlloc;
use umbel_proto::federation::Federation as _;
use umbel_proto::message::{Task, Update};

use crate::many::{LONG, THIS, clients, coordinator, hello, upload, values};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// So many that one update outweighs whatever the other tests of this program allocate.
const PARAMETERS: usize = 2_000_000;

/// The most bytes that a round of so many clients had in memory, and the bytes of an update.
fn peak_of_a_round(count: usize) -> (usize, usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let clients = clients(count);
    let values = values(PARAMETERS).encode();
    let bytes = values.len();
    let update = Update { round: 1, values };
    ALLOCATOR.reset_peak_usage();
    let (lobby, driving) = coordinator(folder.path(), (PARAMETERS, 1), &clients);
    for client in &clients {
        lobby.join(client, &hello()).expect("it is known");
        let ready = lobby.next_task(client, THIS, Duration::ZERO);
        ready.expect("it is ready");
    }
    for client in &clients {
        let task = lobby.next_task(client, THIS, LONG).expect("no refusal");
        assert!(
            matches!(task, Some(Task::Train { round: 1, .. })),
            "{task:?}"
        );
        upload(&lobby, client, &update);
    }
    driving.join().expect("no panic");
    (ALLOCATOR.peak_usage(), bytes)
}

#[test]
fn a_round_of_forty_clients_takes_no_more_memory_than_one_of_eight() {
    let (few, update) = peak_of_a_round(8);
    let (many, _) = peak_of_a_round(40);
    assert!(
        many < few + 2 * update,
        "{many} bytes with 40 clients, {few} with 8; an update has {update}"
    );
}
