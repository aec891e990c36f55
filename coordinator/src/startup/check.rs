//! `umbel-coordinator check`: everything that `serve` looks at, and nothing that it makes.

use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use tokio::runtime::Runtime;
use umbel_model::DeviceChoice;
use umbel_model::data::LabelSet;
use umbel_privacy::certificate::key_file;
use umbel_privacy::disk::AnyLedgerStorage;
use umbel_privacy::unit_word::UnitWord;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::findings::{Finding, Findings};
use umbel_proto::plan::AgreedPlan;
use umbel_proto::spending::Spending;

use super::certificates::DatedFile;
use super::{connections, disk};
use crate::config::{self, RunConfig, ServeSection};
use crate::grpc::{self, Security};
use crate::run::absence::Patience;
use crate::run::books::{Books, Naming};
use crate::run::clock::Clock;
use crate::run::conduct::ConductError;
use crate::run::place::folders_of;
use crate::run::prepare::{Prepared, prepare};
use crate::run::serve::{network_section, own_files, security};

/// What `umbel-coordinator check` was asked for.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// The configuration file.
    pub config: PathBuf,
    /// `key=value` overrides.
    pub overrides: Vec<String>,
    /// Whether the ledger may get a data set that it doesn't know yet.
    pub new_data_set: bool,
    /// Where `serve` would evaluate.
    pub device: DeviceChoice,
}

/// Days before its end from which a certificate is worth a warning.
const SOON: i64 = 30;

/// Looks at everything that a run over the network needs. Nothing is made, charged or sent.
pub fn check(options: &CheckOptions, clock: &dyn Clock) -> Findings {
    let mut found = Findings::default();
    let loaded = config::load(&options.config, &options.overrides, None);
    let config = match loaded {
        Ok(loaded) => loaded.config,
        Err(error) => {
            found.fail("configuration", ExitKind::Configuration, error);
            return found;
        }
    };
    let section = match network_section(&config) {
        Ok(section) => section,
        Err(error) => {
            found.fail("configuration", ExitKind::Configuration, error);
            return found;
        }
    };
    let file = options.config.display();
    let clients = config.clients.len();
    found.note(
        Finding::good(
            "configuration",
            format!("{file}: run {}, {clients} clients", config.run.name),
        )
        .with("run", &config.run.name)
        .with("clients", clients),
    );
    callers(&mut found, (&config, &section), clock);
    let (ledger, signing_key) = own_files(&config, &options.config);
    key(&mut found, &signing_key);
    let Some(prepared) = model_and_plan(&mut found, &config, &options.device) else {
        found.note(Finding::open(
            "budget",
            "there is no plan to hold against it",
        ));
        found.note(Finding::open("disk", "there is no plan to count by"));
        return found;
    };
    let going_on = unfinished(&mut found, &config);
    let (budget, naming) = (
        Budget {
            config: &config,
            prepared: &prepared,
            going_on,
        },
        Naming::new(options.new_data_set),
    );
    budget.check(&mut found, (&ledger, naming), clock);
    room(&mut found, (&config, &prepared.plan), &ledger);
    found
}

/// Certificates, clients, connections, and the port.
fn callers(
    found: &mut Findings,
    (config, section): (&RunConfig, &ServeSection),
    clock: &dyn Clock,
) {
    let security = match security(config) {
        Ok(security) => security,
        Err(error) => return found.fail("certificates", error.exit_kind(), error),
    };
    if let Security::MutualTls { tls, .. } = &security {
        match tls.check().and_then(|()| tls.dates()) {
            Ok(files) => files
                .iter()
                .for_each(|file| certificate(found, file, clock.unix_seconds())),
            Err(error) => found.fail("certificates", error.exit_kind(), error),
        }
        for client in &config.clients {
            let fingerprint = client
                .fingerprint
                .map(|f| f.to_string())
                .unwrap_or_default();
            found.note(
                Finding::good("client", format!("{} has {fingerprint}", client.name))
                    .with("client", &client.name)
                    .with("fingerprint", fingerprint),
            );
        }
    } else {
        let said = "no TLS: anybody on this machine may be any client";
        found.note(Finding::warning("certificates", said));
    }
    match connections::limits(config, section) {
        Ok(limits) => found.note(
            Finding::good("connections", format!("{} at a time", limits.open))
                .with("connections", limits.open)
                .with("for_each_address", limits.for_each_address)
                .with("in_handshake", limits.in_handshake),
        ),
        Err(error) => found.fail("connections", error.exit_kind(), error),
    }
    let bound = Runtime::new()
        .map_err(|e| (ExitKind::Internal, e.to_string()))
        .and_then(|runtime| {
            let bound = runtime.block_on(grpc::bind(&section.listen, &security));
            bound.map(drop).map_err(|e| (e.exit_kind(), e.to_string()))
        });
    match bound {
        Ok(()) => found.note(Finding::good("port", format!("{} is free", section.listen))),
        Err((kind, reason)) => found.fail("port", kind, reason),
    }
}

fn certificate(found: &mut Findings, file: &DatedFile, unix_seconds: u64) {
    let days = match file.days_left(unix_seconds) {
        Ok(days) => days,
        Err(error) => return found.fail("certificate", ExitKind::Configuration, error),
    };
    let said = format!(
        "{} is good until {}: {days} days more",
        file.path.display(),
        file.dates.last_day()
    );
    let finding = match days {
        ..=SOON => Finding::warning("certificate", said),
        _ => Finding::good("certificate", said),
    };
    found.note(finding.with("key", file.field).with("days_left", days));
}

