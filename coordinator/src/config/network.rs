//! Who takes part and who listens: `[federation]`, `[evaluation]`, `[serve]`.

use std::collections::BTreeSet;
use std::ops::Bound::Included;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_proto::bounded;
use umbel_proto::message::ClientId;

use super::{ConfigError, RunConfig, require};

bounded! {
    /// How often a round may be tried.
    Attempts(u32): "attempts", Included(1), Included(100);

    /// How many connections may be open.
    Connections(u32): "connections", Included(1), Included(1_000_000);

    /// How many connections may be in their handshake.
    Handshakes(u32): "handshakes", Included(1), Included(100_000);
}

impl Default for Handshakes {
    fn default() -> Self {
        Self(128)
    }
}

bounded! {
    /// The share of a round's cohort, in percent, whose updates are enough.
    QuorumPercent(u8): "quorum_percent", Included(1), Included(99);

    /// How much longer than a quorum took the others are waited for, as a multiple.
    Grace(f64): "grace", Included(0.0), Included(100.0);
}

impl Grace {
    /// How long the others are waited for, once the quorum took so long.
    pub fn of(self, took: Duration) -> Duration {
        took.mul_f64(self.0)
    }
}

bounded! {
    /// After how long without a sign of life a client isn't waited for.
    SilenceSeconds(u64): "silence_seconds", Included(20), Included(86_400);
}

/// `[federation]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FederationSection {
    /// Clients that must have joined, and updates that a round needs; 0 means all. With the unit
    /// `client` and a sampling rate below 1, rounds have no minimum.
    pub minimum: usize,
    /// Of a round's cohort, the share in percent whose updates are enough to stop waiting for the
    /// others after `grace`. Left out, all who are here are waited for until `round_seconds`. An
    /// update that comes too late doesn't count, and its site has paid for it. Not with the unit
    /// `client`, where nobody's part may depend on how quick anybody else is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum_percent: Option<QuorumPercent>,
    /// How much longer than the quorum took the others are waited for, as a multiple of that time:
    /// 1 gives them as long again.
    pub grace: Grace,
    /// How often a round with too few updates is tried.
    pub attempts: Attempts,
    /// How long to wait for all clients to be ready before the run begins with the minimum, in
    /// seconds.
    pub gather_seconds: u64,
    /// How long a round may take, in seconds. With the unit `client` it takes so long whenever a
    /// client of its cohort is absent, so that nobody's part depends on anybody else's.
    pub round_seconds: u64,
    /// With the unit `client`, whether a round over the network ends before `round_seconds` once its
    /// whole cohort has answered. That excludes nobody, but its clients see how long it took: short, if
    /// nobody of the cohort was absent. With `false` every round takes `round_seconds`, and tells nothing.
    pub close_early: bool,
    /// How long a run over the network pauses when fewer clients than the minimum are here, in
    /// seconds. It goes on when enough are back, and ends if they aren't in time.
    pub patience_seconds: u64,
    /// After how many seconds without a sign of life a round isn't kept open for a client any more.
    /// It is back at its next one. Clients give one every 10 seconds.
    pub silence_seconds: SilenceSeconds,
}

/// `[evaluation]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationSection {
    /// Evaluate after the first round, after every so many rounds, and at the end, each time while
    /// the next round trains; 0 means only at the end.
    pub every: u32,
    /// End the run once so many evaluations in a row weren't better, in loss, than the best before
    /// them. What was released by then stands, and sites that paid ahead stay charged. Left out, all
    /// rounds are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_after: Option<u32>,
    /// About how many rows, evenly spread, the evaluations before the end use; 0 means all.
    pub rows: usize,
    /// Divide the trained model's last layer by a temperature, so that its probabilities are what
    /// they say. It is fitted on half of the rows of these files and judged on the other half; no
    /// label changes, and it costs no privacy. With fewer than about 100 rows nothing is done.
    pub calibrate: bool,
    /// Labelled files that count as public: what is computed on them is published.
    pub files: Vec<EvaluationFile>,
}

/// `[[evaluation.files]]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluationFile {
    /// Name in tables.
    pub name: String,
    /// A table: CSV, JSON, Parquet, Arrow, an Excel workbook, or a folder of such files.
    pub path: PathBuf,
}

