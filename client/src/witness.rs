//! What site and coordinator show each other of their ledgers, and sign: the site's side.
//!
//! Before anything is charged, the site makes sure that its own ledger goes on from where the
//! coordinator saw it, and the coordinator's from where the site did. At the end it signs what it
//! was told and did, and keeps the same for itself.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use umbel_privacy::certificate::{CoordinatorSeen, Countersignature};
use umbel_privacy::ledger::chain::{self, ChainError};
use umbel_privacy::ledger::{Discontinuity, LedgerEntry, LedgerPoint, SeenError, SeenLedgers};
use umbel_proto::message::{BlobDigest, Welcome};

use crate::participate::ClientError;
use crate::site_ledger::LedgerPlace;
use crate::transport::TransportError;

/// A ledger that didn't go on from where it was seen.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The site's own.
    #[error(
        "this site's ledger {} doesn't go on from where the coordinator last saw it: {why}. What \
         was spent since would be forgotten: put the newest copy of the ledger back. Nothing was \
         charged",
        path.display()
    )]
    Own {
        /// The file.
        path: PathBuf,
        /// How it is known.
        why: Discontinuity,
    },
    /// The coordinator's.
    #[error(
        "the coordinator's ledger doesn't go on from where this site last saw it: {why}. What was \
         spent since would be forgotten, so nothing was trained or charged: ask its operator to \
         put the newest copy back. If it is lost for good and you accept that, take its key, \
         {key}, out of {}",
        seen.display()
    )]
    Coordinators {
        /// How it is known.
        why: Discontinuity,
        /// Its key.
        key: String,
        /// Where this site remembers it.
        seen: PathBuf,
    },
    /// What the coordinator says of its ledger isn't what it shows.
    #[error("the coordinator's ledger isn't what it says it is: {0}; nothing was charged")]
    Shown(String),
    /// The site's own ledger can't be read.
    #[error("ledger {}: {source}; check policy.ledger", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is damaged.
    #[error("ledger {}: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ChainError,
    },
    /// Where the coordinator's ledger stood.
    #[error(transparent)]
    Seen(#[from] SeenError),
}

/// What a site knows of ledgers when it joins.
pub(crate) struct Witness {
    ledger: PathBuf,
    entries: Vec<LedgerEntry>,
    /// `None` in a simulation, where both sides begin anew.
    seen: Option<SeenLedgers>,
}

impl Witness {
    /// Reads the site's ledger as it is, without locking it: nothing is spent yet.
    ///
    /// # Errors
    /// [`WitnessError`] where it can't be read.
    pub(crate) fn of(place: &LedgerPlace) -> Result<Self, WitnessError> {
        let path = &place.path;
        let mut bytes = Vec::new();
        let read = place.disk.read(path);
        match read.and_then(|mut file| file.read_to_end(&mut bytes)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            read => {
                read.map_err(|source| WitnessError::Unreadable {
                    path: path.clone(),
                    source,
                })?;
            }
        }
        let chain = chain::verify(&bytes).map_err(|source| WitnessError::Damaged {
            path: path.clone(),
            source,
        })?;
        let seen = place
            .taken_up_again
            .then(|| SeenLedgers::beside(path, Arc::clone(&place.disk)));
        Ok(Self {
            ledger: path.clone(),
            entries: chain.entries,
            seen: seen.transpose()?,
        })
    }

    /// Syncs the ledger that was read, before others hear of it: a process that was killed may have
    /// written its last line without that. The coordinator refuses a ledger that is shorter than the
    /// one it heard of.
    ///
    /// # Errors
    /// [`WitnessError::Unreadable`] where it can't be synced.
    pub(crate) fn make_durable(&self, place: &LedgerPlace) -> Result<(), WitnessError> {
        // Where no run is taken up, as in a simulation, nobody remembers a ledger.
        if self.entries.is_empty() || !place.taken_up_again {
            return Ok(());
        }
        let path = &place.path;
        let synced = place.disk.keep(path, path);
        synced.map_err(|source| WitnessError::Unreadable {
            path: path.clone(),
            source,
        })
    }

    /// Where the site's ledger stands.
    pub(crate) fn point(&self) -> LedgerPoint {
        LedgerPoint::after(&self.entries)
    }