/// The key that signs runs.
fn key(found: &mut Findings, path: &Path) {
    match key_file::load(path) {
        Ok(Some(key)) => {
            let public = key.public_key().to_string();
            found.note(
                Finding::good("signing key", format!("its public half is {public}"))
                    .with("public_key", public),
            );
        }
        Ok(None) => found.note(Finding::good(
            "signing key",
            format!("there is none; serve makes {}", path.display()),
        )),
        Err(error) => found.fail("signing key", ExitKind::Configuration, error),
    }
}

/// The base model, the public rows, and the plan that sites would get, noise calibrated.
fn model_and_plan(
    found: &mut Findings,
    config: &RunConfig,
    device: &DeviceChoice,
) -> Option<Prepared> {
    let labels = match LabelSet::new(config.outputs()) {
        Ok(labels) => labels,
        Err(error) => {
            found.fail(
                "plan",
                ExitKind::Configuration,
                format!("data.labels: {error}"),
            );
            return None;
        }
    };
    let prepared = match prepare(config, labels, device, Patience::NONE) {
        Ok(prepared) => prepared,
        Err(error) => {
            found.fail("plan", error.exit_kind(), error);
            return None;
        }
    };
    let plan = &prepared.plan;
    found.note(
        Finding::good(
            "plan",
            format!(
                "{} rounds, {} trained parameters, unit {}, {} of an update each; SHA-256 {}",
                plan.rounds,
                plan.classifier.parameters,
                UnitWord(plan.unit()),
                ByteSize(crate::aggregate::UpdateRules::of(plan).bytes()),
                plan.digest()
            ),
        )
        .with("rounds", plan.rounds.get())
        .with("parameters", plan.classifier.parameters)
        .with("plan_sha256", plan.digest()),
    );
    match &plan.protection {
        Some(protection) => {
            let noise = protection.noise_multiplier.get();
            let how = match config.privacy.noise_multiplier {
                Some(_) => "as given",
                None => "the least with which all rounds fit the budget",
            };
            found.note(
                Finding::good("noise", format!("multiplier {noise}, {how}"))
                    .with("noise_multiplier", noise)
                    .with("sampling_rate", plan.sampling_rate.get()),
            );
        }
        None => found.note(Finding::warning(
            "noise",
            "unit none: this run protects nobody",
        )),
    }
    Some(prepared)
}

/// What a run costs, and whether the budget allows it.
struct Budget<'a> {
    config: &'a RunConfig,
    prepared: &'a Prepared,
    /// Whether it is a run that was cut off.
    going_on: bool,
}

impl Budget<'_> {
    fn check(&self, found: &mut Findings, (path, naming): (&Path, Naming), clock: &dyn Clock) {
        let plan = &self.prepared.plan;
        let spending = match self.spending((path, naming), clock) {
            Ok(spending) => spending,
            Err(error) => return found.fail("budget", error.exit_kind(), error),
        };
        let (Some(spending), Some(protection)) = (spending, &plan.protection) else {
            return found.note(Finding::open("budget", "a run of unit none spends nothing"));
        };
        let draws = match self.going_on {
            true => spending.unpaid_draws(),
            false => plan.draws(),
        };
        if let Err(error) = spending.check(draws) {
            let kind = match error.is_exhausted() {
                true => ExitKind::BudgetExhausted,
                false => ExitKind::Ledger,
            };
            return found.fail("budget", kind, format!("not for the whole plan: {error}"));
        }
        let (epsilon, delta) = (protection.budget.epsilon(), protection.budget.delta());
        let spent = spending.epsilon();
        let said = format!(
            "all rounds fit into epsilon {epsilon} at delta {delta}; {} says that {spent:.4} is \
             spent",
            path.display()
        );
        found.note(
            Finding::good("budget", said)
                .with("epsilon", epsilon)
                .with("delta", delta)
                .with("spent_epsilon", spent),
        );
    }

    /// The ledger in memory, as the run would find it.
    fn spending(
        &self,
        (path, naming): (&Path, Naming),
        clock: &dyn Clock,
    ) -> Result<Option<Spending<AnyLedgerStorage>>, ConductError> {
        let plan = &self.prepared.plan;
        let mut books = Books::rehearse(self.config, path, naming)?;
        books.inherit(&self.prepared.base, plan)?;
        Ok(books.begin(plan, clock.unix_seconds())?.0)
    }
}

fn room(found: &mut Findings, (config, plan): (&RunConfig, &AgreedPlan), ledger: &Path) {
    let rooms = match disk::rooms(config, plan, ledger) {
        Ok(rooms) => rooms,
        Err(error) => return found.fail("disk", ExitKind::RunFailed, error),
    };
    if let Err(error) = disk::check(&rooms) {
        return found.fail("disk", ExitKind::RunFailed, error);
    }
    for room in rooms {
        let finding = match room.is_tight() {
            true => Finding::warning("disk", &room),
            false => Finding::good("disk", &room),
        };
        found.note(
            finding
                .with("free_bytes", room.free)
                .with("needed_bytes", room.needed),
        );
    }
}

/// Whether a run of this name was cut off.
fn unfinished(found: &mut Findings, config: &RunConfig) -> bool {
    let folders = match folders_of(config) {
        Ok(folders) => folders,
        Err(error) => {
            found.fail("unfinished", ExitKind::RunFailed, error);
            return false;
        }
    };
    for folder in &folders {
        let said = format!(
            "{} has a run that was cut off; serve goes on with it, unless --new is given",
            folder.display()
        );
        found.note(Finding::warning("unfinished", said).with("run_dir", folder));
    }
    !folders.is_empty()
}