/// `[serve]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServeSection {
    /// Address and port on which clients are awaited.
    pub listen: String,
    /// `false` serves without TLS, so that anybody may be any client. That is only allowed on a
    /// loopback address.
    #[serde(default = "yes")]
    pub tls: bool,
    /// The coordinator's certificate (PEM).
    #[serde(default = "default_certificate")]
    pub certificate: PathBuf,
    /// Its private key (PEM).
    #[serde(default = "default_key")]
    pub key: PathBuf,
    /// The authority that signed the clients' certificates (PEM).
    #[serde(default = "default_ca")]
    pub ca: PathBuf,
    /// Connections that may be open at a time. Left out: 16 for each client, which is as many as one
    /// client may have, and 8 for certificates of the authority that belong to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Connections>,
    /// Of these, connections from one address (of IPv6, from one /64 network). Left out, all of
    /// them: sites behind one gateway share its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections_per_address: Option<Connections>,
    /// Connections that may be in their TLS handshake at a time, for 10 seconds each at most. Where
    /// there are more, the oldest of the address that has most of them is closed.
    #[serde(default)]
    pub handshakes: Handshakes,
}

impl Default for FederationSection {
    fn default() -> Self {
        Self {
            minimum: 0,
            quorum_percent: None,
            grace: Grace(1.0),
            attempts: Attempts(2),
            gather_seconds: 600,
            round_seconds: 600,
            close_early: true,
            patience_seconds: 86_400,
            silence_seconds: SilenceSeconds(60),
        }
    }
}

impl Default for EvaluationSection {
    fn default() -> Self {
        Self {
            every: 10,
            stop_after: None,
            rows: 0,
            calibrate: true,
            files: Vec::new(),
        }
    }
}

fn yes() -> bool {
    true
}
fn default_certificate() -> PathBuf {
    "server.pem".into()
}
fn default_key() -> PathBuf {
    "server.key".into()
}
fn default_ca() -> PathBuf {
    "ca.pem".into()
}

pub(super) fn check(config: &RunConfig) -> Result<(), ConfigError> {
    match config.clients.divided() {
        Some(divided) => divided.check()?,
        None => require(
            !config.clients.is_empty(),
            "clients",
            "name at least one client",
        )?,
    }
    // Who the clients of a table are is known once it is read; then this is checked again.
    if !config.clients.is_undivided() {
        check_clients(config)?;
    }
    require(
        config.evaluation.stop_after != Some(0),
        "evaluation.stop_after",
        "must be at least 1",
    )?;
    require(
        config.evaluation.stop_after.is_none() || !config.evaluation.files.is_empty(),
        "evaluation.stop_after",
        "needs public rows to look at; name some under [[evaluation.files]], or remove it",
    )?;
    let files: BTreeSet<&String> = config.evaluation.files.iter().map(|f| &f.name).collect();
    require(
        files.len() == config.evaluation.files.len(),
        "evaluation.files",
        "two files have one name",
    )
}

fn check_clients(config: &RunConfig) -> Result<(), ConfigError> {
    let names: BTreeSet<&ClientId> = config.clients.iter().map(|c| &c.name).collect();
    require(
        names.len() == config.clients.len(),
        "clients",
        "two clients have one name",
    )?;
    require(
        config.federation.minimum <= names.len(),
        "federation.minimum",
        "is more than there are clients",
    )?;
    require(
        config.federation.close_early || config.privacy.hides_clients(),
        "federation.close_early",
        "means something for the unit \"client\" alone: with other units who takes part is no secret, \
         and a round ends when nobody is left to wait for; remove it",
    )?;
    if let Some(simulation) = &config.simulation {
        simulation.check(config, names.len())?;
    }
    check_quorum(config, names.len())
}

fn check_quorum(config: &RunConfig, clients: usize) -> Result<(), ConfigError> {
    let federation = &config.federation;
    if federation.quorum_percent.is_none() {
        return Ok(());
    }
    require(
        !config.privacy.hides_clients(),
        "federation.quorum_percent",
        "can't be used with privacy.unit \"client\": a quick client would displace a slow one, so \
         that one client moves the sum by two",
    )?;
    require(
        federation.minimum != 0 && federation.minimum < clients,
        "federation.quorum_percent",
        "does nothing as long as a round needs everybody's update; set federation.minimum to fewer \
         than there are clients",
    )
}
