//! The server: listens, speaks TLS, and hands every call to the service.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, lookup_host};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use umbel_proto::federation::Federation;
use umbel_proto::wire::federation_server::FederationServer;

use super::accept::{Proof, accept};
use super::security::chain;
use super::service::FederationService;
use super::{Security, ServeError, ServiceLimits, TrafficMeter};

/// The longest message from a client: a chunk is the longest that there is, and a long
/// list of labels needs less.
const MOST_MESSAGE_BYTES: usize = 1 << 20;
/// HTTP/2 windows: what may be under way before the other side answers. Large enough to
/// fill a fast line between cities, small enough for many clients.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// How often an idle connection is checked, and how long the answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(20);
/// Connections that were let in and wait for the server to take them.
const WAITING: usize = 16;

/// Listens on `listen`, an address and port such as `0.0.0.0:7700`; port 0 takes any.
///
/// # Errors
/// [`ServeError::Listen`], and [`ServeError::Exposed`] for an address that others can
/// reach without TLS.
pub async fn bind(listen: &str, security: &Security) -> Result<TcpListener, ServeError> {
    let refuse = |e: std::io::Error| ServeError::Listen {
        listen: listen.to_owned(),
        reason: e.to_string(),
    };
    let addresses: Vec<SocketAddr> = lookup_host(listen).await.map_err(refuse)?.collect();
    for address in &addresses {
        check_exposure(*address, security)?;
    }
    TcpListener::bind(addresses.as_slice())
        .await
        .map_err(refuse)
}

fn check_exposure(address: SocketAddr, security: &Security) -> Result<(), ServeError> {
    match security {
        Security::LoopbackOnly if !address.ip().is_loopback() => {
            Err(ServeError::Exposed { address })
        }
        _ => Ok(()),
    }
}

/// Answers calls until `shutdown` resolves; then lets calls under way finish, for
/// [`ServiceLimits::grace`] at most.
///
/// # Errors
/// [`ServeError`] where certificates can't be used, an address without TLS is exposed, or
/// the server breaks.
pub async fn serve(
    federation: Arc<dyn Federation>,
    security: Security,
    listener: TcpListener,
    limits: ServiceLimits,
    meter: Arc<TrafficMeter>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(|e| ServeError::Listen {
        listen: "(an open listener)".to_owned(),
        reason: e.to_string(),
    })?;
    check_exposure(address, &security)?;
    let mut server = Server::builder()
        .max_concurrent_streams(limits.calls_per_connection)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_ANSWER));
    let proof = match security {
        Security::MutualTls { tls, clients } => {
            Proof::Certificate(tls.acceptor()?, Arc::new(clients))
        }
        Security::LoopbackOnly => {
            tracing::warn!(%address, "serving without TLS: anybody here may be any client");
            Proof::None
        }
    };
    let grace = limits.grace;
    let (ready, connections) = mpsc::channel(WAITING);
    let accepting = accept(listener, proof, limits.connections, ready);
    let service = FederationService::new(federation, limits, meter);
    let service = FederationServer::new(service).max_decoding_message_size(MOST_MESSAGE_BYTES);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = server.add_service(service).serve_with_incoming_shutdown(
        ReceiverStream::new(connections).map(Ok::<_, Infallible>),
        // Resolves as soon as `stop` is dropped.
        async move { drop(stopped.await) },
    );
    let mut serving = std::pin::pin!(serving);
    let result = tokio::select! {
        result = &mut serving => result,
        // It never ends.
        () = accepting => Ok(()),
        () = shutdown => {
            drop(stop);
            tokio::time::timeout(grace, serving).await.unwrap_or(Ok(()))
        }
    };
    result.map_err(|e| ServeError::Stopped { reason: chain(&e) })
}
