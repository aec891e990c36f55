//! A certificate's bytes.
//!
//! One line of compact JSON: the fields of [`Certificate`] in their order, and last
//! `signature`: an Ed25519 signature, in hexadecimal, of `umbel certificate 3`, a line
//! break, and the line's own bytes without that field, i.e. with `,"signature":"…"}`
//! replaced by `}`. So nothing has to be brought into a canonical form before it can be
//! checked, no number has to be written in a prescribed way, and there is no byte that
//! isn't either signed or fixed.

use crate::certificate::content::{Certificate, FORMAT_VERSION};
use crate::certificate::key::{InvalidKey, Signature, SigningKey};

/// What is signed begins with this, so that a signature can't be taken for one of
/// something else.
const DOMAIN: &[u8] = b"umbel certificate 3\n";

/// A certificate whose signature was made by the key that it names.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedCertificate {
    certificate: Certificate,
    signature: Signature,
    bytes: Vec<u8>,
}

/// Bytes that are no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCertificate {
    /// Not one line of UTF-8 that ends as a certificate does.
    #[error("it isn't one line of JSON that ends with a signature and a line break")]
    Form,
    /// The signature isn't written as one.
    #[error(transparent)]
    Key(#[from] InvalidKey),
    /// Not JSON with exactly the fields of a certificate.
    #[error("it doesn't read as a certificate ({0})")]
    Json(String),
    /// A format of the future, or of the past.
    #[error(
        "it has format version {0}, and this program knows version {FORMAT_VERSION}; use the \
         version of Umbel that wrote it, or a later one"
    )]
    Version(u32),
    /// The signature isn't one of these bytes by the key that they name.
    #[error("its signature doesn't match: it was changed after it was signed")]
    Signature,
    /// Another key than its own was to sign it.
    #[error("it names another public key than the one that signs it")]
    OtherKey,
}

impl SignedCertificate {
    /// Signs a certificate, which must name the key's public half.
    ///
    /// # Errors
    /// [`InvalidCertificate::OtherKey`] if it names another, [`InvalidCertificate::Json`] if
    /// it can't be written.
    pub fn sign(certificate: Certificate, key: &SigningKey) -> Result<Self, InvalidCertificate> {
        if certificate.public_key != key.public_key() {
            return Err(InvalidCertificate::OtherKey);
        }
        let content = serde_json::to_string(&certificate)
            .map_err(|e| InvalidCertificate::Json(e.to_string()))?;
        let signature = key.sign(&message(&content));
        let open = content.strip_suffix('}').unwrap_or(&content);
        let bytes = format!("{open}{}", ending(&signature)).into_bytes();
        Ok(Self {
            certificate,
            signature,
            bytes,
        })
    }

    /// Reads a certificate and checks its signature, by the key that it names itself.
    ///
    /// # Errors
    /// [`InvalidCertificate`] for anything but a certificate as it was signed.
    pub fn read(bytes: &[u8]) -> Result<Self, InvalidCertificate> {
        const DIGITS: usize = 128;
        let text = str::from_utf8(bytes).map_err(|_| InvalidCertificate::Form)?;
        let (open, signature) = text
            .strip_suffix("\"}\n")
            .and_then(|text| text.split_at_checked(text.len().checked_sub(DIGITS)?))
            .ok_or(InvalidCertificate::Form)?;
        let open = open
            .strip_suffix(",\"signature\":\"")
            .ok_or(InvalidCertificate::Form)?;
        let signature: Signature = signature.parse()?;
        let content = format!("{open}}}");
        let certificate = parse(&content)?;
        if !certificate
            .public_key
            .verifies(&message(&content), &signature)
        {
            return Err(InvalidCertificate::Signature);
        }
        Ok(Self {
            certificate,
            signature,
            bytes: bytes.to_vec(),
        })
    }

    /// What it says.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Its bytes, to be kept as they are.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn message(content: &str) -> Vec<u8> {
    [DOMAIN, content.as_bytes()].concat()
}

fn ending(signature: &Signature) -> String {
    format!(",\"signature\":\"{signature}\"}}\n")
}

fn parse(content: &str) -> Result<Certificate, InvalidCertificate> {
    // Looked at first, as a later version may have fields unknown here.
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let json_error = |e: serde_json::Error| InvalidCertificate::Json(e.to_string());
    let Version { version } = serde_json::from_str(content).map_err(json_error)?;
    if version != FORMAT_VERSION {
        return Err(InvalidCertificate::Version(version));
    }
    serde_json::from_str(content).map_err(json_error)
}
