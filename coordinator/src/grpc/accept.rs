//! Letting callers in: from an open port to connections whose holder is known.
//!
//! Nothing that a stranger does ends this or holds it up. A place among the descriptors is taken
//! before a connection is accepted, so that ledger and run always have theirs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use umbel_proto::printable::printable;

use super::ClientDirectory;
use super::connection::{Connection, Wire};
use super::door::{ConnectionLimits, Door, Handshake, Holder, Origin, Refused};
use super::refusals::{RefusalLog, WINDOW};

/// How long to wait after a failed accept (out of file descriptors, say).
const PAUSE: Duration = Duration::from_millis(100);
/// How often failed accepts are told of.
const TOLD: Duration = Duration::from_secs(10);
/// Sockets between two states: accepted, or closing.
const PASSING: usize = 16;
/// Bytes of a handshake's error that go into the log.
const LONGEST_REASON: usize = 200;

/// How callers prove who they are.
pub(super) enum Proof {
    /// By a TLS certificate.
    Certificate(TlsAcceptor, Arc<ClientDirectory>),
    /// Not at all. Only for loopback.
    None,
}

impl ConnectionLimits {
    /// Descriptors that connections take at most.
    pub(super) fn descriptors(&self) -> usize {
        self.open
            .saturating_add(self.in_handshake)
            .saturating_add(PASSING)
    }
}

/// Accepts connections for ever and hands those over whose holder is let in.
pub(super) async fn accept(
    listener: TcpListener,
    proof: Proof,
    limits: ConnectionLimits,
    ready: mpsc::Sender<Connection>,
) {
    let descriptors = limits.descriptors().min(Semaphore::MAX_PERMITS);
    let mut accepting = Accepting {
        listener,
        descriptors: Arc::new(Semaphore::new(descriptors)),
        failed: None,
    };
    let hall = Arc::new(Hall {
        proof,
        door: Door::new(limits),
        refusals: RefusalLog::default(),
        ready,
    });
    let mut windows = tokio::time::interval(WINDOW);
    let mut callers = JoinSet::new();
    loop {
        tokio::select! {
            (stream, from, descriptor) = accepting.next() => {
                let hall = Arc::clone(&hall);
                // The order counts, so it knocks before the next one is accepted.
                let handshake = hall.door.knock(Origin::of(from.ip()));
                callers.spawn(async move {
                    if let Err(why) = hall.receive((stream, from), handshake, descriptor).await {
                        hall.refusals.note(from, &why);
                    }
                });
            }
            Some(_) = callers.join_next() => {}
            _ = windows.tick() => hall.refusals.turn(),
        }
    }
}

struct Accepting {
    listener: TcpListener,
    descriptors: Arc<Semaphore>,
    /// When a failed accept was last told of.
    failed: Option<Instant>,
}

impl Accepting {
    /// The next connection. May be given up at any await.
    async fn next(&mut self) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        loop {
            let descriptor = Arc::clone(&self.descriptors).acquire_owned().await;
            match self.listener.accept().await {
                Ok((stream, from)) => match descriptor {
                    Ok(descriptor) => return (stream, from, descriptor),
                    // Nobody closes the semaphore.
                    Err(_) => std::future::pending().await,
                },
                Err(error) => {
                    self.tell(&error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn tell(&mut self, error: &std::io::Error) {
        if self.failed.is_none_or(|told| told.elapsed() >= TOLD) {
            self.failed = Some(Instant::now());
            tracing::warn!(%error, "can't accept a connection; trying again");
        }
    }
}

struct Hall {
    proof: Proof,
    door: Arc<Door>,
    refusals: RefusalLog,
    ready: mpsc::Sender<Connection>,
}

impl Hall {
    /// Finds out whose connection it is, and lets it in.
    async fn receive(
        &self,
        (stream, from): (TcpStream, SocketAddr),
        mut handshake: Handshake,
        descriptor: OwnedSemaphorePermit,
    ) -> Result<(), Refused> {
        // Small answers shouldn't wait for more to send; without it they are slower.
        let _ = stream.set_nodelay(true);
        let (wire, holder) = self.shake_hands(stream, &mut handshake).await?;
        drop(handshake);
        if let Holder::Unknown(fingerprint) = &holder {
            let why = format!(
                "its certificate with the fingerprint {fingerprint} belongs to no client; its \
                 calls will be"
            );
            self.refusals.note(from, &why);
        }
        let place = self.door.enter(Origin::of(from.ip()), holder.clone())?;
        let connection = Connection::new(wire, holder, (place, descriptor));
        // It fails when the service ends, and with it all connections.
        let _ = self.ready.send(connection).await;
        Ok(())
    }

    async fn shake_hands(
        &self,
        stream: TcpStream,
        handshake: &mut Handshake,
    ) -> Result<(Box<dyn Wire>, Holder), Refused> {
        let (acceptor, clients) = match &self.proof {
            Proof::Certificate(acceptor, clients) => (acceptor, clients),
            Proof::None => return Ok((Box::new(stream), Holder::Anybody)),
        };
        let patience = handshake.patience();
        let tls = tokio::select! {
            tls = tokio::time::timeout(patience, acceptor.accept(stream)) => tls,
            () = handshake.displaced() => return Err(Refused::Displaced),
        };
        let tls = tls
            .map_err(|_| Refused::Silent(patience))?
            .map_err(|error| Refused::Handshake(printable(&error.to_string(), LONGEST_REASON)))?;
        let certificates = tls.get_ref().1.peer_certificates().unwrap_or_default();
        // The first certificate is the caller's own; the rest lead to the authority.
        let own = certificates
            .first()
            .ok_or_else(|| Refused::Handshake("no certificate was shown".to_owned()))?;
        let holder = match clients.client_of(own) {
            Ok(client) => Holder::Client(client.clone()),
            Err(fingerprint) => Holder::Unknown(fingerprint),
        };
        Ok((Box::new(tls), holder))
    }
}
