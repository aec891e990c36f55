//! The site's own control variate in a run with SCAFFOLD ([`umbel_proto::control_variates`]), kept
//! beside its ledger.
//!
//! What the server knows of it are the updates that are in the model, so those alone may move it: an
//! update that was refused, came late, or counted in an attempt that was given up never happened. No
//! receipt tells that for certain. So the coordinator names, with each task, the site's last update
//! that is in the model, and the file has the variate after that update and after the one that was sent
//! since. Whichever is named goes on. The file is replaced, durably, before an update is sent.
//!
//! A site whose file is gone is refused. It can't begin again from 0: the server's variate still
//! holds what the lost one added, nothing would ever take that out again, and every site's steps
//! would be off by it to the end of the run. A site that stays away costs no more than one that
//! isn't asked: its last variate stays in the mean.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use umbel_privacy::disk::Disk;
use umbel_proto::message::BlobDigest;

use crate::outbox::Owner;
use crate::site_ledger::LedgerPlace;

/// A site's control variate in one run.
#[derive(Debug)]
pub(crate) struct OwnVariate {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    owner: Owner,
    /// Numbers of a variate.
    length: usize,
    /// The site's last update that is in the model, as the coordinator says.
    counted: Option<BlobDigest>,
    /// What the next update makes of the variate, until that has a name.
    moved: Option<Vec<f32>>,
}

/// A control variate that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum VariateError {
    /// It isn't there.
    #[error(
        "{} doesn't have this site's control variate after its last update that is in the model. The \
         server's own still holds its share, so that the site can't begin anew; nothing was sent. Put \
         the file back, leave this site out, or have the run started again under another run.name",
        path.display()
    )]
    Lost {
        /// The file.
        path: PathBuf,
    },
    /// It can't be read or written.
    #[error(
        "control variate {}: {source}; nothing was sent. The folder of policy.ledger must be writable, \
         and have room for two copies of the trained parameters",
        path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The first line of the file. The variates follow, little-endian f32.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    owner: Owner,
    /// After which updates each variate is.
    after: Vec<BlobDigest>,
    /// SHA-256 of the numbers.
    numbers: BlobDigest,
}

/// Variates, each with the update that it is after.
type Variates = Vec<(BlobDigest, Vec<f32>)>;

/// The longest first line, in bytes: names are limited, digests have a length.
const LONGEST_LINE: u64 = 64 * 1024;

impl OwnVariate {
    /// The variate of this owner beside this ledger, of so many numbers. Nothing is read yet.
    pub(crate) fn beside(place: &LedgerPlace, owner: Owner, length: usize) -> Self {
        Self {
            path: path_of(&place.path, &owner),
            disk: Arc::clone(&place.disk),
            owner,
            length,
            counted: None,
            moved: None,
        }
    }

    /// Is told the site's last update that is in the model.
    pub(crate) fn heard(&mut self, counted: Option<BlobDigest>) {
        self.counted = counted;
    }

    /// The variate with which the next round begins.
    ///
    /// # Errors
    /// [`VariateError`] where the file doesn't have it.
    pub(crate) fn now(&self) -> Result<Vec<f32>, VariateError> {
        let Some(counted) = self.counted else {
            return Ok(vec![0.0; self.length]);
        };
        let found = self.read().map_err(|source| self.failed(source))?;
        let mut found = found.unwrap_or_default().into_iter();
        let found = found.find(|(after, _)| *after == counted);
        found.map(|(_, variate)| variate).ok_or_else(|| {
            let path = self.path.clone();
            VariateError::Lost { path }
        })
    }

    /// Notes what the update that was just trained makes of it.
    pub(crate) fn moves_to(&mut self, variate: Vec<f32>) {
        self.moved = Some(variate);
    }

    /// Keeps what this update makes of it, beside what it was before. When this returns, the update
    /// may be sent.
    ///
    /// # Errors
    /// [`VariateError`] where it can't be written; then nothing must be sent.
    pub(crate) fn keep(&mut self, update: BlobDigest) -> Result<(), VariateError> {
        let Some(moved) = self.moved.take() else {
            return Ok(());
        };
        let mut kept = vec![(update, moved)];
        if let Some(counted) = self.counted.filter(|counted| *counted != update) {
            kept.push((counted, self.now()?));
        }
        self.write(&kept).map_err(|source| self.failed(source))
    }

