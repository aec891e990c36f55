//! A simulated client's turns in virtual time: it does as it is sent, and waits for its update's time to
//! come before it hands it in.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use umbel_client::participate::ClientError;
use umbel_client::site::SiteError;
use umbel_client::site_ledger::SiteLedgerError;
use umbel_proto::message::{Task, Update};

use super::client::VirtualClient;
use super::pool::Turn;
use crate::virtual_time::Errand;

/// An update that is kept back, in a file: there may be many of them.
pub(super) struct HeldBack {
    round: u32,
    path: PathBuf,
}

impl HeldBack {
    fn write(folder: &Path, name: &str, update: &Update) -> io::Result<Self> {
        let path = folder.join(format!("{name}.held-back"));
        let round = update.round;
        // Whatever was written of it goes with it.
        let held_back = Self { round, path };
        fs::write(&held_back.path, &update.values)?;
        Ok(held_back)
    }

    fn read(&self) -> io::Result<Update> {
        let (round, values) = (self.round, fs::read(&self.path)?);
        Ok(Update { round, values })
    }
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("{} can't be removed: {error}", self.path.display());
        }
    }
}

impl VirtualClient {
    /// Pays for what it is to train.
    pub(super) fn prepare_errand(&mut self, errand: Errand) -> Result<Turn, ClientError> {
        let Some(member) = &mut self.member else {
            return Ok(Turn::Rest);
        };
        match errand {
            Errand::HandIn | Errand::HandInLate { .. } => return Ok(Turn::Again),
            Errand::Forget { round } => {
                member.forget_before(round)?;
                return Ok(Turn::Rest);
            }
            Errand::Begin { round, .. } => member.forget_before(round)?,
        }
        let next = self.poll();
        if let Some(Ok(task @ Task::Train { .. })) = &next
            && let Some(member) = &mut self.member
        {
            let trains = member.pay(task)?;
            if let Some(time) = &self.common.time {
                time.note_begun(&self.settings.name, trains);
            }
            if let Errand::Begin {
                drops_out: true, ..
            } = errand
            {
                return Ok(Turn::Rest);
            }
        }
        self.next = next;
        Ok(match self.next {
            Some(_) => Turn::Again,
            None => Turn::Rest,
        })
    }

    /// Trains, or hands in what it trained.
    pub(super) fn act_errand(&mut self, errand: Errand) -> Result<Turn, ClientError> {
        let Some(member) = &mut self.member else {
            return Ok(Turn::Rest);
        };
        match errand {
            Errand::Begin { .. } => match self.next.take() {
                Some(Ok(Task::Train {
                    round,
                    parameters,
                    counted,
                })) => {
                    let asked = (round, parameters, counted);
                    let update = member.update(asked, &mut self.transport, &mut |_| {})?;
                    let name = self.settings.name.as_str();
                    let held_back = HeldBack::write(self.common.disk.folder(), name, &update);
                    self.held_back = Some(held_back.map_err(|why| self.disk_error(&why))?);
                }
                Some(next) => return self.follow(next),
                None => {}
            },
            Errand::HandIn | Errand::HandInLate { .. } => {
                if let Some(held_back) = self.held_back.take() {
                    let update = held_back.read().map_err(|why| self.disk_error(&why))?;
                    if let Some(member) = &mut self.member {
                        member.hand_in(&update, &mut self.transport, &mut |_| {})?;
                    }
                }
                if let Errand::HandInLate { round } = errand
                    && let Some(member) = &mut self.member
                {
                    member.forget_before(round)?;
                }
            }
            Errand::Forget { .. } => {}
        }
        Ok(Turn::Rest)
    }

    fn disk_error(&self, why: &io::Error) -> ClientError {
        let why = SiteLedgerError::Open(self.common.disk.error(why));
        ClientError::Site(SiteError::Ledger(why))
    }
}
