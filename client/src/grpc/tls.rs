//! This site's certificate, and what to do when TLS won't have it.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{AlertDescription, CertificateError};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};
use umbel_privacy::certificate::key_file::is_private;
use umbel_proto::certificate_dates::{CertificateDates, Standing};

use super::failure::chain;
use crate::transport::TransportError;

/// The files that `[tls]` of a site's configuration names, read into memory.
#[derive(Clone)]
pub struct ClientTls {
    ca: Pem,
    certificate: Pem,
    key: Pem,
}

#[derive(Clone)]
struct Pem {
    path: PathBuf,
    bytes: Vec<u8>,
}

// The key must not reach a log.
impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("ca", &self.ca.path)
            .field("certificate", &self.certificate.path)
            .field("key", &self.key.path)
            .finish()
    }
}

impl ClientTls {
    /// Reads the authority's certificate, this site's certificate and its key (PEM).
    ///
    /// # Errors
    /// [`TransportError::Unreachable`] at `address`, for a file that can't be read or is of
    /// the wrong kind.
    pub fn read(
        address: &str,
        ca: &Path,
        certificate: &Path,
        key: &Path,
    ) -> Result<Self, TransportError> {
        let read = |path: &Path, kind: &str, field: &str| {
            Pem::read(path, kind).map_err(|reason| TransportError::Unreachable {
                address: address.to_owned(),
                reason: format!(
                    "{field}: {}: {reason}; ask the coordinator's operator for this site's files",
                    path.display()
                ),
            })
        };
        Ok(Self {
            ca: read(ca, "CERTIFICATE", "tls.ca")?,
            certificate: read(certificate, "CERTIFICATE", "tls.certificate")?,
            key: read(key, "PRIVATE KEY", "tls.key")?,
        })
    }

    /// From when until when this site's certificate is good.
    ///
    /// # Errors
    /// A sentence for a file that can't be read.
    pub fn dates(&self) -> Result<CertificateDates, String> {
        let wrong = |reason: &dyn fmt::Display| {
            format!(
                "tls.certificate: {}: {reason}",
                self.certificate.path.display()
            )
        };
        let mut dates = Vec::new();
        for der in CertificateDer::pem_slice_iter(&self.certificate.bytes) {
            let der = der.map_err(|e| wrong(&e))?;
            dates.push(CertificateDates::of(&der).map_err(|e| wrong(&e))?);
        }
        CertificateDates::of_chain(&dates).ok_or_else(|| wrong(&"it holds no certificate"))
    }

    /// What this site's operator is to be told of its certificate when it stands so.
    pub fn reminder(&self, dates: &CertificateDates, standing: Standing) -> String {
        let path = self.certificate.path.display();
        let ask = "ask the coordinator's operator for a new one";
        match standing {
            Standing::Good { days } => format!(
                "this site's certificate {path} ends in {days} days, on {}; {ask}",
                dates.last_day()
            ),
            Standing::Ended => format!(
                "this site's certificate {path} ended on {}; {ask}, unless this machine's clock is \
                 wrong",
                dates.last_day()
            ),
            Standing::NotYet => format!(
                "this site's certificate {path} isn't good before {}; set this machine's clock",
                dates.first_day()
            ),
        }
    }

    /// The settings as the connection takes them.
    pub(super) fn client_config(&self) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.ca.bytes))
            .identity(Identity::from_pem(&self.certificate.bytes, &self.key.bytes))
    }

    /// The authority's certificate, as PEM.
    pub(super) fn ca(&self) -> &[u8] {
        &self.ca.bytes
    }

    /// This site's certificate, as PEM.
    pub(super) fn certificate(&self) -> &[u8] {
        &self.certificate.bytes
    }

    /// This site's key, as PEM.
    pub(super) fn key(&self) -> &[u8] {
        &self.key.bytes
    }

    /// Says that the three files don't go together.
    pub(super) fn unusable(&self, error: &dyn Error) -> String {
        format!(
            "the files {}, {} and {} can't be used ({}); each must be PEM, and the key must be \
             the certificate's",
            self.ca.path.display(),
            self.certificate.path.display(),
            self.key.path.display(),
            chain(error)
        )
    }

    /// What a TLS error means and what to do, if trying again can't help.
    pub(super) fn explain(&self, error: &rustls::Error) -> Option<String> {
        match error {
            rustls::Error::InvalidCertificate(error) => Some(self.explain_theirs(error)),
            rustls::Error::AlertReceived(alert) => self.explain_ours(*alert),
            rustls::Error::InvalidMessage(_) => Some(
                "what answers there doesn't speak TLS; check the port in `coordinator`, and \
                 that the coordinator serves with TLS"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// This site doesn't accept the coordinator's certificate.
    fn explain_theirs(&self, error: &CertificateError) -> String {
        let ca = self.ca.path.display();
        match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
                "the coordinator's certificate wasn't signed by the authority in {ca}; check \
                 that tls.ca is the ca.pem of this federation"
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the coordinator's certificate has expired; its operator must renew it (serve.\
                 certificate), unless this machine's clock is wrong"
                    .to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the coordinator's certificate isn't valid yet; check this machine's clock"
                    .to_owned()
            }
            CertificateError::NotValidForNameContext { presented, .. } => format!(
                "the coordinator's certificate is for other names ({}); correct the host in \
                 `coordinator`, or set tls.server_name to one of these",
                presented.join(", ")
            ),
            CertificateError::NotValidForName => {
                "the coordinator's certificate is for another name; correct the host in \
                 `coordinator`, or set tls.server_name"
                    .to_owned()
            }
            other => format!(
                "the coordinator's certificate can't be trusted ({other:?}); its operator must \
                 check serve.certificate"
            ),
        }
    }

    /// The coordinator doesn't accept this site's certificate.
    fn explain_ours(&self, alert: AlertDescription) -> Option<String> {
        let own = self.certificate.path.display();
        match alert {
            AlertDescription::CertificateExpired => Some(format!(
                "this site's certificate {own} has expired; ask the coordinator's operator for \
                 a new one"
            )),
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRevoked
            | AlertDescription::DecryptError
            | AlertDescription::CertificateRequired
            | AlertDescription::AccessDenied => Some(format!(
                "the coordinator doesn't accept this site's certificate {own} ({alert:?}); check \
                 that tls.certificate is the one made for this federation"
            )),
            _ => None,
        }
    }
}

impl Pem {
    fn read(path: &Path, kind: &str) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
        // `EC PRIVATE KEY` and `RSA PRIVATE KEY` are private keys, too.
        let marker = format!("{kind}-----");
        let found = bytes.windows(marker.len()).any(|w| w == marker.as_bytes());
        if !found {
            return Err(format!("it holds no PEM section `{kind}`"));
        }
        if kind == "PRIVATE KEY" && !is_private(path).map_err(|e| e.to_string())? {
            return Err(
                "others than its owner may read or change this key; if nobody has, run `chmod 600` \
                 on it, else ask for a new one"
                    .into(),
            );
        }
        Ok(Self {
            path: path.to_owned(),
            bytes,
        })
    }
}
