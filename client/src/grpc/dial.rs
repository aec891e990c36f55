//! From an address to a connection: directly, or through an HTTP proxy by CONNECT. TLS comes on
//! top of either, so a proxy sees no more than the network does.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::transport::Uri;
use tower_service::Service;

use super::settings::DIAL;

type BoxError = Box<dyn Error + Send + Sync>;
type ProxyError = <Tunnel<HttpConnector> as Service<Uri>>::Error;

/// Makes connections to the coordinator.
#[derive(Clone)]
pub(super) enum Dialler {
    /// To the coordinator itself.
    Direct(HttpConnector),
    /// By way of a proxy, which is named for errors.
    Proxy(Box<Tunnel<HttpConnector>>, String),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// The coordinator can't be reached.
    #[error(transparent)]
    Direct(BoxError),
    /// The proxy wants to know who asks.
    #[error(
        "the proxy {proxy} wants a user and a password, or others than it got; write them into \
         `proxy` (or HTTPS_PROXY): http://user:password@host:port"
    )]
    Password {
        /// The proxy, without its password.
        proxy: String,
    },
    /// The proxy can't be reached, or leads nowhere.
    #[error("by way of the proxy {proxy}: {reason}")]
    Proxy {
        /// The proxy, without its password.
        proxy: String,
        /// What it said.
        reason: String,
    },
}

impl Dialler {
    /// Dials by way of `proxy`, or directly.
    pub(super) fn new(proxy: Option<Intercept>) -> Self {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(DIAL));
        let Some(proxy) = proxy else {
            return Self::Direct(connector);
        };
        let address = proxy.uri().authority().map(ToString::to_string);
        let mut tunnel = Tunnel::new(proxy.uri().clone(), connector);
        if let Some(user) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(user.clone());
        }
        Self::Proxy(Box::new(tunnel), address.unwrap_or_default())
    }
}

impl Service<Uri> for Dialler {
    type Response = TokioIo<TcpStream>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        match self {
            Self::Direct(connector) => connector.poll_ready(cx).map_err(direct),
            Self::Proxy(tunnel, proxy) => tunnel
                .poll_ready(cx)
                .map_err(|error| by_proxy(proxy.clone(), &error)),
        }
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        match self {
            Self::Direct(connector) => {
                let dialling = connector.call(address);
                Box::pin(async move { dialling.await.map_err(direct) })
            }
            Self::Proxy(tunnel, proxy) => {
                let dialling = tunnel.call(address);
                let proxy = proxy.clone();
                Box::pin(async move { dialling.await.map_err(|error| by_proxy(proxy, &error)) })
            }
        }
    }
}

fn direct(error: impl Into<BoxError>) -> DialError {
    DialError::Direct(error.into())
}

fn by_proxy(proxy: String, error: &ProxyError) -> DialError {
    let reason = match error {
        ProxyError::ProxyAuthRequired => return DialError::Password { proxy },
        ProxyError::TunnelUnsuccessful => "it refuses to connect to the coordinator".to_owned(),
        ProxyError::TunnelUnexpectedEof => "it hung up".to_owned(),
        ProxyError::ConnectFailed(error) => super::failure::chain(&**error),
        ProxyError::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    DialError::Proxy { proxy, reason }
}

/// The dialling error among an error's causes.
pub(super) fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a DialError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An I/O error passes over the error that it was made of.
        let made_of = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match made_of {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
