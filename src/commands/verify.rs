//! `umbel verify`: what of a run's certificate holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use umbel::failure::Failure;
use umbel_coordinator::certificate::verify::{Known, VerifyError, verify};
use umbel_privacy::certificate::examine::{BETWEEN_RUNS, EXPOSED};
use umbel_privacy::certificate::{Certificate, Check, Examination, Guarantee, PublicKey};
use umbel_proto::exit_code::ExitKind;

use super::{print, print_json};

/// Verify the folder of a run against its certificate
///
/// Reads the signed certificate, the ledger, the plan and every released file. Derives from the
/// plan what the ledger's entries and the certificate must say, computes epsilon again (with that
/// of the runs which the base model descends from), compares what the sites signed, and says what
/// holds. A use of the data set without protection comes first. Trusts nothing but the keys that
/// you give. Ends with exit code 10 if anything fails.
#[derive(Args)]
#[command(after_help = "\
Examples:
  umbel verify runs/sentiment-20260101-120000
  umbel verify runs/sentiment-20260101-120000 --key coordinator/signing.pub
  umbel verify RUN_DIR --key KEY --site north=north/site.pub --site south=HEX
  umbel verify RUN_DIR --key KEY --ledger coordinator/ledger.jsonl --json")]
pub struct Verify {
    /// The run's folder.
    run: PathBuf,
    /// The signer's public key: its 64 digits, or a file that holds them (signing.pub).
    /// Without it, you learn that nothing was changed, but not who signed.
    #[arg(long, value_name = "FILE|HEX")]
    key: Option<String>,
    /// The ledger that the run was recorded in: it must continue where the run ended.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// A site's public key, which the site itself has told you: 64 digits, or a file that holds
    /// them (site.pub). May be given for each site. A site that signed with another key, or not at
    /// all, fails.
    #[arg(long = "site", value_name = "NAME=FILE|HEX")]
    sites: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    verified: bool,
    protects_nobody: Option<bool>,
    /// What is guaranteed: of several runs on the same rows, their budget.
    epsilon: Option<f64>,
    /// What was spent so far, which is no guarantee where there are several runs.
    spent_epsilon: Option<f64>,
    delta: Option<f64>,
    public_key: Option<PublicKey>,
    checks: &'a [Check],
}

/// Runs the command.
pub fn run(command: &Verify) -> Result<ExitKind, Failure> {
    let coordinators = |text| key(text, "--key", "signing.pub");
    let known = Known {
        key: command.key.as_deref().map(coordinators).transpose()?,
        sites: &site_keys(&command.sites)?,
        live: command.ledger.as_deref(),
    };
    let examination = verify(&command.run, known).map_err(|error| match error {
        VerifyError::Unreadable { .. } => Failure::new(ExitKind::Configuration, error),
        VerifyError::NoCertificate { .. } | VerifyError::NothingReleased { .. } => {
            Failure::new(ExitKind::NotVerified, error)
        }
    })?;
    if command.json {
        print_json(&answer(&examination))?;
    } else {
        print(text(&examination))?;
    }
    Ok(match examination.holds() {
        true => ExitKind::Success,
        false => ExitKind::NotVerified,
    })
}

/// Sites' keys by their names.
fn site_keys(given: &[String]) -> Result<BTreeMap<String, PublicKey>, Failure> {
    let wrong = |reason: String| Failure::new(ExitKind::Configuration, format!("--site: {reason}"));
    let mut keys = BTreeMap::new();
    for given in given {
        let (name, text) = given.split_once('=').ok_or_else(|| {
            wrong(format!(
                "{given:?} isn't NAME=KEY, a site's name and its public key"
            ))
        })?;
        let key = key(text, "--site", "site.pub")?;
        if keys
            .insert(name.to_owned(), key)
            .is_some_and(|other| other != key)
        {
            return Err(wrong(format!("two keys are given for {name}")));
        }
    }
    Ok(keys)
}

/// A key given as digits, or as a file with them, such as `example`.
fn key(text: &str, option: &str, example: &str) -> Result<PublicKey, Failure> {
    let wrong =
        |reason: String| Failure::new(ExitKind::Configuration, format!("{option}: {reason}"));
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let content = std::fs::read_to_string(Path::new(text)).map_err(|e| {
        wrong(format!(
            "neither 64 hexadecimal digits nor a file ({text}: {e})"
        ))
    })?;
    content
        .trim_end()
        .parse()
        .map_err(|_| wrong(format!("{text} holds no public key; {example} does")))
}

fn answer(examination: &Examination) -> Answer<'_> {
    let certificate = examination.certificate.as_ref();
    let guarantee = certificate.and_then(|certificate| certificate.guarantee.as_ref());
    Answer {
        verified: examination.holds(),
        protects_nobody: certificate.map(|certificate| certificate.protects_nobody),
        epsilon: guarantee.and_then(|guarantee| guaranteed(guarantee, spans_runs(examination))),
        spent_epsilon: guarantee.and_then(|guarantee| guarantee.total.epsilon),
        delta: guarantee.map(|guarantee| guarantee.delta.get()),
        public_key: certificate.map(|certificate| certificate.public_key),
        checks: &examination.checks,
    }
}

fn text(examination: &Examination) -> String {
    let checks = examination.checks.iter();
    let mut text: String = checks
        .map(|check| format!("{:<12} {:<6} {}\n", check.name, check.outcome, check.detail))
        .collect();
    text.push('\n');
    match &examination.certificate {
        Some(certificate) if examination.holds() => {
            text += &format!(
                "Verified. {}\n",
                claim(certificate, spans_runs(examination))
            );
            if exposed(examination) && !certificate.protects_nobody {
                text += "BUT ITS DATA SET WAS USED WITHOUT PROTECTION: see the first line.\n";
            }
        }
        _ => text += "NOT VERIFIED: don't rely on this folder.\n",
    }
    text
}

/// Whether the data set was ever used in a way that protects nobody.
fn exposed(examination: &Examination) -> bool {
    let mut checks = examination.checks.iter();
    checks.any(|check| check.name == EXPOSED)
}

/// Whether other runs used the same rows.
fn spans_runs(examination: &Examination) -> bool {
    let mut checks = examination.checks.iter();
    checks.any(|check| check.name == BETWEEN_RUNS)
}

/// The epsilon that is guaranteed: of the only run on its rows, what it cost; of several, the budget, which
/// the filter between runs holds. `None` where nothing finite is.
fn guaranteed(guarantee: &Guarantee, spans_runs: bool) -> Option<f64> {
    let spent = guarantee.total.epsilon?;
    Some(if spans_runs {
        guarantee.budget_epsilon
    } else {
        spent
    })
}

/// What was verified, in a sentence.
fn claim(certificate: &Certificate, spans_runs: bool) -> String {
    match &certificate.guarantee {
        Some(guarantee) if !certificate.protects_nobody => {
            let figure =
                |epsilon: Option<f64>| epsilon.map_or("unbounded".into(), |e| format!("{e:.4}"));
            let over = if spans_runs {
                let spent = figure(guarantee.total.epsilon);
                format!(
                    " over all runs on these rows, by the budget between runs; {spent} is spent so far, \
                     which by itself is no guarantee"
                )
            } else {
                String::new()
            };
            format!(
                "One {} is protected with epsilon {} at delta {} ({}, {} noise){over}.",
                guarantee.unit,
                figure(guaranteed(guarantee, spans_runs)),
                guarantee.delta,
                guarantee.adjacency,
                guarantee.placement,
            )
        }
        _ => "But this run PROTECTS NOBODY, and says so.".into(),
    }
}
