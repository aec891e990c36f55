//! Who calls: from a certificate to a client's name.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tonic::{Request, Status};
use umbel_proto::message::{BlobDigest, ClientId};
use umbel_proto::wire::CLIENT_HEADER;

/// Which certificate belongs to which client. A certificate is known by its fingerprint,
/// the SHA-256 of its DER encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientDirectory(BTreeMap<BlobDigest, ClientId>);

/// Two clients with one certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "clients `{first}` and `{second}` have the same fingerprint {fingerprint}; give each site \
     a certificate of its own and correct [[clients]]"
)]
pub struct SharedFingerprint {
    first: ClientId,
    second: ClientId,
    fingerprint: BlobDigest,
}

impl ClientDirectory {
    /// The directory of these clients.
    ///
    /// # Errors
    /// [`SharedFingerprint`] if two clients have one certificate.
    pub fn new(
        clients: impl IntoIterator<Item = (BlobDigest, ClientId)>,
    ) -> Result<Self, SharedFingerprint> {
        let mut directory = BTreeMap::new();
        for (fingerprint, client) in clients {
            match directory.entry(fingerprint) {
                Entry::Vacant(free) => free.insert(client),
                Entry::Occupied(taken) => {
                    return Err(SharedFingerprint {
                        first: taken.get().clone(),
                        second: client,
                        fingerprint,
                    });
                }
            };
        }
        Ok(Self(directory))
    }

    /// The client to whom this certificate (DER) belongs.
    ///
    /// # Errors
    /// The certificate's fingerprint, where it belongs to nobody.
    pub fn client_of(&self, certificate: &[u8]) -> Result<&ClientId, BlobDigest> {
        let fingerprint = BlobDigest::of(certificate);
        self.0.get(&fingerprint).ok_or(fingerprint)
    }
}

/// How callers are told apart.
#[derive(Clone, Debug)]
pub(super) enum Identities {
    /// By their TLS certificates.
    Certificates(ClientDirectory),
    /// By what they say in [`CLIENT_HEADER`]. Only for loopback.
    Header,
}

impl Identities {
    /// The client who makes this request.
    pub(super) fn client_of<T>(&self, request: &Request<T>) -> Result<ClientId, Status> {
        match self {
            Self::Certificates(directory) => by_certificate(directory, request),
            Self::Header => by_header(request),
        }
    }
}

fn by_certificate<T>(
    directory: &ClientDirectory,
    request: &Request<T>,
) -> Result<ClientId, Status> {
    let certificates = request.peer_certs().unwrap_or_default();
    // The first certificate is the caller's own; the rest lead to the authority.
    let own = certificates.first().ok_or_else(|| {
        Status::unauthenticated(
            "no client certificate was shown; set tls.certificate and tls.key in client.toml",
        )
    })?;
    directory.client_of(own).cloned().map_err(|fingerprint| {
        tracing::warn!(%fingerprint, "a certificate that belongs to no client was refused");
        Status::permission_denied(format!(
            "the certificate with the fingerprint {fingerprint} belongs to no client of this \
             run; check tls.certificate in client.toml, or ask the coordinator's operator to \
             enter this fingerprint under [[clients]]"
        ))
    })
}

fn by_header<T>(request: &Request<T>) -> Result<ClientId, Status> {
    let name = request.metadata().get(CLIENT_HEADER).ok_or_else(|| {
        Status::unauthenticated(format!(
            "this coordinator serves without TLS, so each call must name the client in the \
             metadata `{CLIENT_HEADER}`"
        ))
    })?;
    let name = name.to_str().map_err(|_| {
        Status::unauthenticated(format!("the metadata `{CLIENT_HEADER}` isn't plain text"))
    })?;
    name.parse()
        .map_err(|e| Status::unauthenticated(format!("metadata `{CLIENT_HEADER}`: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(name: &str) -> ClientId {
        name.parse().unwrap()
    }

    #[test]
    fn a_certificate_is_known_by_the_hash_of_its_bytes() {
        let entry = (BlobDigest::of(b"certificate"), client("north"));
        let directory = ClientDirectory::new([entry]).unwrap();
        assert_eq!(directory.client_of(b"certificate"), Ok(&client("north")));
        let other = BlobDigest::of(b"another");
        assert_eq!(directory.client_of(b"another"), Err(other));
    }

    #[test]
    fn two_clients_may_not_share_a_certificate() {
        let fingerprint = BlobDigest::of(b"certificate");
        let entries = ["north", "south"].map(|name| (fingerprint, client(name)));
        let error = ClientDirectory::new(entries).unwrap_err().to_string();
        assert!(error.contains("`north` and `south`"), "{error}");
    }

    #[test]
    fn without_tls_the_header_names_the_client() {
        let mut request = Request::new(());
        let missing = Identities::Header.client_of(&request).unwrap_err();
        assert_eq!(missing.code(), tonic::Code::Unauthenticated);
        request
            .metadata_mut()
            .insert(CLIENT_HEADER, "north".parse().unwrap());
        assert_eq!(
            Identities::Header.client_of(&request).unwrap(),
            client("north")
        );
        request
            .metadata_mut()
            .insert(CLIENT_HEADER, "../north".parse().unwrap());
        let wrong = Identities::Header.client_of(&request).unwrap_err();
        assert_eq!(wrong.code(), tonic::Code::Unauthenticated);
    }

    #[test]
    fn with_tls_a_header_names_nobody() {
        let mut request = Request::new(());
        request
            .metadata_mut()
            .insert(CLIENT_HEADER, "north".parse().unwrap());
        let identities = Identities::Certificates(ClientDirectory::default());
        let error = identities.client_of(&request).unwrap_err();
        assert_eq!(error.code(), tonic::Code::Unauthenticated);
    }
}
