//! What a simulation can see and a federation can't: all tables at once. They are looked at before
//! the first round, so that what doesn't fit is told while it costs nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;
use umbel_coordinator::config::{ConfigError, RunConfig};
use umbel_model::data::LabelSet;
use umbel_privacy::combination::Summed;
use umbel_privacy::unit::PrivacyUnit;
use umbel_proto::message::ClientId;
use umbel_proto::task::TaskKind;

use crate::failure::Failure;
use crate::population::{Population, Share};

/// The tables of a simulation's clients.
pub(crate) struct SimulatedTables<'a>(pub(crate) &'a Population);

impl SimulatedTables<'_> {
    /// The configured label set, or all labels of the tables: in a simulation nobody's labels are
    /// a secret.
    pub(crate) fn labels(&self, config: &RunConfig) -> Result<LabelSet, Failure> {
        let outputs = config.outputs();
        if !outputs.is_empty() {
            return Ok(LabelSet::new(outputs)?);
        }
        let labels = LabelSet::union(self.0.tables())?;
        if let ([only], TaskKind::SingleLabel) = (labels.names(), config.task.kind) {
            let tables = self.0.tables();
            let files: BTreeSet<&Path> = tables.iter().map(|table| &*table.file).collect();
            let files: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
            return Err(ConfigError::Check {
                key: "data.labels".into(),
                reason: format!(
                    "left out, but all rows of {} have one label, {only}; list at least two, of \
                     which the tables may have one",
                    files.join(", ")
                ),
            }
            .into());
        }
        Ok(labels)
    }

    /// What is worth telling before the run begins.
    pub(crate) fn warnings(&self, config: &RunConfig, labels: &LabelSet) -> Vec<String> {
        if config.task.kind == TaskKind::Regression {
            let units = self.units(config);
            let batch = far_off_batch(config, units);
            return large_delta(config, units)
                .into_iter()
                .chain(batch)
                .collect();
        }
        let alike = labels.look_alikes().into_iter().map(|names| {
            format!(
                "the labels {} look alike and count as different classes; if they are one, write \
                 it in one way",
                names.join(" and ")
            )
        });
        let units = self.units(config);
        let written = Written::of(self.0, labels);
        alike
            .chain(written.spellings(labels))
            .chain(written.strangers(labels))
            .chain(large_delta(config, units))
            .chain(far_off_batch(config, units))
            .collect()
    }

    /// Units of all tables together.
    fn units(&self, config: &RunConfig) -> usize {
        let clients = self.0.able();
        match config.privacy.unit {
            Some(PrivacyUnit::Client) => self.0.len(),
            Some(PrivacyUnit::Group) => clients
                .map(|(_, share)| {
                    let groups = share.rows().filter_map(|row| row.group.as_deref());
                    groups.collect::<HashSet<&str>>().len()
                })
                .sum(),
            Some(PrivacyUnit::Record) | None => {
                clients.map(|(_, share)| share.rows().count()).sum()
            }
        }
    }
}

/// Which labels the clients have. The rows are gone through once, by all threads: with thousands of
/// clients that takes a while.
struct Written<'a> {
    /// Every label as it is written, and which of the set it is.
    indices: HashMap<&'a str, Option<usize>>,
    /// Each client's labels of the set.
    clients: Vec<(&'a ClientId, BTreeSet<usize>)>,
}

/// Clients whose rows one thread goes through at a time.
const STRETCH: usize = 256;

impl<'a> Written<'a> {
    fn of(population: &'a Population, labels: &LabelSet) -> Self {
        let clients: Vec<_> = population.able().collect();
        let parts = clients.par_chunks(STRETCH).map(|clients| {
            let mut part = Self::empty();
            for &(name, share) in clients {
                let own = part.indices_of(share, labels);
                part.clients.push((name, own));
            }
            part
        });
        let parts: Vec<Self> = parts.collect();
        parts.into_iter().fold(Self::empty(), |mut all, part| {
            all.indices.extend(part.indices);
            all.clients.extend(part.clients);
            all
        })
    }

    fn empty() -> Self {
        Self {
            indices: HashMap::new(),
            clients: Vec::new(),
        }
    }

    fn indices_of(&mut self, share: &'a Share, labels: &LabelSet) -> BTreeSet<usize> {
        let written = share.rows().flat_map(|row| row.label.names());
        let index = |label: &'a String| {
            *self
                .indices
                .entry(label)
                .or_insert_with(|| labels.index_of(label))
        };
        written.filter_map(index).collect()
    }

    /// Labels that are spelled differently and that were taken for one.
    fn spellings(&self, labels: &LabelSet) -> Vec<String> {
        let mut written: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
        for (label, index) in &self.indices {
            if let Some(index) = index {
                written.entry(*index).or_default().insert(label);
            }
        }
        let several = written.into_iter().filter(|(_, written)| written.len() > 1);
        let told = |(index, written): (usize, BTreeSet<&str>)| {
            let written: Vec<&str> = written.into_iter().collect();
            let name = labels.names().get(index).map_or("", String::as_str);
            format!(
                "the labels {} were taken for one, {name}",
                written.join(" and ")
            )
        };
        several.map(told).collect()
    }

    /// Clients that have no label in common with any other.
    fn strangers(&self, labels: &LabelSet) -> Vec<String> {
        // How many clients have each label: with thousands of clients, no two can be compared.
        let mut holders: BTreeMap<usize, usize> = BTreeMap::new();
        for label in self.clients.iter().flat_map(|(_, own)| own) {
            *holders.entry(*label).or_default() += 1;
        }
        let alone = |own: &BTreeSet<usize>| {
            self.clients.len() > 1 && own.iter().all(|label| holders.get(label) == Some(&1))
        };
        let names = |own: &BTreeSet<usize>| {
            let names = own.iter().filter_map(|index| labels.names().get(*index));
            names.take(10).cloned().collect::<Vec<_>>().join(", ")
        };
        self.clients
            .iter()
            .filter(|(_, own)| alone(own))
            .map(|(name, own)| {
                format!(
                    "client {name} shares no label with any other client: it has {}",
                    names(own)
                )
            })
            .collect()
    }
}

/// A delta that allows that whole units leak.
fn large_delta(config: &RunConfig, units: usize) -> Option<String> {
    let delta = config.privacy.delta?.get();
    let large = config.privacy.unit.is_some() && delta * units as f64 > 1.0;
    large.then(|| {
        format!(
            "privacy.delta is {delta}, more than 1/{units}, one over the units of all tables: so \
             large a delta allows that one of them leaks whole; set it well below"
        )
    })
}

/// How far an expected batch may be from what the sampling rate draws.
const FAR: f64 = 2.0;

/// An expected batch by which steps become far too short or too long.
fn far_off_batch(config: &RunConfig, units: usize) -> Option<String> {
    let batch = config.training.expected_batch?.get();
    if config.training.method != Summed::Gradients || config.privacy.hides_clients() {
        return None;
    }
    let rate = config.privacy.sampling_rate.get();
    let drawn = rate * units as f64;
    let far = drawn > 0.0 && !(1.0 / FAR..=FAR).contains(&(batch / drawn));
    let (times, how) = match batch > drawn {
        true => (batch / drawn, "shorter"),
        false => (drawn / batch, "longer"),
    };
    far.then(|| {
        format!(
            "training.expected_batch is {batch}, but a sampling rate of {rate} draws about \
             {drawn:.1} of the {units} units in a round: steps are {times:.1} times {how} than with \
             that"
        )
    })
}
