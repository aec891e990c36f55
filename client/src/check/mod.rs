//! `umbel-client check`: whether this site could take part, without taking part.
//!
//! No row leaves, nothing is charged, and no file is made or changed. With a coordinator in reach
//! the site joins, as it does at the beginning of a run, and fetches the plan and the base model;
//! it never asks for a task.

pub(crate) mod budget;
mod speed;
mod table;

use std::sync::Arc;
use std::time::Duration;

use umbel_model::ModelError;
use umbel_privacy::certificate::key_file;
use umbel_proto::certificate_dates::Standing;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::findings::{Finding, Findings};
use umbel_proto::message::{BlobDigest, Hello, PROTOCOL_VERSION, Welcome};
use umbel_proto::plan::{AgreedPlan, Plan};

use crate::SOFTWARE;
use crate::clock::{ClockReading, MOST_APART, WORTH_A_WARNING};
use crate::config::ClientConfig;
use crate::grpc::{ClientTls, GrpcTransport};
use crate::participate::ClientError;
use crate::site::{SiteSettings, open_model};
use crate::site_texts::SiteTexts;
use crate::transport::Transport;
use crate::witness::Witness;

/// What is to be checked.
pub struct Check<'a> {
    /// The site's configuration.
    pub config: &'a ClientConfig,
    /// The same, as a run takes it.
    pub settings: SiteSettings,
    /// The site's certificate, where it has one.
    pub tls: Option<&'a ClientTls>,
    /// The time now, in seconds since 1970.
    pub unix_seconds: u64,
    /// The time since some fixed moment, to measure by.
    pub elapsed: &'a dyn Fn() -> Duration,
}