    /// The run is over. The folder stays, since other runs may have something there.
    ///
    /// # Errors
    /// [`VariateError`] where the file can't be removed.
    pub(crate) fn remove(&self) -> Result<(), VariateError> {
        match self.disk.remove(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|source| self.failed(source)),
        }
    }

    fn failed(&self, source: io::Error) -> VariateError {
        let path = self.path.clone();
        VariateError::Io { path, source }
    }

    fn write(&self, kept: &[(BlobDigest, Vec<f32>)]) -> io::Result<()> {
        let numbers = kept.iter().flat_map(|(_, variate)| variate);
        let numbers: Vec<u8> = numbers.flat_map(|c| c.to_le_bytes()).collect();
        let header = Header {
            owner: self.owner.clone(),
            after: kept.iter().map(|(after, _)| *after).collect(),
            numbers: BlobDigest::of(&numbers),
        };
        let mut line = serde_json::to_vec(&header)?;
        line.push(b'\n');
        let folder = self.path.parent().unwrap_or(Path::new("."));
        self.disk.make_folder(folder)?;
        let draft = self.path.with_extension("unfinished");
        self.disk.replace(&self.path, &draft, &|out| {
            out.write_all(&line)?;
            out.write_all(&numbers)
        })
    }

    /// The variates of the file; `None` where there is none.
    fn read(&self) -> io::Result<Option<Variates>> {
        let file = match self.disk.read(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let (mut reader, mut line) = (BufReader::new(file), Vec::new());
        let mut first = reader.by_ref().take(LONGEST_LINE);
        first.read_until(b'\n', &mut line)?;
        let header: Header = serde_json::from_slice(&line)?;
        let mut numbers = Vec::new();
        reader.read_to_end(&mut numbers)?;
        let whole = header.after.len().saturating_mul(self.length);
        if header.owner != self.owner
            || !header.numbers.matches(&numbers)
            || numbers.len() != whole.saturating_mul(4)
        {
            let altered = "it isn't what this site wrote for this run";
            return Err(io::Error::new(io::ErrorKind::InvalidData, altered));
        }
        let (numbers, _) = numbers.as_chunks::<4>();
        let numbers: Vec<f32> = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let variates = numbers.chunks(self.length.max(1)).map(<[f32]>::to_vec);
        Ok(Some(header.after.into_iter().zip(variates).collect()))
    }
}

/// `ledger.jsonl.variates/` and a name that no other run, plan or data set has.
fn path_of(ledger: &Path, owner: &Owner) -> PathBuf {
    let mut folder = ledger.file_name().unwrap_or_default().to_owned();
    folder.push(".variates");
    let key = [
        b"variate/".as_slice(),
        owner.plan.as_bytes(),
        owner.data_set.as_bytes(),
    ];
    let name = BlobDigest::of(&key.concat()).to_string();
    ledger.with_file_name(folder).join(name)
}

#[cfg(test)]
mod tests {
    use umbel_privacy::disk::RealDisk;

    use super::*;

    fn place(folder: &Path) -> LedgerPlace {
        LedgerPlace {
            disk: Arc::new(RealDisk),
            path: folder.join("ledger.jsonl"),
            data_set: "rows".into(),
            new_data_set: false,
            taken_up_again: true,
        }
    }

    fn owner(run: &str) -> Owner {
        Owner {
            run: run.into(),
            plan: BlobDigest::of(run.as_bytes()),
            data_set: "rows".into(),
        }
    }

    /// The variate of a site that was just started.
    fn started(folder: &Path, counted: Option<BlobDigest>) -> OwnVariate {
        let mut variate = OwnVariate::beside(&place(folder), owner("run"), 2);
        variate.heard(counted);
        variate
    }

    fn update(number: u8) -> BlobDigest {
        BlobDigest::of(&[number])
    }

    fn trained(variate: &mut OwnVariate, number: u8) {
        variate.moves_to(vec![f32::from(number); 2]);
        variate.keep(update(number)).expect("kept");
    }

    #[test]
    fn only_an_update_that_is_in_the_model_moves_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut variate = started(folder.path(), None);
        assert_eq!(variate.now().expect("a first one"), [0.0, 0.0]);
        trained(&mut variate, 1);
        // Round 1 didn't count, and is trained again: from 0.
        assert_eq!(variate.now().expect("nothing counted"), [0.0, 0.0]);
        trained(&mut variate, 2);
        // Killed after that was sent, and it counts.
        let mut variate = started(folder.path(), Some(update(2)));
        assert_eq!(variate.now().expect("that one"), [2.0, 2.0]);
        // The next two come too late, each after a restart.
        trained(&mut variate, 3);
        let mut variate = started(folder.path(), Some(update(2)));
        trained(&mut variate, 4);
        let variate = started(folder.path(), Some(update(2)));
        assert_eq!(variate.now().expect("still there"), [2.0, 2.0]);
        let variate = started(folder.path(), Some(update(4)));
        assert_eq!(variate.now().expect("or the last"), [4.0, 4.0]);
    }

    #[test]
    fn a_site_that_lost_it_is_refused_and_a_run_that_begins_anew_begins_from_zero() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut variate = started(folder.path(), None);
        trained(&mut variate, 1);
        let other = started(folder.path(), Some(update(9)));
        assert!(matches!(other.now(), Err(VariateError::Lost { .. })));
        variate.remove().expect("removed");
        assert!(!variate.path.exists());
        let gone = started(folder.path(), Some(update(1)));
        assert!(matches!(gone.now(), Err(VariateError::Lost { .. })));
        let anew = started(folder.path(), None);
        assert_eq!(anew.now().expect("a first one"), [0.0, 0.0]);
        anew.remove().expect("nothing to remove");
    }

    #[test]
    fn a_byte_that_was_changed_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut variate = started(folder.path(), None);
        trained(&mut variate, 1);
        let path = variate.path.clone();
        let sound = std::fs::read(&path).expect("written");
        let named = started(folder.path(), Some(update(1)));
        for at in 0..sound.len() {
            let mut changed = sound.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).expect("writable");
            assert!(named.now().is_err(), "byte {at}");
        }
    }
}
