//! Where the coordinator is and who calls.

use std::net::IpAddr;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Endpoint, Uri};
use umbel_proto::message::{ClientId, Instance};

use super::probe::Probe;
use super::{ClientTls, RetryPolicy};

/// HTTP/2 windows: what may be under way before the other side answers.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
/// How long dialling and the TLS handshake may take.
const DIAL: Duration = Duration::from_secs(20);
/// How often an idle connection is checked, and how long the answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(20);

/// Everything that a connection takes.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// `https://host:port`, or `http://` on the same machine without TLS.
    pub address: String,
    /// Who calls.
    pub identity: ClientIdentity,
    /// Which process it is: a number that is drawn when the process begins.
    pub instance: Instance,
    /// How failed calls are repeated.
    pub retry: RetryPolicy,
    /// The longest blob that is taken where the coordinator announced no length: parameters.
    pub most_blob_bytes: u64,
    /// How long an upload, a download or an answer may stand still before the call is
    /// made again.
    pub stall: Duration,
}

/// How the coordinator knows this client.
#[derive(Clone, Debug)]
pub enum ClientIdentity {
    /// By its TLS certificate.
    Certificate {
        /// The certificate, its key and the authority.
        tls: ClientTls,
        /// The name in the coordinator's certificate, where it isn't the address's host.
        server_name: Option<String>,
    },
    /// By what it says. Without TLS, so only on the same machine.
    Name(ClientId),
}

impl ConnectionSettings {
    /// The usual settings: patience for ten minutes, blobs of at most 4 GiB.
    pub fn new(address: impl Into<String>, identity: ClientIdentity, instance: Instance) -> Self {
        Self {
            address: address.into(),
            identity,
            instance,
            retry: RetryPolicy::default(),
            most_blob_bytes: 4 << 30,
            stall: Duration::from_secs(60),
        }
    }

    /// What finds out why TLS fails, where there is TLS.
    pub(super) fn probe(&self) -> Result<Option<Probe>, String> {
        let uri = self.uri()?;
        match &self.identity {
            ClientIdentity::Name(_) => Ok(None),
            ClientIdentity::Certificate { tls, server_name } => {
                let host = bare_host(&uri);
                let name = server_name.as_deref().unwrap_or(host);
                let port = uri.port_u16().unwrap_or(443);
                Probe::new(tls.clone(), host.to_owned(), port, name).map(Some)
            }
        }
    }

    /// The endpoint to dial, or why there can't be one.
    pub(super) fn endpoint(&self) -> Result<Endpoint, String> {
        let uri = self.uri()?;
        let endpoint = Endpoint::from(uri)
            .connect_timeout(DIAL)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_ANSWER)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        match &self.identity {
            ClientIdentity::Name(_) => Ok(endpoint),
            ClientIdentity::Certificate { tls, server_name } => {
                let mut config = tls.client_config().timeout(DIAL);
                if let Some(name) = server_name {
                    config = config.domain_name(name);
                }
                endpoint.tls_config(config).map_err(|e| tls.unusable(&e))
            }
        }
    }

    fn uri(&self) -> Result<Uri, String> {
        let uri = self
            .address
            .parse()
            .map_err(|e| format!("the address isn't a URL ({e}); write it as https://host:7700"))?;
        self.check_scheme(&uri)?;
        Ok(uri)
    }

    fn check_scheme(&self, uri: &Uri) -> Result<(), String> {
        match (&self.identity, uri.scheme_str()) {
            (ClientIdentity::Certificate { .. }, Some("https")) => Ok(()),
            (ClientIdentity::Certificate { .. }, _) => {
                Err("the address must begin with https://, since [tls] is given".to_owned())
            }
            (ClientIdentity::Name(_), Some("http")) if is_loopback(uri) => Ok(()),
            (ClientIdentity::Name(_), _) => Err(
                "without [tls], the address must be http:// on this machine \
                 (http://127.0.0.1:7700), so that nothing travels in the clear; add [tls]"
                    .to_owned(),
            ),
        }
    }

    /// What names this client in each call where no certificate does.
    pub(super) fn header(&self) -> Option<MetadataValue<Ascii>> {
        match &self.identity {
            ClientIdentity::Certificate { .. } => None,
            // A client's name is plain ASCII, always.
            ClientIdentity::Name(name) => name.as_str().parse().ok(),
        }
    }

    /// What tells this client from others.
    pub(super) fn distinction(&self) -> &[u8] {
        match &self.identity {
            ClientIdentity::Certificate { tls, .. } => tls.certificate(),
            ClientIdentity::Name(name) => name.as_str().as_bytes(),
        }
    }
}

/// The host, an IPv6 address without its brackets.
fn bare_host(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_loopback(uri: &Uri) -> bool {
    let bare = bare_host(uri);
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_name(address: &str) -> Result<Endpoint, String> {
        let name = ClientIdentity::Name("north".parse().unwrap());
        ConnectionSettings::new(address, name, Instance(1)).endpoint()
    }

    #[test]
    fn without_tls_only_this_machine_is_dialled() {
        for address in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"] {
            assert!(by_name(address).is_ok(), "{address}");
        }
        for address in [
            "http://192.0.2.7:1",
            "https://127.0.0.1:1",
            "http://localhost.example:1",
            "127.0.0.1:1",
            "localhost",
            "unix:/tmp/x",
            "",
            "http://",
            "x y",
        ] {
            assert!(by_name(address).is_err(), "{address}");
        }
    }
}
