//! Finding out why TLS failed.
//!
//! In TLS 1.3 a client is done with its handshake before the server has looked at its
//! certificate. If the server doesn't like it, the client usually learns of a broken
//! connection, not of the reason. So after such a failure a probe makes a connection of its
//! own, sends nothing, and listens: what comes is the reason.

use std::io::{self, Read as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::ClientTls;

/// How long dialling, and each answer, may take. A server that says nothing is fine.
const PATIENCE: Duration = Duration::from_secs(5);

/// A way to the coordinator that finds out what is wrong with TLS.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    tls: ClientTls,
    host: String,
    port: u16,
    name: ServerName<'static>,
}

impl Probe {
    /// A probe of the coordinator at `host` and `port`, whose certificate should be for
    /// `name`.
    ///
    /// # Errors
    /// The sentence to show, if `name` can't be in any certificate.
    pub(super) fn new(tls: ClientTls, host: String, port: u16, name: &str) -> Result<Self, String> {
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            format!(
                "{name:?} can't be the name in a certificate; correct the host in \
                 `coordinator`, or tls.server_name"
            )
        })?;
        Ok(Self {
            tls,
            host,
            port,
            name,
        })
    }

    /// Why TLS fails and what to do about it, if it does and trying again can't help.
    pub(super) async fn explanation(&self) -> Option<String> {
        let probe = self.clone();
        tokio::task::spawn_blocking(move || {
            let error = probe.handshake().err()?;
            let tls_error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
            probe.tls.explain(tls_error)
        })
        .await
        .ok()
        .flatten()
    }

    /// Dials, makes a handshake, and waits for what the coordinator says first.
    fn handshake(&self) -> io::Result<()> {
        // A name may have addresses at which nobody listens: `localhost` often has two.
        let socket = (self.host.as_str(), self.port)
            .to_socket_addrs()?
            .find_map(|address| TcpStream::connect_timeout(&address, PATIENCE).ok())
            .ok_or(io::ErrorKind::NotConnected)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let config = self.config().map_err(io::Error::other)?;
        let connection =
            ClientConnection::new(Arc::new(config), self.name.clone()).map_err(io::Error::other)?;
        // Reading completes the handshake first.
        StreamOwned::new(connection, socket).read_exact(&mut [0])?;
        Ok(())
    }

    /// The settings with which the connection itself dials.
    fn config(&self) -> Result<ClientConfig, rustls::Error> {
        let unreadable = |e| rustls::Error::General(format!("{e:?}"));
        let mut roots = RootCertStore::empty();
        for ca in CertificateDer::pem_slice_iter(self.tls.ca()) {
            roots.add(ca.map_err(unreadable)?)?;
        }
        let chain = CertificateDer::pem_slice_iter(self.tls.certificate())
            .collect::<Result<_, _>>()
            .map_err(unreadable)?;
        let key = PrivateKeyDer::from_pem_slice(self.tls.key()).map_err(unreadable)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}
