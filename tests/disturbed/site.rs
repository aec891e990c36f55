//! A client's process: the product's own part in a run, ledger and outbox, and training that gives
//! numbers without a model.

use std::sync::Arc;
use std::time::Duration;

use umbel_client::part::{AtSite, Part};
use umbel_client::participate::{ClientError, Invitation, participate_with};
use umbel_client::site::SiteError;
use umbel_client::site_ledger::{LedgerPlace, OpenRound, Owed, SiteLedger};
use umbel_privacy::certificate::{CoordinatorSeen, Countersignature, SigningKey};
use umbel_privacy::lattice::LatticeVector;
use umbel_privacy::private_rng::NoiseSource;
use umbel_proto::message::{BlobDigest, ClientId, Ending, Instance};
use umbel_proto::plan::{AgreedPlan, Plan};

use crate::link::Link;
use crate::power::{Power, PoweredDisk};
use crate::scheduler::Task;
use crate::setting::{CLIENTS, PARAMETERS, ROUND};
use crate::world::World;

/// How often a client that is busy gives a sign of life.
const ALIVE: Duration = Duration::from_secs(10);

struct Numbers {
    world: Arc<World>,
    client: ClientId,
    instance: Instance,
    task: Task,
    power: Arc<Power>,
    plan: AgreedPlan,
    ledger: SiteLedger,
    /// How long it trains.
    takes: Duration,
}

impl Numbers {
    /// Trains for as long as it takes, and gives signs of life meanwhile.
    fn train_slowly(&self) {
        let link = Link {
            world: Arc::clone(&self.world),
            client: self.client.clone(),
            instance: self.instance,
            task: self.task,
            power: Arc::clone(&self.power),
        };
        let mut left = self.takes;
        while !left.is_zero() {
            let now = left.min(ALIVE);
            self.world.scheduler.sleep(self.task, now);
            link.alive();
            left -= now;
        }
    }

    /// Numbers that depend on site, round and every bit of the parameters.
    fn numbers(&self, round: u32, parameters: &[u8]) -> LatticeVector {
        let seed = [self.client.as_str().as_bytes(), parameters].concat();
        let seed = BlobDigest::of(&seed);
        let bytes = seed.as_bytes().iter().take(PARAMETERS);
        let values = bytes.map(|b| i64::from(*b) * 1000 + i64::from(round));
        LatticeVector::from_values(values.collect())
    }
}

impl AtSite for Numbers {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn asked(&self, round: u32, parameters: BlobDigest) -> Result<Owed, SiteError> {
        Ok(self.ledger.asked(round, parameters)?)
    }

    fn train(&mut self, open: &OpenRound, parameters: &[u8]) -> Result<Vec<u8>, SiteError> {
        let spent = self.ledger.spend(open)?;
        self.train_slowly();
        drop(spent);
        let numbers = self.numbers(open.round(), parameters);
        let update = numbers.encode();
        self.ledger.keep(open, &update)?;
        Ok(update)
    }

    fn epsilon(&self) -> Option<f64> {
        None
    }

    fn countersign(&self, coordinator: CoordinatorSeen) -> Result<Countersignature, SiteError> {
        let key = SigningKey::generate(&mut NoiseSource::seeded(1, self.client.as_str()));
        let part = Part {
            client: &self.client,
            plan: &self.plan,
            entries: self.ledger.entries().unwrap_or_default(),
            rounds: self.ledger.given(),
        };
        let signed = part.countersign(coordinator, &key.expect("a key"));
        signed.map_err(|e| SiteError::Plan(e.to_string()))
    }

    fn close(&mut self) -> Result<(), SiteError> {
        Ok(self.ledger.close()?)
    }
}

/// One process's life.
pub fn live(
    world: &Arc<World>,
    (client, instance): (ClientId, Instance),
    task: Task,
    power: &Arc<Power>,
) -> Result<Ending, ClientError> {
    let scheduler = &world.scheduler;
    let takes = match scheduler.draw(20) {
        0 => ROUND + ROUND / 2,
        n => Duration::from_millis(200 * n),
    };
    let index = CLIENTS.iter().position(|name| *name == client.as_str());
    let said = world.setting.takes.as_ref().zip(index);
    let said = said.and_then(|(all, index)| all.get(index).or(all.last()));
    let takes = if let Some(takes) = said {
        *takes
    } else if world.is_disturbed() {
        takes
    } else {
        Duration::from_secs(1)
    };
    let place = LedgerPlace {
        disk: Arc::new(PoweredDisk(Arc::clone(power))),
        path: world.folder(client.as_str()).join("ledger.jsonl"),
        data_set: "data".into(),
        new_data_set: false,
        taken_up_again: true,
    };
    let invitation = Invitation {
        ledger: place.clone(),
        labels: Vec::new(),
        results: None,
        known_plan: Arc::default(),
    };
    let mut link = Link {
        world: Arc::clone(world),
        client: client.clone(),
        instance,
        task,
        power: Arc::clone(power),
    };
    let mut open = |plan: AgreedPlan, _: &[(String, Arc<[u8]>)]| {
        scheduler.step(task);
        let ledger = SiteLedger::open(place.clone(), None, &plan, || 0)?;
        Ok(Box::new(Numbers {
            world: Arc::clone(world),
            client: client.clone(),
            instance,
            task,
            power: Arc::clone(power),
            plan,
            ledger,
            takes,
        }) as Box<dyn AtSite>)
    };
    participate_with(
        &mut link,
        &invitation,
        (&|_, _| Ok(()), &mut open),
        &mut |_| {},
    )
}
