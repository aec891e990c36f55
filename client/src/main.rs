//! The `umbel-client` command: one data site.

#![forbid(unsafe_code)]
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rand::RngExt as _;
use tracing_subscriber::EnvFilter;
use umbel_client::check as look_for;
use umbel_client::command_line::{Arguments, Check, Command, Key, Run};
use umbel_client::compute::ComputeSlots;
use umbel_client::config::ClientConfig;
use umbel_client::grpc::{
    ClientIdentity, ClientTls, ConnectionSettings, GrpcTransport, RetryPolicy,
};
use umbel_client::model_cache::{Cached, ModelCache};
use umbel_client::participate::{ClientError, Progress, participate};
use umbel_client::results::ResultsPlace;
use umbel_client::signals::on_stop;
use umbel_client::site::SiteSettings;
use umbel_client::site_ledger::LedgerPlace;
use umbel_client::site_table::SiteTable;
use umbel_client::transport::Transport as _;
use umbel_privacy::certificate::{SigningKey, key_file};
use umbel_privacy::disk::RealDisk;
use umbel_proto::certificate_dates::Standing;
use umbel_proto::console::{self, last_answer};
use umbel_proto::departure::Departure;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::findings::Findings;
use umbel_proto::message::{Ending, Instance};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) => {
            let words = told.render();
            let coloured = words.ansi().to_string();
            return console::end_with_help(&words.to_string(), &coloured, told.use_stderr());
        }
    };
    let done = match arguments.command {
        Command::Run(run) => {
            start_log(run.log_json);
            take_part(&run)
        }
        Command::Check(check) => look(&check),
        Command::Key(key) => print_key(&key),
    };
    match done {
        Ok(kind) => kind.into(),
        Err((kind, message)) => console::fail(kind, message),
    }
}

fn start_log(json: bool) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,umbel_client=info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(console::is_coloured())
        // It would be told of by a panic.
        .log_internal_errors(false);
    if json {
        log.json().init();
    } else {
        log.init();
    }
}

fn take_part(run: &Run) -> Result<ExitKind, (ExitKind, String)> {
    let configuration = |e: String| (ExitKind::Configuration, e);
    let config = ClientConfig::load(&run.config).map_err(|e| configuration(e.to_string()))?;
    let failed = |e: ClientError| (e.exit_kind(), e.to_string());
    let signing_key = key_file::load_or_make(&config.policy.signing_key)
        .map_err(|e| configuration(e.to_string()))?;
    let public_key = signing_key.public_key();
    tracing::info!(%public_key, "the key with which this site signs what it was told and did");
    let identity = identity(&config).map_err(failed)?;
    if let ClientIdentity::Certificate { tls, .. } = &identity {
        watch_certificate(tls).map_err(configuration)?;
    }
    let instance = Instance(rand::rng().random());
    let transport =
        connect(&config, &identity, (instance, RetryPolicy::default())).map_err(failed)?;
    let cache = ModelCache::new(config.cache.folder.clone(), config.cache.size.as_u64());
    let mut transport = Cached::new(transport, cache);
    let goodbye =
        connect(&config, &identity, (instance, RetryPolicy::default())).map_err(failed)?;
    if let Err(error) = on_stop(move || leave(goodbye)) {
        tracing::warn!("signals can't be heeded: {error}");
    }
    let settings = settings(&config, signing_key, run.new_data_set).map_err(configuration)?;
    let bar = progress_bar();
    let mut tally = Tally::default();
    let ending = participate(&mut transport, settings, &mut |progress| {
        tally.note(&progress);
        show(&bar, &progress)
    });
    bar.finish_and_clear();
    match ending.map_err(failed)? {
        Ending::Complete | Ending::BudgetExhausted { .. } if tally.never_counted() => Err((
            ExitKind::NeverCounted,
            format!(
                "the run is over, and none of this site's updates counted: {}. The coordinator's \
                 report says more; give sites more time (federation.round_seconds), or this one a \
                 faster machine",
                tally.why()
            ),
        )),
        Ending::Complete => {
            tracing::info!("the run is complete");
            Ok(ExitKind::Success)
        }
        Ending::BudgetExhausted { rounds } => {
            tracing::info!(rounds, "the run ended: its privacy budget is exhausted");
            Ok(ExitKind::BudgetExhausted)
        }
        Ending::Failed { reason } => {
            Err((ExitKind::RunFailed, format!("the run failed: {reason}")))
        }
        Ending::Stopped { rounds } => {
            tracing::info!(
                rounds,
                "the run ended early: whoever conducts it stopped it"
            );
            Ok(ExitKind::Stopped)
        }
        Ending::Diverged { round } => Err((ExitKind::Diverged, Ending::divergence(round))),
    }
}