    /// Holds both ledgers against what was seen of them, and remembers the coordinator's.
    ///
    /// # Errors
    /// [`ClientError`] where one of them didn't go on from there; then nothing may be charged.
    pub(crate) fn meet(
        &mut self,
        welcome: &Welcome,
        fetch: impl FnOnce(&BlobDigest) -> Result<Arc<[u8]>, TransportError>,
    ) -> Result<CoordinatorSeen, ClientError> {
        let coordinator = self.look_at(welcome, fetch)?;
        if let Some(seen) = &mut self.seen {
            let key = coordinator.public_key.to_string();
            seen.note(&key, coordinator.ledger)
                .map_err(WitnessError::from)?;
        }
        Ok(coordinator)
    }

    /// The same, remembering nothing.
    ///
    /// # Errors
    /// [`ClientError`] where one of them didn't go on from there.
    pub(crate) fn look_at(
        &self,
        welcome: &Welcome,
        fetch: impl FnOnce(&BlobDigest) -> Result<Arc<[u8]>, TransportError>,
    ) -> Result<CoordinatorSeen, ClientError> {
        let offered = &welcome.coordinator;
        let coordinator = CoordinatorSeen {
            public_key: offered.public_key,
            ledger: offered.point,
        };
        if let Some(remembered) = &welcome.remembered {
            let path = self.ledger.clone();
            let own = remembered.check_in(&self.entries);
            own.map_err(|why| WitnessError::Own { path, why })?;
        }
        let Some(seen) = &self.seen else {
            return Ok(coordinator);
        };
        let key = offered.public_key.to_string();
        if let Some(before) = seen.get(&key) {
            let lost = |why| WitnessError::Coordinators {
                why,
                key: key.clone(),
                seen: seen.path().to_owned(),
            };
            before.check_before(&offered.point).map_err(lost)?;
            // As long as it stood still, its last entry tells all.
            if before != offered.point {
                let entries = shown(&fetch(&offered.digest)?, &offered.point)?;
                before.check_in(&entries).map_err(lost)?;
            }
        }
        Ok(coordinator)
    }

    /// Keeps what the site signed, and remembers where the coordinator's ledger ended.
    ///
    /// # Errors
    /// [`WitnessError`] where it can't be written.
    pub(crate) fn part(
        &mut self,
        signed: &Countersignature,
        ended: Option<LedgerPoint>,
    ) -> Result<(), WitnessError> {
        let Some(seen) = &mut self.seen else {
            return Ok(());
        };
        let coordinator = &signed.statement.coordinator;
        // A coordinator that says it went back isn't believed: the next run would show it.
        if let Some(ended) = ended.filter(|end| coordinator.ledger.check_before(end).is_ok()) {
            seen.note(&coordinator.public_key.to_string(), ended)?;
        }
        let kept = keep_receipt(&self.ledger, signed);
        kept.map_err(|(path, source)| WitnessError::Seen(SeenError::Io { path, source }))
    }
}

/// The entries of a ledger that the coordinator shows, which must end where it says.
fn shown(bytes: &[u8], point: &LedgerPoint) -> Result<Vec<LedgerEntry>, WitnessError> {
    let chain = chain::verify(bytes).map_err(|e| WitnessError::Shown(e.to_string()))?;
    if LedgerPoint::after(&chain.entries) != *point {
        let why = "its last entry isn't the one that it reported".to_owned();
        return Err(WitnessError::Shown(why));
    }
    Ok(chain.entries)
}

/// Writes what was signed into `ledger.jsonl.receipts/`, named by the plan.
fn keep_receipt(ledger: &Path, signed: &Countersignature) -> Result<(), (PathBuf, io::Error)> {
    let mut folder = ledger.file_name().unwrap_or_default().to_owned();
    folder.push(".receipts");
    let folder = ledger.with_file_name(folder);
    let path = folder.join(format!("{}.json", signed.statement.plan_sha256));
    let write = || {
        fs::create_dir_all(&folder)?;
        fs::write(&path, serde_json::to_vec_pretty(signed)?)
    };
    write().map_err(|source| (path.clone(), source))
}
