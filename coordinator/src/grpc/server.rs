//! The server: listens, speaks TLS, and hands every call to the service.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Server;
use umbel_proto::federation::Federation;
use umbel_proto::wire::federation_server::FederationServer;

use super::identity::Identities;
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
/// How long a TLS handshake may take, so that strangers hold no connections.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long to wait after a failed accept (out of file descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
    let identities = match security {
        Security::MutualTls { tls, clients } => {
            let config = tls.server_config().timeout(HANDSHAKE);
            server = server
                .tls_config(config)
                .map_err(|e| ServeError::Tls { reason: chain(&e) })?;
            Identities::Certificates(clients)
        }
        Security::LoopbackOnly => {
            tracing::warn!(%address, "serving without TLS: anybody here may be any client");
            Identities::Header
        }
    };
    let grace = limits.grace;
    let service = FederationService::new(federation, identities, limits, meter);
    let service = FederationServer::new(service).max_decoding_message_size(MOST_MESSAGE_BYTES);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = server.add_service(service).serve_with_incoming_shutdown(
        connections(listener),
        // Resolves as soon as `stop` is dropped.
        async move { drop(stopped.await) },
    );
    let mut serving = std::pin::pin!(serving);
    let result = tokio::select! {
        result = &mut serving => result,
        () = shutdown => {
            drop(stop);
            tokio::time::timeout(grace, serving).await.unwrap_or(Ok(()))
        }
    };
    result.map_err(|e| ServeError::Stopped { reason: chain(&e) })
}

/// Accepted connections. A failed accept is logged and passed over: it must not end the run.
fn connections(listener: TcpListener) -> impl Stream<Item = Result<TcpStream, Infallible>> {
    TcpListenerStream::new(listener)
        .then(|accepted| async {
            match accepted {
                Ok(connection) => {
                    // Small answers shouldn't wait for more to send; without it they are slower.
                    let _ = connection.set_nodelay(true);
                    Some(connection)
                }
                Err(error) => {
                    tracing::warn!(%error, "can't accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    None
                }
            }
        })
        .filter_map(|connection| connection)
        .map(Ok)
}

/// An error with all that caused it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