/// What became of this site's updates.
#[derive(Default)]
struct Tally {
    counted: u32,
    last_refusal: Option<String>,
    trained: u32,
}

impl Tally {
    fn note(&mut self, progress: &Progress) {
        match progress {
            Progress::Training { .. } => self.trained += 1,
            Progress::Submitted { .. } => self.counted += 1,
            Progress::Refused { reason, .. } => self.last_refusal = Some(reason.clone()),
            Progress::Ready { .. } | Progress::Rejoined | Progress::TookHome { .. } => {}
        }
    }

    fn never_counted(&self) -> bool {
        self.trained > 0 && self.counted == 0
    }

    fn why(&self) -> &str {
        let refusal = self.last_refusal.as_deref();
        refusal.unwrap_or("none arrived in time")
    }
}

/// What a run takes of a configuration.
fn settings(
    config: &ClientConfig,
    signing_key: SigningKey,
    new_data_set: bool,
) -> Result<SiteSettings, String> {
    Ok(SiteSettings {
        name: config.name.clone(),
        table: SiteTable::File(config.data.path.clone()),
        schema: config.schema(),
        labels: config.data.labels.clone(),
        policy: Some(config.policy.rules.clone()),
        ledger: LedgerPlace {
            disk: Arc::new(RealDisk),
            path: config.policy.ledger.clone(),
            data_set: config.policy.data_set.clone(),
            new_data_set,
            taken_up_again: true,
        },
        device: config.device()?,
        precision: config.precision()?,
        memory: config.device.memory.map(|size| size.as_u64()),
        compute: Arc::new(ComputeSlots::alone()),
        results: config.results.keep.then(|| ResultsPlace {
            folder: config.results.folder.clone(),
            disk: Arc::new(RealDisk),
        }),
        unix_seconds,
        signing_key: Some(Arc::new(signing_key)),
    })
}

/// Refuses a certificate that isn't good, and says when it ends soon: now, and every day.
fn watch_certificate(tls: &ClientTls) -> Result<(), String> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let dates = tls.dates()?;
    let mut standing = dates.standing(unix_seconds());
    if !matches!(standing, Standing::Good { .. }) {
        return Err(tls.reminder(&dates, standing));
    }
    let tls = tls.clone();
    std::thread::spawn(move || {
        let mut told = None;
        loop {
            if standing.is_worth_saying(told) {
                tracing::warn!("{}", tls.reminder(&dates, standing));
                told = Some(standing);
            }
            std::thread::sleep(DAY);
            standing = dates.standing(unix_seconds());
        }
    });
    Ok(())
}

/// Looks at everything that a run needs, and prints what was found.
fn look(command: &Check) -> Result<ExitKind, (ExitKind, String)> {
    let found = look_at(command).unwrap_or_else(|(kind, reason)| {
        let mut found = Findings::default();
        found.fail("configuration", kind, reason);
        found
    });
    last_answer(match command.json {
        true => found.as_json().to_string(),
        false => found.to_string(),
    })?;
    Ok(found.exit_kind())
}

