//! A client that was let into a run, one step at a time.
//!
//! Whoever runs it asks the coordinator for the next task and has it followed: a client that is alone in
//! its process does so in a loop, a simulation for whichever of its clients is asked.

use std::time::Duration;

use umbel_privacy::certificate::{CoordinatorSeen, Countersignature};
use umbel_proto::departure::Departure;
use umbel_proto::message::{
    BlobDigest, Ending, Hello, ModelFile, PROTOCOL_VERSION, Receipt, Task, Update,
};
use umbel_proto::plan::AgreedPlan;

use crate::clock;
use crate::part::AtSite;
use crate::participate::{Accepts, ClientError, Invitation, OpenSite, Progress};
use crate::results::{Known, ResultsPlace, take_home};
use crate::site_ledger::Owed;
use crate::transport::{Transport, TransportError};
use crate::witness::Witness;

/// How long a client waits before it asks again whether its update can be taken.
const NOT_NOW: Duration = Duration::from_secs(1);

/// A client that accepted a run's plan, read its data and opened its ledger.
pub struct Member {
    invitation: Invitation,
    joined: Joined,
    site: Box<dyn AtSite>,
    rejoining: Rejoining,
    /// The round in which an update was refused.
    refused_in: Option<u32>,
}

/// What came of following a task.
#[derive(Debug)]
pub enum Followed {
    /// The next task is to be asked for.
    Done,
    /// The run is over, and the client has handed in what it signed.
    Ended(Ending),
    /// The coordinator follows another plan by now, which is to be entered anew.
    AnotherRun,
}

