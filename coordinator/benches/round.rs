//! What taking all updates of one round costs, by the number of clients: time must grow as the
//! clients do, not as their square. `cargo bench -p umbel-coordinator --bench round`.
//!
//! Updates are a handful of numbers, so that what is measured is the coordinator's bookkeeping
//! and not the memory's bandwidth.

use divan::Bencher;
use divan::counter::ItemsCount;
use umbel_coordinator::accumulator::UpdateRules;
use umbel_coordinator::hall::{Hall, Offer};
use umbel_coordinator::round::{Engine, Event, RoundSettings};
use umbel_privacy::combination::Summed;
use umbel_privacy::unit::{Adjacency, NoisePlacement, PrivacyUnit};
use umbel_proto::federation::Federation;
use umbel_proto::message::{BlobDigest, ClientId, Hello, PROTOCOL_VERSION, Receipt, Update};
use umbel_proto::plan::{BasePlan, ClassifierPlan, ClippingRule, LocalPlan, Plan, PrivacyPlan};

fn main() {
    divan::main();
}

const CLIENTS: [usize; 3] = [1_000, 4_000, 16_000];
const PARAMETERS: usize = 4;

fn clients(count: usize) -> Vec<ClientId> {
    let name = |i: usize| format!("client-{i:05}").parse().expect("a valid name");
    (0..count).map(name).collect()
}

fn settings(clients: &[ClientId]) -> RoundSettings {
    RoundSettings {
        rounds: 1,
        clients: clients.iter().cloned().collect(),
        minimum: clients.len(),
        sampled: false,
        attempts: 1,
    }
}

/// The engine alone: every event of a round's updates.
#[divan::bench(args = CLIENTS, sample_count = 1, sample_size = 1)]
fn engine(bencher: Bencher<'_, '_>, count: usize) {
    let clients = clients(count);
    let arrive = |client: &ClientId| Event::UpdateArrived {
        client: client.clone(),
        round: 1,
        digest: BlobDigest::from([7; 32]),
    };
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| {
            let mut engine = Engine::new(settings(&clients));
            let joined = clients.iter().cloned().map(Event::Joined);
            let opened = [Event::RoundPermitted, Event::CohortDrawn(clients.clone())];
            for event in joined.chain(opened) {
                divan::black_box(engine.handle(event));
            }
            (engine, clients.iter().map(arrive).collect::<Vec<_>>())
        })
        .bench_local_values(|(mut engine, events)| {
            for event in events {
                divan::black_box(engine.handle(event));
            }
            engine
        });
}
