//! Clients that are missing: how long the run waits for them, and when one counts as silent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use umbel_proto::message::ClientId;

/// How long a run waits for clients that it doesn't hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long a run pauses for enough clients.
    pub pause: Duration,
    /// After how long without a sign of life nobody waits for a client in a round; never if `None`.
    pub silence: Option<Duration>,
}

impl Patience {
    /// Clients are threads of this process: they don't fall silent, and none comes back.
    pub const NONE: Self = Self {
        pause: Duration::ZERO,
        silence: None,
    };
}

/// When each client was heard of last.
pub(super) struct Silence {
    limit: Option<Duration>,
    heard: BTreeMap<ClientId, Duration>,
}

impl Silence {
    pub(super) fn after(limit: Option<Duration>) -> Self {
        Self {
            limit,
            heard: BTreeMap::new(),
        }
    }

    /// Notes who was heard of until `now`, and says of which of those `present` nothing was for
    /// too long. Someone who is met for the first time begins now.
    pub(super) fn check(
        &mut self,
        now: Duration,
        heard: BTreeSet<ClientId>,
        present: impl IntoIterator<Item = ClientId>,
    ) -> Vec<ClientId> {
        let Some(limit) = self.limit else {
            return Vec::new();
        };
        self.heard.extend(heard.into_iter().map(|c| (c, now)));
        let mut silent = Vec::new();
        for client in present {
            let last = *self.heard.entry(client.clone()).or_insert(now);
            if now.saturating_sub(last) > limit {
                silent.push(client);
            }
        }
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn client(name: &str) -> ClientId {
        name.parse().expect("a name")
    }

    #[test]
    fn a_client_is_silent_once_nothing_was_heard_of_it_for_longer_than_the_limit() {
        let mut silence = Silence::after(Some(seconds(60)));
        let present = || [client("north"), client("south")];
        let none = BTreeSet::new();
        assert!(
            silence
                .check(seconds(100), none.clone(), present())
                .is_empty()
        );
        let north = BTreeSet::from([client("north")]);
        assert!(silence.check(seconds(160), north, present()).is_empty());
        let silent = silence.check(seconds(161), none.clone(), present());
        assert_eq!(silent, [client("south")]);
        let silent = silence.check(seconds(221), none, present());
        assert_eq!(silent, present());
    }

    #[test]
    fn without_a_limit_nobody_is_silent() {
        let mut silence = Silence::after(None);
        let nobody = silence.check(Duration::MAX, BTreeSet::new(), [client("north")]);
        assert!(nobody.is_empty());
    }
}
