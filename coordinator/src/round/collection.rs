//! The updates of one attempt at a round: who is in its cohort, who has given one, and how
//! many are still awaited.
//!
//! The two counts are kept rather than counted, so that an update costs one look-up however
//! large the cohort is.

use std::collections::{BTreeMap, BTreeSet};

use umbel_proto::message::{BlobDigest, ClientId};

use super::event::{Participation, RefusedUpdate};
use super::taken_up::OpenRound;

/// A cohort and its updates so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    members: BTreeMap<ClientId, Member>,
    /// Members that have given an update.
    given: usize,
    /// Members that are waited for and haven't.
    awaited: usize,
    /// Whether those, too, are waited for who aren't here.
    waits_for_all: bool,
    /// Whether it had been closed before the run was taken up again.
    was_closed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    here: bool,
    update: Option<BlobDigest>,
    /// Whether the round was closed without this member, before the run was taken up again.
    shut_out: bool,
}

impl Member {
    fn is_awaited(&self, waits_for_all: bool) -> bool {
        (self.here || waits_for_all) && self.update.is_none() && !self.shut_out
    }
}

impl Collection {
    /// No updates yet of this cohort, of which only those `present` are waited for, or all.
    pub(super) fn of(
        cohort: BTreeSet<ClientId>,
        present: &BTreeSet<ClientId>,
        waits_for_all: bool,
    ) -> Self {
        let member = |client: ClientId| {
            let here = present.contains(&client);
            let update = None;
            let shut_out = false;
            let member = Member {
                here,
                update,
                shut_out,
            };
            (client, member)
        };
        Self::counted(cohort.into_iter().map(member).collect(), waits_for_all)
    }

    /// An attempt as it stood when the run was cut off. Whoever was here is expected back.
    pub(super) fn taken_up(
        attempt: &OpenRound,
        present: &BTreeSet<ClientId>,
        waits_for_all: bool,
    ) -> Self {
        let member = |client: &ClientId| {
            let closed = attempt.closed.as_ref();
            let member = Member {
                // The updates that it was closed with are needed, whoever is here.
                here: closed.is_some() || present.contains(client),
                update: attempt.given.get(client).copied(),
                shut_out: closed.is_some_and(|set| !set.contains(client)),
            };
            (client.clone(), member)
        };
        let members = attempt.cohort.iter().map(member).collect();
        Self {
            was_closed: attempt.closed.is_some(),
            ..Self::counted(members, waits_for_all)
        }
    }

    fn counted(members: BTreeMap<ClientId, Member>, waits_for_all: bool) -> Self {
        let awaited = members.values().filter(|m| m.is_awaited(waits_for_all));
        Self {
            given: members.values().filter(|m| m.update.is_some()).count(),
            awaited: awaited.count(),
            members,
            waits_for_all,
            was_closed: false,
        }
    }

    /// The cohort, by name.
    pub fn cohort(&self) -> impl ExactSizeIterator<Item = &ClientId> {
        self.members.keys()
    }

    /// Updates that were given.
    pub fn given(&self) -> usize {
        self.given
    }

    /// Whether this client is in the cohort and hasn't given its update.
    pub fn lacks(&self, client: &ClientId) -> bool {
        let member = self.members.get(client);
        member.is_some_and(|member| member.update.is_none() && !member.shut_out)
    }

    /// `Ok(true)` for an update that would be new, `Ok(false)` for one that was given already.
    pub(super) fn admits(
        &self,
        client: &ClientId,
        digest: &BlobDigest,
    ) -> Result<bool, RefusedUpdate> {
        let member = self.members.get(client).ok_or(RefusedUpdate::NotInCohort)?;
        if member.shut_out {
            return Err(RefusedUpdate::NotInCohort);
        }
        match &member.update {
            None => Ok(true),
            Some(earlier) if earlier == digest => Ok(false),
            Some(_) => Err(RefusedUpdate::Conflicting),
        }
    }

    /// Notes a client's update; `false` if it doesn't count, or counts already.
    pub(super) fn give(&mut self, client: &ClientId, digest: BlobDigest) -> bool {
        self.change(client, |member| {
            let first = member.update.is_none();
            member.update.get_or_insert(digest);
            first
        })
    }

    /// Notes that a client came, or came back.
    pub(super) fn came(&mut self, client: &ClientId) {
        self.change(client, |member| member.here = true);
    }

    /// Notes that nobody need wait for this client.
    pub(super) fn left(&mut self, client: &ClientId) {
        self.change(client, |member| member.here = false);
    }

    /// The one place where a member changes, so that the counts always fit.
    fn change<T: Default>(
        &mut self,
        client: &ClientId,
        change: impl FnOnce(&mut Member) -> T,
    ) -> T {
        let Some(member) = self.members.get_mut(client) else {
            return T::default();
        };
        self.awaited -= usize::from(member.is_awaited(self.waits_for_all));
        self.given -= usize::from(member.update.is_some());
        let answer = change(member);
        self.awaited += usize::from(member.is_awaited(self.waits_for_all));
        self.given += usize::from(member.update.is_some());
        answer
    }

    /// Whether it had been closed before the run was taken up again, so that nobody can be added.
    pub(super) fn was_closed(&self) -> bool {
        self.was_closed
    }

    /// Whether waiting on changes nothing: nobody is left to wait for, or even all who are
    /// would be fewer than `needed`.
    pub(super) fn is_settled(&self, needed: usize) -> bool {
        self.awaited == 0 || self.given + self.awaited < needed
    }

    /// Who took part and who didn't, each by name.
    pub(super) fn participation(&self) -> Participation {
        let mut participation = Participation::default();
        for (client, member) in &self.members {
            let side = match member.update {
                Some(_) => &mut participation.counted,
                None => &mut participation.missing,
            };
            side.push(client.clone());
        }
        participation
    }
}
