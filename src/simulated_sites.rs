//! The sites of a simulation: who they are, and whether they can take part.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use umbel_client::compute::ComputeSlots;
use umbel_client::site::SiteSettings;
use umbel_client::site_ledger::LedgerPlace;
use umbel_client::site_table::SiteTable;
use umbel_client::site_texts::check_table;
use umbel_coordinator::config::{ClientSection, ConfigError, RunConfig};
use umbel_coordinator::run::clock::{Clock, SystemClock};
use umbel_coordinator::run::prepare::{Prepared, schema_of};
use umbel_model::PhysicalBatch;
use umbel_privacy::disk::UnsyncedDisk;

use crate::failure::Failure;
use crate::population::{Population, Share};
use crate::simulation::SimulationOptions;

/// The table of a simulated client.
pub(crate) fn data_of(client: &ClientSection) -> Result<&Path, Failure> {
    client.data.as_deref().ok_or_else(|| {
        let reason = format!(
            "client {} has no `data`; a simulation reads every client's table itself",
            client.name
        );
        ConfigError::Check {
            key: "clients".into(),
            reason,
        }
        .into()
    })
}

/// Looks at the tables as the plan wants them, and at the memory. Returns what is wrong with tables
/// that the run can do without: their sites will read them by themselves, and say so.
///
/// # Errors
/// [`Failure`] of the first client that can't take part, where too few others can.
pub(crate) fn check_sites(
    config: &RunConfig,
    (sites, prepared): (&mut [SiteSettings], &Prepared),
    threads: NonZero<usize>,
) -> Result<Vec<String>, Failure> {
    let plan = &prepared.plan;
    if let Some(memory) = sites.first().and_then(|site| site.memory) {
        let rows = PhysicalBatch::of_rows(plan.local.micro_batch.get());
        rows.within(memory, &prepared.classifier)?;
    }
    let mut refused = Vec::new();
    let errors = thread::scope(|scope| {
        let each = sites.len().div_ceil(threads.get()).max(1);
        let parts = sites.chunks(each).map(|sites| {
            let errors = move || sites.iter().map(|site| check_table(site, plan).err());
            scope.spawn(move || errors().collect::<Vec<_>>())
        });
        let parts: Vec<_> = parts.collect();
        parts
            .into_iter()
            .map(|part| part.join())
            .collect::<Vec<_>>()
    });
    let errors = errors.into_iter().flat_map(|part| match part {
        Ok(errors) => errors,
        Err(panic) => std::panic::resume_unwind(panic),
    });
    for ((site, client), error) in sites.iter_mut().zip(&config.clients).zip(errors) {
        if let Some(error) = error {
            let message = format!("client {}: {error}", site.name);
            refused.push(Failure::new(error.exit_kind(), message));
            if let Some(file) = &client.data {
                site.table = SiteTable::File(file.clone());
            }
        }
    }
    let needed = match config.federation.minimum {
        0 => sites.len(),
        minimum => minimum,
    };
    let able = sites.len() - refused.len();
    if able == 0 || able < needed {
        return match refused.into_iter().next() {
            Some(first) => Err(first),
            None => Ok(Vec::new()),
        };
    }
    Ok(refused.iter().map(|failure| failure.to_string()).collect())
}

/// The sites of a configuration, which have no folders yet.
pub(crate) fn sites(
    config: &RunConfig,
    population: &Population,
    options: &SimulationOptions,
) -> Result<Vec<SiteSettings>, Failure> {
    let slots = options.workers().get();
    let compute = Arc::new(ComputeSlots::shared(slots));
    let at_a_time = slots.min(config.clients.len()).max(1) as u64;
    let memory = options.memory.map(|memory| memory / at_a_time);
    let schema = schema_of(config);
    let site = |(client, share): (&ClientSection, Option<&Arc<Share>>)| {
        Ok(SiteSettings {
            name: client.name.clone(),
            table: match share {
                Some(share) => SiteTable::Held(Arc::clone(share) as _),
                None => SiteTable::File(data_of(client)?.to_owned()),
            },
            schema: schema.clone(),
            labels: Vec::new(),
            policy: None,
            ledger: LedgerPlace {
                path: PathBuf::new(),
                data_set: client.name.to_string(),
                new_data_set: false,
                disk: Arc::new(UnsyncedDisk),
                taken_up_again: false,
            },
            device: options.device.clone(),
            precision: options.precision,
            memory,
            compute: Arc::clone(&compute),
            results: None,
            unix_seconds: || SystemClock::new().unix_seconds(),
            // Nobody outlives the run, so neither need its key.
            signing_key: None,
        })
    };
    let clients = config.clients.iter().zip(population.shares());
    clients.map(site).collect()
}
