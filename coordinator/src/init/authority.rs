//! The certificate authority of one federation, and what it signs.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use umbel_proto::message::{BlobDigest, ClientId};

/// A certificate that couldn't be made.
#[derive(Debug, thiserror::Error)]
#[error("can't make the certificate of {subject}: {source}")]
pub struct AuthorityError {
    subject: String,
    source: rcgen::Error,
}

/// From when until when a certificate is good, since 1970 (UTC).
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    /// Its first moment. Before the year 9000.
    pub(super) from: Duration,
    /// Its last moment. At most 3,650 days after the year 9000 began.
    pub(super) until: Duration,
}

/// A certificate with its key.
pub(super) struct Certified {
    /// The certificate, as PEM.
    pub(super) certificate: String,
    /// Its private key, as PEM.
    pub(super) key: String,
    /// SHA-256 of the certificate (DER).
    pub(super) fingerprint: BlobDigest,
}

/// An authority: it signs certificates for the coordinator and the sites of one federation,
/// and both sides trust it alone.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: String,
    validity: Validity,
}

impl Authority {
    /// A new authority for the coordinator at `host`.
    pub(super) fn new(host: &str, validity: Validity) -> Result<Self, AuthorityError> {
        let name = format!("Umbel authority of {host}");
        let failed = failure(&name);
        let mut params = parameters(&name, &[], validity).map_err(&failed)?;
        // It signs certificates of the federation's members, and no further authorities.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(&failed)?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(&failed)?;
        Ok(Self {
            pem: issuer.pem(),
            issuer,
            validity,
        })
    }

    /// The authority's certificate, as PEM.
    pub(super) fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// The authority's key, as PEM.
    pub(super) fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// The coordinator's certificate, good for these host names and IP addresses.
    pub(super) fn server_certificate(&self, names: &[String]) -> Result<Certified, AuthorityError> {
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        self.certify("umbel-coordinator", names, usage)
    }

    /// A site's certificate.
    pub(super) fn client_certificate(&self, site: &ClientId) -> Result<Certified, AuthorityError> {
        self.certify(site.as_str(), &[], ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn certify(
        &self,
        subject: &str,
        names: &[String],
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Certified, AuthorityError> {
        let failed = failure(subject);
        let mut params = parameters(subject, names, self.validity).map_err(&failed)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(&failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(&failed)?;
        Ok(Certified {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            fingerprint: BlobDigest::of(certificate.der()),
        })
    }
}

fn failure(subject: &str) -> impl Fn(rcgen::Error) -> AuthorityError {
    move |source| AuthorityError {
        subject: subject.to_owned(),
        source,
    }
}

fn parameters(
    subject: &str,
    names: &[String],
    validity: Validity,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, subject);
    params.distinguished_name = name;
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + validity.from;
    params.not_after = epoch + validity.until;
    Ok(params)
}
