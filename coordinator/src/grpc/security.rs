//! Under which protection the coordinator serves, and why it can't.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use umbel_privacy::certificate::key_file::is_private;
use umbel_proto::certificate_dates::CertificateDates;
use umbel_proto::exit_code::ExitKind;

use crate::startup::certificates::DatedFile;

use super::ClientDirectory;

/// How calls are protected and callers told apart. There is no third way.
#[derive(Clone, Debug)]
pub enum Security {
    /// Mutual TLS: both sides show a certificate.
    MutualTls {
        /// The coordinator's own certificate, and the authority of the clients'.
        tls: TlsSettings,
        /// Which certificate is which client's.
        clients: ClientDirectory,
    },
    /// None at all: whoever reaches the port is who they say. Only on a loopback address.
    LoopbackOnly,
}

/// The coordinator's certificate, its key, and the authority that signed the clients'
/// certificates, each as PEM.
#[derive(Clone)]
pub struct TlsSettings {
    certificate: Pem,
    key: Pem,
    ca: Pem,
}

#[derive(Clone)]
struct Pem {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// The keys of the configuration that name the files.
const CERTIFICATE: &str = "serve.certificate";
const KEY: &str = "serve.key";
const CA: &str = "serve.ca";

// The key must not reach a log.
impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings").finish_non_exhaustive()
    }
}

impl TlsSettings {
    /// Reads the three files that `[serve]` names.
    ///
    /// # Errors
    /// [`ServeError::File`] for a file that can't be read or is of the wrong kind.
    pub fn read(certificate: &Path, key: &Path, ca: &Path) -> Result<Self, ServeError> {
        Ok(Self {
            certificate: read_pem(certificate, "CERTIFICATE", CERTIFICATE)?,
            key: read_pem(key, "PRIVATE KEY", KEY)?,
            ca: read_pem(ca, "CERTIFICATE", CA)?,
        })
    }

    /// Until when the coordinator's certificate and the authority's are good.
    ///
    /// # Errors
    /// [`ServeError::File`] for one that can't be read.
    pub fn dates(&self) -> Result<Vec<DatedFile>, ServeError> {
        // Of several authorities one is enough; of the coordinator's own chain all are needed.
        type Several = fn(&[CertificateDates]) -> Option<CertificateDates>;
        let files: [(&'static str, &Pem, Several); 2] = [
            (CERTIFICATE, &self.certificate, CertificateDates::of_chain),
            (CA, &self.ca, CertificateDates::longest),
        ];
        let mut dated = Vec::new();
        for (field, pem, of) in files {
            let wrong = |reason: String| ServeError::File {
                field,
                path: pem.path.clone(),
                reason,
            };
            let dates = CertificateDer::pem_slice_iter(&pem.bytes)
                .map(|der| {
                    CertificateDates::of(&der.map_err(|e| e.to_string())?)
                        .map_err(|e| e.to_string())
                })
                .collect::<Result<Vec<_>, _>>()
                .map_err(wrong)?;
            dated.extend(of(&dates).map(|dates| DatedFile {
                field,
                path: pem.path.clone(),
                dates,
            }));
        }
        Ok(dated)
    }

    /// Makes sure that the three files go together.
    ///
    /// # Errors
    /// [`ServeError::Tls`] says why they don't.
    pub fn check(&self) -> Result<(), ServeError> {
        self.acceptor().map(drop)
    }

    /// What shakes hands with clients: one without a certificate of the authority is refused.
    ///
    /// # Errors
    /// [`ServeError::Tls`] where the three files don't go together.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, ServeError> {
        self.server_config()
            .map(|config| TlsAcceptor::from(Arc::new(config)))
            .map_err(|error| ServeError::Tls {
                reason: chain(&*error),
            })
    }

    fn server_config(&self) -> Result<ServerConfig, Box<dyn Error + Send + Sync>> {
        let mut roots = RootCertStore::empty();
        for ca in CertificateDer::pem_slice_iter(&self.ca.bytes) {
            roots.add(ca?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
                .build()?;
        let own =
            CertificateDer::pem_slice_iter(&self.certificate.bytes).collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(&self.key.bytes)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(own, key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

/// An error with all that caused it, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// What to do about a key that isn't one person's.
const OTHERS_READ: &str = "others than its owner may read or change this key; if nobody has, run \
                           `chmod 600` on it, else have a new one made";

fn read_pem(path: &Path, kind: &str, field: &'static str) -> Result<Pem, ServeError> {
    let wrong = |reason: String| ServeError::File {
        field,
        path: path.to_owned(),
        reason,
    };
    let bytes = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    // `EC PRIVATE KEY` and `RSA PRIVATE KEY` are private keys, too.
    let marker = format!("{kind}-----");
    let found = bytes.windows(marker.len()).any(|w| w == marker.as_bytes());
    if !found {
        return Err(wrong(format!("it holds no PEM section `{kind}`")));
    }
    if kind == "PRIVATE KEY" && !is_private(path).map_err(|e| wrong(e.to_string()))? {
        return Err(wrong(OTHERS_READ.into()));
    }
    Ok(Pem {
        path: path.to_owned(),
        bytes,
    })
}

/// Why the coordinator can't serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A certificate or key can't be used.
    #[error("{field}: {path}: {reason}; `umbel-coordinator init` makes a working set")]
    File {
        /// The configuration's key.
        field: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate, key and authority don't make a TLS server.
    #[error(
        "serve.certificate, serve.key and serve.ca can't be used together: {reason}; \
         `umbel-coordinator init` makes a working set"
    )]
    Tls {
        /// What TLS said.
        reason: String,
    },
    /// An address that isn't one, or is taken.
    #[error("can't listen on serve.listen = \"{listen}\": {reason}")]
    Listen {
        /// The address.
        listen: String,
        /// What the system said.
        reason: String,
    },
    /// Without TLS on an address that others can reach.
    #[error(
        "serve.tls is false, which lets anybody who reaches {address} be any client, so it is \
         allowed on a loopback address only: listen on 127.0.0.1, or set serve.tls = true"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
    /// This process may not have enough files open for its clients.
    #[error(
        "this process may have {limit} files open, and its clients' connections, the ledger and \
         the run need {needed}; allow it more (`ulimit -n {needed}`, or LimitNOFILE= of a service), \
         or set serve.handshakes lower"
    )]
    OpenFiles {
        /// What it may have.
        limit: usize,
        /// What it needs.
        needed: usize,
    },
    /// The server broke while serving.
    #[error("the server stopped: {reason}")]
    Stopped {
        /// What it said.
        reason: String,
    },
}

impl ServeError {
    /// The exit code that tells this kind of failure.
    pub fn exit_kind(&self) -> ExitKind {
        match self {
            Self::Listen { .. } | Self::Stopped { .. } => ExitKind::Network,
            _ => ExitKind::Configuration,
        }
    }
}
