//! A real site with a few rows of the example, and runs to offer to it.

use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use umbel_client::compute::ComputeSlots;
use umbel_client::grpc::{ClientIdentity, ConnectionSettings, GrpcTransport};
use umbel_client::participate::{ClientError, participate};
use umbel_client::policy::{LeastNoise, SitePolicy};
use umbel_client::site::SiteSettings;
use umbel_client::site_ledger::LedgerPlace;
use umbel_client::site_table::SiteTable;
use umbel_coordinator::config;
use umbel_coordinator::grpc::Security;
use umbel_coordinator::run::absence::Patience;
use umbel_coordinator::run::prepare::{prepare, schema_of};
use umbel_model::data::LabelSet;
use umbel_model::{ComputePrecision, DeviceChoice, ModelFiles};
use umbel_privacy::disk::RealDisk;
use umbel_privacy::ledger::LedgerEntry;
use umbel_privacy::ledger::chain;
use umbel_privacy::unit::PrivacyUnit;
use umbel_proto::message::{BlobDigest, ClientId, Ending, Instance, ModelFile, Task};
use umbel_proto::plan::{AgreedPlan, WrittenPlan};

use crate::coordinator::{Call, Coordinator, Script};

/// The site's rows, its ledger, and what a coordinator of its own may offer it.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

/// Updates that a coordinator got: round and bytes.
pub(crate) type Updates = Vec<(u32, Vec<u8>)>;

/// A run as it is offered.
#[derive(Clone)]
pub(crate) struct Offered {
    pub(crate) plan: AgreedPlan,
    /// The plan as it is sent, which a lying coordinator may have changed.
    pub(crate) sent: Vec<u8>,
    files: Vec<(ModelFile, Arc<[u8]>)>,
}

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sentiment/bert-tiny")
}

pub(crate) fn north() -> ClientId {
    "north".parse().unwrap()
}

fn cpu() -> DeviceChoice {
    "cpu".parse().unwrap()
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rows = "text,label\nquite good,positive\nquite bad,negative\nfine,positive\n";
        fs::write(folder.path().join("rows.csv"), rows).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a run's configuration: the last layer of the example's model, and `sections`.
    pub(crate) fn configuration(&self, name: &str, rounds: u32, sections: &str) -> PathBuf {
        let text = format!(
            "[run]\nname = \"{name}\"\nrounds = {rounds}\nout = {:?}\n\
             [model]\nbase = {:?}\ntrain = \"head\"\nmax_tokens = 8\n\
             [data]\nlabels = [\"negative\", \"positive\"]\nclean = false\n{sections}\n\
             [[clients]]\nname = \"north\"\n",
            self.path("runs"),
            model(),
        );
        let path = self.path(&format!("{name}.toml"));
        fs::write(&path, text).unwrap();
        path
    }

    /// The run of a configuration.
    pub(crate) fn offered(&self, name: &str, rounds: u32, sections: &str) -> Offered {
        let path = self.configuration(name, rounds, sections);
        let config = config::load(&path, &[], None).unwrap().config;
        let labels = LabelSet::new(config.data.labels.clone()).unwrap();
        let plan = prepare(&config, labels, &cpu(), Patience::NONE)
            .unwrap()
            .plan;
        let files = ModelFiles::read(&model()).unwrap();
        let file = |(name, content): (&str, &[u8])| {
            let described = ModelFile {
                name: name.to_owned(),
                digest: BlobDigest::of(content),
                bytes: content.len() as u64,
            };
            (described, Arc::from(content))
        };
        Offered {
            sent: plan.bytes().to_vec(),
            plan,
            files: files.named().into_iter().map(file).collect(),
        }
    }

    /// The site, with a budget of `epsilon`.
    pub(crate) fn site(&self, epsilon: f64) -> SiteSettings {
        let path = self.configuration("columns", 1, PER_CLIENT);
        let config = config::load(&path, &[], None).unwrap().config;
        SiteSettings {
            name: north(),
            table: SiteTable::File(self.path("rows.csv")),
            schema: schema_of(&config),
            labels: Vec::new(),
            policy: Some(SitePolicy {
                epsilon: epsilon.try_into().unwrap(),
                delta: 1e-5.try_into().unwrap(),
                least_unit: PrivacyUnit::Record,
                least_noise_multiplier: LeastNoise::default(),
                allow_central_noise: true,
                allow_unprotected: false,
                allow_seeded: false,
                base_models: Vec::new(),
            }),
            ledger: LedgerPlace {
                path: self.path("ledger.jsonl"),
                data_set: "rows".into(),
                new_data_set: false,
                disk: Arc::new(RealDisk),
                taken_up_again: true,
            },
            device: cpu(),
            precision: ComputePrecision::default(),
            memory: None,
            compute: Arc::new(ComputeSlots::alone()),
            results: None,
            unix_seconds: || 1_700_000_000,
            signing_key: None,
        }
    }

    /// The entries of the site's ledger.
    pub(crate) fn entries(&self) -> Vec<LedgerEntry> {
        let bytes = fs::read(self.path("ledger.jsonl")).unwrap_or_default();
        chain::verify(&bytes).unwrap().entries
    }

    /// Plays a coordinator that offers this run and then asks for these rounds, each from the
    /// parameters of this number, to the real client. Returns how it ended and the updates that
    /// the coordinator got.
    pub(crate) fn play(
        &self,
        site: SiteSettings,
        offered: &Offered,
        asked: &[(u32, u8)],
    ) -> (Result<Ending, String>, Updates) {
        let script = Arc::new(offered.script(asked));
        let coordinator = Coordinator::start(&script, Security::LoopbackOnly);
        let address = format!("http://{}", coordinator.address);
        let settings = ConnectionSettings::new(address, ClientIdentity::Name(north()), Instance(1));
        let mut transport = GrpcTransport::connect(settings).unwrap();
        let ending = participate(&mut transport, site, &mut |_| {});
        coordinator.stop();
        (ending.map_err(|e: ClientError| e.to_string()), got(&script))
    }

    /// Writes the configuration of the site for a coordinator at this address.
    pub(crate) fn client_toml(&self, address: SocketAddr) -> PathBuf {
        let text = format!(
            "name = \"north\"\ncoordinator = \"http://{address}\"\n\
             [data]\npath = \"rows.csv\"\n\
             [policy]\ndata_set = \"rows\"\nepsilon = 50.0\ndelta = 1e-5\n\
             [device]\ndevice = \"cpu\"\n"
        );
        let path = self.path("client.toml");
        fs::write(&path, text).unwrap();
        path
    }
}

