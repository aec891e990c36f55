//! What a run is about: its plan, and who takes part in what.

use std::collections::BTreeSet;
use std::time::Duration;

use umbel_privacy::budget::Budget;
use umbel_privacy::poisson::SamplingRate;
use umbel_privacy::unit::{NoisePlacement, PrivacyUnit};
use umbel_proto::message::ClientId;
use umbel_proto::method::Method;
use umbel_proto::plan::{AgreedPlan, Plan};

pub const CLIENTS: [&str; 4] = ["east", "north", "south", "west"];
pub const PARAMETERS: usize = 3;
pub const ROUNDS: u32 = 4;
/// How long a round may take.
pub const ROUND: Duration = Duration::from_secs(60);

const EXAMPLE: &[u8] = include_bytes!("../../proto/plan.example.json");

/// Whom the noise protects, and who adds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    RecordsCentrally,
    RecordsLocally,
    Clients,
    /// The same, and every round takes its whole time.
    ClientsInFixedTime,
}

impl Kind {
    pub const ALL: [Self; 4] = [
        Self::RecordsCentrally,
        Self::RecordsLocally,
        Self::Clients,
        Self::ClientsInFixedTime,
    ];
}

#[derive(Clone, Debug)]
pub struct Setting {
    pub kind: Kind,
    pub minimum: usize,
    /// Who isn't heard of in which rounds, in a run that nothing else disturbs.
    pub absent: BTreeSet<(ClientId, u32)>,
    /// How long each site trains, the last for all that follow; drawn if `None`.
    pub takes: Option<Vec<Duration>>,
}

pub fn client(name: &str) -> ClientId {
    name.parse().expect("a valid name")
}

fn number<N, T>(number: N) -> T
where
    T: TryFrom<N>,
    T::Error: std::fmt::Debug,
{
    T::try_from(number).expect("in its range")
}

impl Setting {
    /// Its plan, which is seeded, so that a run has one model that it must come to.
    pub fn plan(&self) -> AgreedPlan {
        let example = Plan::from_json(EXAMPLE).expect("a plan");
        let changed = example.changed(|plan| {
            plan.classifier.parameters = PARAMETERS;
            plan.rounds = number(ROUNDS);
            plan.sampling_rate = SamplingRate::ALL;
            plan.divisor = number(10.0);
            plan.seed = Some(1);
            let promise = plan.protection.as_mut().expect("the example promises");
            promise.budget = Budget::new(100.0, 1e-5).expect("a budget");
            promise.noise_multiplier = number(2.0);
            promise.clipping_norm = number(1.0);
            match self.kind {
                Kind::RecordsCentrally => {}
                Kind::RecordsLocally => promise.placement = NoisePlacement::Local,
                Kind::Clients | Kind::ClientsInFixedTime => {
                    promise.unit = PrivacyUnit::Client;
                    let steps =
                        r#"{"steps": 1, "batch": 4, "optimiser": "sgd", "learning_rate": 0.1}"#;
                    plan.method = Method::Deltas(serde_json::from_str(steps).expect("steps"));
                }
            }
        });
        changed.expect("a plan").into()
    }

    /// Whether nobody's part may depend on anybody else's.
    pub fn is_independent(&self) -> bool {
        matches!(self.kind, Kind::Clients | Kind::ClientsInFixedTime)
    }
}