fn look_at(command: &Check) -> Result<Findings, (ExitKind, String)> {
    let configuration = |e: String| (ExitKind::Configuration, e);
    let failed = |e: ClientError| (e.exit_kind(), e.to_string());
    let config = ClientConfig::load(&command.config).map_err(|e| configuration(e.to_string()))?;
    // Nothing is signed, so that any key will do, and none is kept.
    let key = key_file::new_key().map_err(|e| configuration(e.to_string()))?;
    let identity = identity(&config).map_err(failed)?;
    let started = Instant::now();
    let check = look_for::Check {
        config: &config,
        settings: settings(&config, key, command.new_data_set).map_err(configuration)?,
        tls: match &identity {
            ClientIdentity::Certificate { tls, .. } => Some(tls),
            ClientIdentity::Name(_) => None,
        },
        unix_seconds: unix_seconds(),
        elapsed: &|| started.elapsed(),
    };
    if command.offline {
        return Ok(check.offline());
    }
    // Somebody waits for the answer.
    let retry = RetryPolicy {
        patience: Duration::from_secs(10),
        ..RetryPolicy::default()
    };
    let instance = Instance(rand::rng().random());
    let mut transport = connect(&config, &identity, (instance, retry)).map_err(failed)?;
    Ok(check.online(&mut transport))
}

/// Tells the coordinator not to wait, and ends. Like any other end, it can come at any time:
/// what was paid for is kept, and sent when this client is started again.
fn leave(mut goodbye: GrpcTransport) {
    tracing::info!("asked to stop; leaving the run, which this client can be started again for");
    goodbye.leave(Departure::Shutdown);
    std::process::exit(ExitKind::Success.code().into());
}

fn print_key(key: &Key) -> Result<ExitKind, (ExitKind, String)> {
    let configuration = |e: String| (ExitKind::Configuration, e);
    let config = ClientConfig::load(&key.config).map_err(|e| configuration(e.to_string()))?;
    let signing_key = key_file::load_or_make(&config.policy.signing_key)
        .map_err(|e| configuration(e.to_string()))?;
    last_answer(signing_key.public_key())?;
    Ok(ExitKind::Success)
}

fn identity(config: &ClientConfig) -> Result<ClientIdentity, ClientError> {
    Ok(match &config.tls {
        Some(tls) => ClientIdentity::Certificate {
            tls: ClientTls::read(&config.coordinator, &tls.ca, &tls.certificate, &tls.key)?,
            server_name: tls.server_name.clone(),
        },
        None => ClientIdentity::Name(config.name.clone()),
    })
}

fn connect(
    config: &ClientConfig,
    identity: &ClientIdentity,
    (instance, retry): (Instance, RetryPolicy),
) -> Result<GrpcTransport, ClientError> {
    let settings = ConnectionSettings {
        proxy: config.proxy.clone().unwrap_or_default(),
        retry,
        ..ConnectionSettings::new(&config.coordinator, identity.clone(), instance)
    };
    Ok(GrpcTransport::connect(settings)?)
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) =
        ProgressStyle::with_template("round {pos}/{len} {bar:30} {msg} {eta_precise} left")
    {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, progress: &Progress) {
    match progress {
        Progress::Ready { rounds } => bar.set_length(u64::from(*rounds)),
        Progress::Training { .. } => bar.set_message("training"),
        Progress::Submitted { round, epsilon } => {
            bar.set_message("waiting");
            bar.set_position(u64::from(*round));
            tracing::info!(round, epsilon, "update handed in");
        }
        Progress::TookHome { folder } => tracing::info!(
            folder = %folder.display(),
            "the model and its certificate are here, and fit what this site agreed to and did"
        ),
        Progress::Rejoined => tracing::info!("joined the run again"),
        Progress::Refused { round, reason } => {
            tracing::warn!(round, reason, "the coordinator refused the update");
        }
    }
}

fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