impl Check<'_> {
    /// Looks at what is on this machine.
    pub fn offline(&self) -> Findings {
        let mut found = self.own_files();
        found.note(Finding::open("coordinator", "not asked"));
        table::by_itself(&mut found, self.config);
        budget::by_itself(&mut found, &self.settings);
        found
    }

    /// Looks at what is on this machine, and holds it against the run that the coordinator offers.
    pub fn online(&self, transport: &mut GrpcTransport) -> Findings {
        let mut found = self.own_files();
        let joined = self.join(transport);
        clock(&mut found, transport.clock());
        let (plan, welcome) = match joined {
            Ok(joined) => joined,
            Err(error) => {
                found.fail("coordinator", error.exit_kind(), error);
                table::by_itself(&mut found, self.config);
                budget::by_itself(&mut found, &self.settings);
                return found;
            }
        };
        found.note(
            Finding::good(
                "coordinator",
                format!("it answers, and offers the run {}", plan.run),
            )
            .with("run", plan.run.to_string())
            .with("plan_sha256", plan.digest()),
        );
        self.policy(&mut found, &plan, &welcome);
        budget::for_plan(&mut found, &self.settings, &plan);
        let texts = table::for_plan(&mut found, &self.settings, &plan);
        self.model(&mut found, transport, (&plan, &welcome), texts);
        found
    }

    /// Configuration, key and certificate.
    fn own_files(&self) -> Findings {
        let mut found = Findings::default();
        let (name, coordinator) = (&self.config.name, &self.config.coordinator);
        found.note(
            Finding::good("configuration", format!("{name}, for {coordinator}"))
                .with("name", name)
                .with("coordinator", coordinator),
        );
        let path = &self.config.policy.signing_key;
        match key_file::load(path) {
            Ok(Some(key)) => {
                let key = key.public_key().to_string();
                found.note(
                    Finding::good("signing key", format!("its public half is {key}"))
                        .with("public_key", key),
                );
            }
            Ok(None) => found.note(Finding::good(
                "signing key",
                format!("there is none; the first run makes {}", path.display()),
            )),
            Err(error) => found.fail("signing key", ExitKind::Configuration, error),
        }
        match self.tls {
            Some(tls) => self.certificate(&mut found, tls),
            None => found.note(Finding::open("certificate", "without [tls] there is none")),
        }
        found
    }

    fn certificate(&self, found: &mut Findings, tls: &ClientTls) {
        let dates = match tls.dates() {
            Ok(dates) => dates,
            Err(error) => return found.fail("certificate", ExitKind::Configuration, error),
        };
        let standing = dates.standing(self.unix_seconds);
        let Standing::Good { days } = standing else {
            let reason = tls.reminder(&dates, standing);
            return found.fail("certificate", ExitKind::Configuration, reason);
        };
        let finding = if standing.is_worth_saying(None) {
            Finding::warning("certificate", tls.reminder(&dates, standing))
        } else {
            let said = format!("good until {}: {days} days more", dates.last_day());
            Finding::good("certificate", said)
        };
        found.note(finding.with("days_left", days));
    }

    /// Introduces the site, and holds both ledgers against what was seen of them; nothing of it is
    /// remembered here.
    fn join(&self, transport: &mut dyn Transport) -> Result<(AgreedPlan, Welcome), ClientError> {
        let witness = Witness::of(&self.settings.ledger)?;
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            software: SOFTWARE.into(),
            labels: self.settings.labels.clone(),
            ledger: witness.point(),
            instance: transport.instance(),
        };
        let welcome = transport.join(&hello)?;
        let plan = AgreedPlan::from_bytes(&welcome.plan)?;
        match plan.rehearsed()? {
            // What counts is the run. A rehearsal's ledger begins anew.
            Some(real) => Ok((AgreedPlan::from(real), welcome)),
            None => {
                witness.look_at(&welcome, |digest| transport.blob(digest))?;
                Ok((plan, welcome))
            }
        }
    }

    fn policy(&self, found: &mut Findings, plan: &Plan, welcome: &Welcome) {
        let Some(policy) = &self.settings.policy else {
            return;
        };
        match policy.accept(plan, &welcome.files) {
            Ok(()) => {
                let asked = match &plan.protection {
                    Some(p) => format!(
                        "unit {}, {} noise, multiplier {}, {} rounds",
                        p.unit,
                        p.placement,
                        p.noise_multiplier.get(),
                        plan.rounds
                    ),
                    None => "a run that protects nobody, which this policy allows".to_owned(),
                };
                found.note(
                    Finding::good("policy", format!("it allows the run: {asked}"))
                        .with("rounds", plan.rounds.get()),
                );
            }
            Err(violation) => found.fail("policy", ExitKind::Policy, violation),
        }
    }

    /// The base model: whether it is the plan's, fits into memory, and how fast it trains here.
    fn model(
        &self,
        found: &mut Findings,
        transport: &mut dyn Transport,
        (plan, welcome): (&AgreedPlan, &Welcome),
        texts: Option<SiteTexts>,
    ) {
        let mut files: Vec<(String, Arc<[u8]>)> = Vec::with_capacity(welcome.files.len());
        for file in &welcome.files {
            match fetch(transport, &file.digest) {
                Ok(content) => files.push((file.name.clone(), content)),
                Err(error) => return found.fail("model", error.exit_kind(), error),
            }
        }
        let (model, batch) = match open_model(&self.settings, plan, &files) {
            Ok(opened) => opened,
            Err(error) => return found.fail("model", error.exit_kind(), error),
        };
        drop(files);
        let memory = match self.config.device.memory {
            Some(memory) => format!("training fits into device.memory, {memory}"),
            None => "device.memory sets no limit".to_owned(),
        };
        found.note(
            Finding::good(
                "model",
                format!(
                    "{} of {} trained parameters; {memory}",
                    plan.classifier.base.weights, plan.classifier.parameters
                ),
            )
            .with("base_model", plan.classifier.base.weights)
            .with("parameters", plan.classifier.parameters),
        );
        let Some(texts) = texts else {
            return found.note(Finding::open(
                "texts",
                "there is no table that fits the plan",
            ));
        };
        let spoilt = |error: ModelError| (ExitKind::Model, error.to_string());
        if let Err((kind, reason)) = table::cut_texts(found, &texts, &model).map_err(spoilt) {
            return found.fail("texts", kind, reason);
        }
        let measured = speed::measure((&model, batch), &texts, plan, self.elapsed);
        match measured {
            Ok(speed) => found.note(speed.finding()),
            Err(error) => found.fail("speed", ExitKind::Model, error),
        }
    }
}

fn fetch(transport: &mut dyn Transport, digest: &BlobDigest) -> Result<Arc<[u8]>, ClientError> {
    Ok(transport.blob(digest)?)
}

/// How far the clocks are apart.
fn clock(found: &mut Findings, reading: Option<ClockReading>) {
    let Some(reading) = reading else {
        return found.note(Finding::open(
            "clock",
            "the coordinator doesn't tell its time",
        ));
    };
    let finding = if reading.apart() > MOST_APART {
        let said = format!(
            "this machine's clock is {reading}. Set whichever is wrong: until then this site takes no part"
        );
        return found.fail("clock", ExitKind::Configuration, said);
    } else if reading.apart() > WORTH_A_WARNING {
        let said = format!(
            "this machine's clock is {reading}; set whichever is wrong, since certificates begin and end \
             by it"
        );
        Finding::warning("clock", said)
    } else {
        Finding::good("clock", reading.to_string())
    };
    found.note(finding.with("seconds_ahead", reading.seconds_ahead()));
}