impl Member {
    /// Joins a run, holds its plan against the site's own rules, and makes the site ready.
    ///
    /// # Errors
    /// [`ClientError`]; the coordinator isn't told of it.
    pub fn enter(
        transport: &mut dyn Transport,
        invitation: &Invitation,
        (accepts, open): (Accepts<'_>, OpenSite<'_>),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, ClientError> {
        let (joined, files) = clock::once_close(
            transport,
            |transport| join(transport, invitation),
            |transport| transport.clock(),
            |transport, pause| transport.pause(pause),
        )?;
        accepts(&joined.plan, &files)?;
        let mut content = Vec::with_capacity(files.len());
        for file in files {
            let bytes = transport.blob(&file.digest)?;
            content.push((file.name, bytes));
        }
        let site = open(joined.plan.clone(), &content)?;
        progress(Progress::Ready {
            rounds: site.plan().rounds.get(),
        });
        Ok(Self {
            invitation: invitation.clone(),
            joined,
            site,
            rejoining: Rejoining::default(),
            refused_in: None,
        })
    }

    /// Pays for what this task asks for, ahead of following it. Says whether there is something to
    /// train.
    ///
    /// # Errors
    /// [`ClientError`]; the coordinator isn't told of it.
    pub fn pay(&mut self, task: &Task) -> Result<bool, ClientError> {
        if let Task::Train {
            round, parameters, ..
        } = task
            && let Owed::Training(open) = self.site.asked(*round, *parameters)?
        {
            self.site.pay(&open)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Forgets updates for rounds before this one, which nobody can ask for any more.
    ///
    /// # Errors
    /// [`ClientError`]; the coordinator isn't told of it.
    pub fn forget_before(&mut self, round: u32) -> Result<(), ClientError> {
        Ok(self.site.forget_before(round)?)
    }

    /// Does what the coordinator answered when it was asked for the next task. If it doesn't know
    /// this client any more, it is joined again, with the same ledger and the same outbox.
    ///
    /// # Errors
    /// [`ClientError`]; the coordinator isn't told of it.
    pub fn follow(
        &mut self,
        next: Result<Task, TransportError>,
        transport: &mut dyn Transport,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Followed, ClientError> {
        let done = match next {
            Ok(Task::Finished(ending)) => {
                self.part(transport, progress)?;
                return Ok(Followed::Ended(ending));
            }
            Ok(Task::Train {
                round,
                parameters,
                counted,
            }) => self
                .update((round, parameters, counted), transport, progress)
                .and_then(|update| self.hand_in(&update, transport, progress)),
            Err(error) => Err(error.into()),
        };
        match done {
            Ok(()) => {
                self.rejoining = Rejoining::default();
                Ok(Followed::Done)
            }
            Err(ClientError::Transport(error)) if error.is_unknown() => {
                self.rejoining.pause(error, transport)?;
                let before = self.joined.plan.digest();
                (self.joined, _) = join(transport, &self.invitation)?;
                if self.joined.plan.digest() != before {
                    return Ok(Followed::AnotherRun);
                }
                self.refused_in = None;
                progress(Progress::Rejoined);
                Ok(Followed::Done)
            }
            Err(error) => Err(error),
        }
    }

    /// The update that this site owes a round which begins with these parameters: the one that it
    /// kept, or one that it trains now. `counted` is its last one that is in the model.
    ///
    /// # Errors
    /// [`ClientError`]; the coordinator isn't told of it.
    pub fn update(
        &mut self,
        (round, parameters, counted): (u32, BlobDigest, Option<BlobDigest>),
        transport: &mut dyn Transport,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Update, ClientError> {
        self.site.heard(counted);
        let values = match self.site.asked(round, parameters)? {
            Owed::Kept(values) => values,
            Owed::Training(open) => {
                let parameters = transport.blob(&parameters)?;
                progress(Progress::Training { round });
                self.site.train(&open, &parameters)?
            }
        };
        Ok(Update { round, values })
    }

    /// Hands in the update that this site owes a round.
    ///
    /// # Errors
    /// [`ClientError`]; the coordinator isn't told of it.
    pub fn hand_in(
        &mut self,
        update: &Update,
        transport: &mut dyn Transport,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), ClientError> {
        let round = update.round;
        match transport.submit(update)? {
            Receipt::Accepted | Receipt::Duplicate => progress(Progress::Submitted {
                round,
                epsilon: self.site.epsilon(),
            }),
            Receipt::NotNow { reason } => {
                tracing::warn!(round, reason, "the coordinator can't take the update now");
                transport.pause(NOT_NOW);
            }
            // If the round is tried again, the same update is sent again.
            Receipt::Late { reason } => progress(Progress::Refused { round, reason }),
            Receipt::Refused { reason } if self.refused_in == Some(round) => {
                return Err(ClientError::UpdateRefused { round, reason });
            }
            // The same bytes would be refused again: should they be asked for once more, this ends.
            Receipt::Refused { reason } => {
                self.refused_in = Some(round);
                progress(Progress::Refused { round, reason });
            }
        }
        Ok(())
    }

    /// Signs what the site was told and did, closes its ledger, and takes home what came of the
    /// run. Of a rehearsal nothing is signed, remembered or taken home.
    fn part(
        &mut self,
        transport: &mut dyn Transport,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), ClientError> {
        let Some(seen) = self.joined.coordinator else {
            self.site.close()?;
            transport.leave(Departure::Done);
            tracing::info!(
                "that was a rehearsal, on rows that this site made up: nothing was charged. Start \
                 this client again for the run itself"
            );
            return Ok(());
        };
        let signed = self.site.countersign(seen)?;
        self.site.close()?;
        hand_in(transport, &mut self.joined.witness, &signed);
        if let Some(place) = &self.invitation.results {
            let known = Known {
                plan: &self.joined.plan,
                signed: &signed,
            };
            bring_home(transport, place, &known, progress)?;
            transport.leave(Departure::Done);
        }
        Ok(())
    }
}

/// What a client that was let in knows of the run.
struct Joined {
    plan: AgreedPlan,
    witness: Witness,
    /// `None` in a rehearsal, whose ledgers begin anew and are nobody's to remember.
    coordinator: Option<CoordinatorSeen>,
}

/// Introduces the site, and holds both ledgers against what was seen of them. Returns the base
/// model's files, too.
fn join(
    transport: &mut dyn Transport,
    invitation: &Invitation,
) -> Result<(Joined, Vec<ModelFile>), ClientError> {
    let mut witness = Witness::of(&invitation.ledger)?;
    witness.make_durable(&invitation.ledger)?;
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        software: crate::SOFTWARE.into(),
        labels: invitation.labels.clone(),
        ledger: witness.point(),
        instance: transport.instance(),
    };
    let welcome = transport.join(&hello)?;
    let plan = invitation.known_plan.read(&welcome.plan)?;
    let coordinator = match plan.rehearsal {
        Some(_) => None,
        None => Some(witness.meet(&welcome, |digest| transport.blob(digest))?),
    };
    let joined = Joined {
        plan,
        witness,
        coordinator,
    };
    Ok((joined, welcome.files))
}

/// Takes home what came of the run. Only a contradiction is an error: what didn't arrive can be had
/// otherwise.
fn bring_home(
    transport: &mut dyn Transport,
    place: &ResultsPlace,
    known: &Known<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ClientError> {
    let mut again = |transport: &mut dyn Transport| {
        // It has it already, most likely.
        let _ = transport.countersign(known.signed);
    };
    match take_home(transport, place, known, &mut again) {
        Ok(Some(folder)) => progress(Progress::TookHome { folder }),
        Ok(None) => {}
        Err(error) if error.is_contradiction() => return Err(error.into()),
        Err(error) => tracing::warn!("{error}"),
    }
    Ok(())
}

/// How often a client joined again without getting anywhere.
#[derive(Default)]
struct Rejoining(u32);

impl Rejoining {
    /// Together the pauses last about ten minutes, which is a call's patience, too.
    const MOST: u32 = 25;
    const LONGEST: Duration = Duration::from_secs(30);

    /// Waits a little longer each time.
    fn pause(
        &mut self,
        error: TransportError,
        transport: &mut dyn Transport,
    ) -> Result<(), TransportError> {
        if self.0 == Self::MOST {
            return Err(error);
        }
        tracing::warn!("{error}; joining again");
        if self.0 > 0 {
            let doubled = Duration::from_millis(125).saturating_mul(1 << self.0.min(10));
            transport.pause(doubled.min(Self::LONGEST));
        }
        self.0 += 1;
        Ok(())
    }
}

/// Hands in what the site signed. The run is over, so that nothing that goes wrong here undoes
/// it; but whoever verifies it will miss this site's word.
fn hand_in(transport: &mut dyn Transport, witness: &mut Witness, signed: &Countersignature) {
    let ended = transport.countersign(signed).unwrap_or_else(|error| {
        tracing::warn!("the certificate won't have this site's signature: {error}");
        None
    });
    if let Err(error) = witness.part(signed, ended) {
        tracing::warn!("{error}");
    }
}
