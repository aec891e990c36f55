//! Under which protection the coordinator serves, and why it can't.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use umbel_privacy::certificate::key_file::is_private;

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
    certificate: Vec<u8>,
    key: Vec<u8>,
    ca: Vec<u8>,
}

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
            certificate: read_pem(certificate, "CERTIFICATE", "serve.certificate")?,
            key: read_pem(key, "PRIVATE KEY", "serve.key")?,
            ca: read_pem(ca, "CERTIFICATE", "serve.ca")?,
        })
    }

    /// The settings as the server takes them: a client without a certificate is refused.
    pub(super) fn server_config(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(Identity::from_pem(&self.certificate, &self.key))
            .client_ca_root(Certificate::from_pem(&self.ca))
            .client_auth_optional(false)
    }
}

/// What to do about a key that isn't one person's.
const OTHERS_READ: &str = "others than its owner may read or change this key; if nobody has, run \
                           `chmod 600` on it, else have a new one made";

fn read_pem(path: &Path, kind: &str, field: &'static str) -> Result<Vec<u8>, ServeError> {
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
    Ok(bytes)
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
    /// The server broke while serving.
    #[error("the server stopped: {reason}")]
    Stopped {
        /// What it said.
        reason: String,
    },
}
