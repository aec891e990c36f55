//! Who calls: from a certificate to a client's name.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tonic::{Request, Status};
use umbel_proto::message::{BlobDigest, ClientId};
use umbel_proto::wire::CLIENT_HEADER;

use super::connection::Caller;
use super::door::Holder;

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

/// The client who makes this request: by whose connection it came, which the handshake decided.
///
/// # Errors
/// Whoever is no client, with what to do.
pub(super) fn client_of<T>(request: &Request<T>) -> Result<ClientId, Status> {
    match request.extensions().get::<Caller>() {
        Some(Caller(Holder::Client(client))) => Ok(client.clone()),
        Some(Caller(Holder::Unknown(fingerprint))) => Err(Status::permission_denied(format!(
            "the certificate with the fingerprint {fingerprint} belongs to no client of this \
             run; check tls.certificate in client.toml, or ask the coordinator's operator to \
             enter this fingerprint under [[clients]]"
        ))),
        Some(Caller(Holder::Anybody)) => by_header(request),
        None => Err(Status::unauthenticated(
            "nobody knows whose connection this came by",
        )),
    }
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

    /// A request by a connection of this holder, which says that it is `name`.
    fn request(holder: Holder, name: &str) -> Request<()> {
        let mut request = Request::new(());
        request.extensions_mut().insert(Caller(holder));
        request
            .metadata_mut()
            .insert(CLIENT_HEADER, name.parse().unwrap());
        request
    }

    #[test]
    fn without_tls_the_header_names_the_client() {
        let north = client_of(&request(Holder::Anybody, "north")).unwrap();
        assert_eq!(north, client("north"));
        let mut missing = request(Holder::Anybody, "north");
        missing.metadata_mut().remove(CLIENT_HEADER);
        for wrong in [missing, request(Holder::Anybody, "../north")] {
            let wrong = client_of(&wrong).unwrap_err();
            assert_eq!(wrong.code(), tonic::Code::Unauthenticated);
        }
    }

    #[test]
    fn with_tls_a_header_names_nobody() {
        let south = Holder::Client(client("south"));
        assert_eq!(
            client_of(&request(south, "north")).unwrap(),
            client("south")
        );
        let unknown = Holder::Unknown(BlobDigest::of(b"certificate"));
        let error = client_of(&request(unknown, "north")).unwrap_err();
        assert_eq!(error.code(), tonic::Code::PermissionDenied);
    }

    #[test]
    fn a_request_that_came_by_no_connection_is_nobodys() {
        let mut request = request(Holder::Anybody, "north");
        request.extensions_mut().remove::<Caller>();
        let error = client_of(&request).unwrap_err();
        assert_eq!(error.code(), tonic::Code::Unauthenticated);
    }
}
