//! Who may have a connection: limits in all, for each address, for each client, and in the
//! handshake.
//!
//! A stranger has no certificate, so it never gets beyond the handshake. There it can hold all
//! places, but not keep anybody out: where they are full, whoever comes displaces the oldest
//! handshake of the address that has the most. A site's handshake takes as long as a packet needs
//! to come back a few times, so it is over before its turn comes, even behind the stranger's own
//! address.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use umbel_proto::message::{BlobDigest, ClientId};

/// Connections that one client may have at a time: those of a process that is cut off again and
/// again, until the dead ones are noticed, and of checks beside it.
pub const FOR_EACH_CLIENT: usize = 16;
/// Connections for certificates of the authority that belong to no client, all of them together:
/// enough to tell them so.
pub const FOR_UNKNOWN_CERTIFICATES: usize = 8;

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Behind their handshake, in all.
    pub open: usize,
    /// Behind their handshake, from one address.
    pub for_each_address: usize,
    /// In their handshake, in all.
    pub in_handshake: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
}

impl ConnectionLimits {
    /// Enough for so many clients, wherever they are.
    pub fn for_clients(clients: usize) -> Self {
        let open = clients
            .saturating_mul(FOR_EACH_CLIENT)
            .saturating_add(FOR_UNKNOWN_CERTIFICATES);
        Self {
            open,
            for_each_address: open,
            in_handshake: 128,
            handshake: Duration::from_secs(10),
        }
    }
}

/// Where a connection comes from, as far as it counts: an address, or the network of one where
/// addresses are free for the taking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// One address.
    Address(IpAddr),
    /// The /64 of an IPv6 address, which is what a household or a server gets.
    Network(u64),
}

impl Origin {
    /// The origin of this address.
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) if !v6.is_loopback() => Self::Network((v6.to_bits() >> 64) as u64),
            address => Self::Address(address),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Network(upper) => {
                write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*upper) << 64))
            }
        }
    }
}

/// Whose connection it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    /// A client of the run, by its certificate.
    Client(ClientId),
    /// Somebody with a certificate of the authority that belongs to no client, by its fingerprint.
    Unknown(BlobDigest),
    /// Anybody, where there is no TLS.
    Anybody,
}

/// Why somebody has no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// The handshake failed.
    #[error("the handshake failed: {0}")]
    Handshake(String),
    /// Too little of a handshake came.
    #[error("it didn't finish its handshake within {} seconds", .0.as_secs_f64())]
    Silent(Duration),
    /// Its place was needed.
    #[error("it was still in its handshake when others needed its place")]
    Displaced,
    /// No place is left in all.
    #[error("all {0} connections are taken (serve.connections)")]
    Full(usize),
    /// Its address has enough.
    #[error("its address has {0} connections already (serve.connections_per_address)")]
    Address(usize),
    /// The client has enough.
    #[error("client {0} has {FOR_EACH_CLIENT} connections already")]
    Client(ClientId),
    /// Those who have a certificate that belongs to nobody have enough.
    #[error(
        "its certificate with the fingerprint {0} belongs to no client, and \
         {FOR_UNKNOWN_CERTIFICATES} connections of such certificates are open already"
    )]
    Unknown(BlobDigest),
}

/// Counts connections, and decides who gets one.
#[derive(Debug)]
pub(super) struct Door {
    limits: ConnectionLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Handshakes in the order of their beginning. A sender that is dropped ends its handshake.
    handshakes: BTreeMap<u64, (Origin, oneshot::Sender<()>)>,
    next: u64,
    open: usize,
    by_origin: BTreeMap<Origin, usize>,
    by_client: BTreeMap<ClientId, usize>,
    unknown: usize,
}

impl Door {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody comes and begins a handshake, for which another may have to go.
    pub(super) fn knock(self: &Arc<Self>, origin: Origin) -> Handshake {
        let (place, displaced) = oneshot::channel();
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        state.handshakes.insert(id, (origin, place));
        if state.handshakes.len() > self.limits.in_handshake.max(1) {
            state.displace();
        }
        Handshake {
            door: Arc::clone(self),
            id,
            displaced,
        }
    }

    /// Somebody is through with the handshake.
    pub(super) fn enter(
        self: &Arc<Self>,
        origin: Origin,
        holder: Holder,
    ) -> Result<Entered, Refused> {
        let ConnectionLimits {
            open,
            for_each_address,
            ..
        } = self.limits;
        let mut state = self.lock();
        if state.of_holder(&holder) >= most_of(&holder) {
            return Err(match holder {
                Holder::Client(client) => Refused::Client(client),
                Holder::Unknown(fingerprint) => Refused::Unknown(fingerprint),
                Holder::Anybody => Refused::Full(open),
            });
        }
        if state.open >= open {
            return Err(Refused::Full(open));
        }
        if state.by_origin.get(&origin).copied().unwrap_or(0) >= for_each_address {
            return Err(Refused::Address(for_each_address));
        }
        state.open += 1;
        *state.by_origin.entry(origin).or_default() += 1;
        match &holder {
            Holder::Client(client) => *state.by_client.entry(client.clone()).or_default() += 1,
            Holder::Unknown(_) => state.unknown += 1,
            Holder::Anybody => {}
        }
        drop(state);
        Ok(Entered {
            door: Arc::clone(self),
            origin,
            holder,
        })
    }
}

/// Connections that a holder may have.
fn most_of(holder: &Holder) -> usize {
    match holder {
        Holder::Client(_) => FOR_EACH_CLIENT,
        Holder::Unknown(_) => FOR_UNKNOWN_CERTIFICATES,
        Holder::Anybody => usize::MAX,
    }
}

impl State {
    /// Ends the oldest handshake of the origin that has the most; of several such, the oldest.
    fn displace(&mut self) {
        let mut counts: BTreeMap<Origin, usize> = BTreeMap::new();
        for (origin, _) in self.handshakes.values() {
            *counts.entry(*origin).or_default() += 1;
        }
        let most = counts.values().copied().max();
        let victim = self
            .handshakes
            .iter()
            .find(|(_, (origin, _))| counts.get(origin).copied() == most)
            .map(|(id, _)| *id);
        if let Some(victim) = victim {
            self.handshakes.remove(&victim);
        }
    }

    fn of_holder(&self, holder: &Holder) -> usize {
        match holder {
            Holder::Client(client) => self.by_client.get(client).copied().unwrap_or(0),
            Holder::Unknown(_) => self.unknown,
            Holder::Anybody => 0,
        }
    }
}

/// A handshake's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Handshake {
    door: Arc<Door>,
    id: u64,
    displaced: oneshot::Receiver<()>,
}

impl Handshake {
    /// Resolves when somebody else needs the place.
    pub(super) async fn displaced(&mut self) {
        // Nothing is ever sent: the sender's end is the news.
        let _ = (&mut self.displaced).await;
    }

    /// How long it may take.
    pub(super) fn patience(&self) -> Duration {
        self.door.limits.handshake
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.door.lock().handshakes.remove(&self.id);
    }
}

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Entered {
    door: Arc<Door>,
    origin: Origin,
    holder: Holder,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut state = self.door.lock();
        state.open = state.open.saturating_sub(1);
        give_back(&mut state.by_origin, &self.origin);
        match &self.holder {
            Holder::Client(client) => give_back(&mut state.by_client, client),
            Holder::Unknown(_) => state.unknown = state.unknown.saturating_sub(1),
            Holder::Anybody => {}
        }
    }
}

/// Counts one less, and keeps nothing of whoever has none.
fn give_back<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;
