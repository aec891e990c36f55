//! Finding out why TLS failed.
//!
//! In TLS 1.3 a client is done with its handshake before the server has looked at its
//! certificate. If the server doesn't like it, the client usually learns of a broken
//! connection, not of the reason. So after such a failure a probe makes a connection of its
//! own, sends nothing, and listens: what comes is the reason.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::transport::Uri;
use tower_service::Service as _;

use super::ClientTls;
use super::dial::Dialler;

/// How long dialling, and each answer, may take. A server that says nothing is fine.
const PATIENCE: Duration = Duration::from_secs(5);

/// A way to the coordinator that finds out what is wrong with TLS.
#[derive(Clone)]
pub(super) struct Probe {
    tls: ClientTls,
    dialler: Dialler,
    address: Uri,
    name: ServerName<'static>,
}

impl Probe {
    /// A probe of the coordinator at `address`, whose certificate should be for `name`.
    ///
    /// # Errors
    /// The sentence to show, if `name` can't be in any certificate.
    pub(super) fn new(
        tls: ClientTls,
        (dialler, address): (Dialler, Uri),
        name: &str,
    ) -> Result<Self, String> {
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            format!(
                "{name:?} can't be the name in a certificate; correct the host in \
                 `coordinator`, or tls.server_name"
            )
        })?;
        Ok(Self {
            tls,
            dialler,
            address,
            name,
        })
    }

    /// Why TLS fails and what to do about it, if it does and trying again can't help.
    pub(super) async fn explanation(&self) -> Option<String> {
        let error = self.handshake().await.err()?;
        let tls_error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        self.tls.explain(tls_error)
    }

    /// Dials, makes a handshake, and waits for what the coordinator says first.
    async fn handshake(&self) -> io::Result<()> {
        let mut dialler = self.dialler.clone();
        let dialling = async {
            poll_fn(|cx| dialler.poll_ready(cx)).await?;
            dialler.call(self.address.clone()).await
        };
        let socket = timeout(PATIENCE, dialling)
            .await?
            .map_err(io::Error::other)?
            .into_inner();
        let config = self.config().map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::new(config));
        let shaking = connector.connect(self.name.clone(), socket);
        let mut tls = timeout(PATIENCE, shaking).await??;
        match timeout(PATIENCE, tls.read_exact(&mut [0])).await {
            Ok(read) => read.map(drop),
            Err(_) => Ok(()),
        }
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