/// The updates that a coordinator got.
pub(crate) fn got(script: &Script) -> Updates {
    let calls = script.calls().into_iter();
    let update = |call| match call {
        Call::Submit(_, update) => Some((update.round, update.values)),
        _ => None,
    };
    calls.filter_map(update).collect()
}

impl Offered {
    /// The same run under another name.
    pub(crate) fn named(&self, name: &str) -> Self {
        self.changed(|plan| plan.run = name.parse().unwrap())
    }

    /// A run by another plan.
    pub(crate) fn changed(&self, change: impl FnOnce(&mut WrittenPlan)) -> Self {
        let plan = AgreedPlan::from(self.plan.changed(change).unwrap());
        Self {
            sent: plan.bytes().to_vec(),
            plan,
            files: self.files.clone(),
        }
    }

    /// Name and content of the model's files.
    pub(crate) fn files(&self) -> Vec<(String, Arc<[u8]>)> {
        let named = self.files.iter();
        named
            .map(|(file, bytes)| (file.name.clone(), Arc::clone(bytes)))
            .collect()
    }

    /// Parameters to begin a round with, one set for each number.
    pub(crate) fn parameters(&self, number: u8) -> Arc<[u8]> {
        let value = 0.01 * f32::from(number);
        std::iter::repeat_n(value.to_le_bytes(), self.plan.coordinates())
            .flatten()
            .collect()
    }

    /// A coordinator that offers this run and asks for these rounds, each from the parameters of
    /// this number; then the run is over.
    pub(crate) fn script(&self, asked: &[(u32, u8)]) -> Script {
        let mut script = Script {
            plan: self.sent.clone(),
            files: self.files.iter().map(|(file, _)| file.clone()).collect(),
            update_bytes: 1 << 30,
            ..Script::default()
        };
        for (file, bytes) in &self.files {
            script.blobs.insert(file.digest, Arc::clone(bytes));
        }
        let mut tasks = VecDeque::new();
        for (round, number) in asked {
            let bytes = self.parameters(*number);
            let parameters = BlobDigest::of(&bytes);
            script.blobs.insert(parameters, bytes);
            tasks.push_back(Some(Task::Train {
                round: *round,
                parameters,
                counted: None,
            }));
        }
        tasks.push_back(Some(Task::Finished(Ending::Complete)));
        script.tasks = tasks.into();
        script
    }
}

/// Twenty clients' worth of amplification: one in twenty is drawn in each round.
pub(crate) const PER_CLIENT: &str = "\
[privacy]
unit = \"client\"
epsilon = 6.0
delta = 1e-5
clipping_norm = 0.5
sampling_rate = 0.05
[training]
method = \"deltas\"
[training.local]
optimiser = \"sgd\"
steps = 1
batch = 2
learning_rate = 0.1
[server]
optimiser = \"sgd\"
learning_rate = 1.0
";

/// Each site noises what it sends by itself.
pub(crate) const LOCAL: &str = "\
[privacy]
unit = \"record\"
noise = \"local\"
epsilon = 6.0
delta = 1e-5
clipping_norm = 0.5
sampling_rate = 0.5
noise_multiplier = 2.0
[training]
method = \"gradients\"
expected_batch = 2
[server]
optimiser = \"sgd\"
learning_rate = 1.0
";
