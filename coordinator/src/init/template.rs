//! The example configurations: every key, with what it means.

use umbel_proto::message::ClientId;

use super::{CoordinatorAddress, SiteReport};

const COORDINATOR: &str = include_str!("coordinator_template.toml");
const CLIENT: &str = include_str!("client_template.toml");

/// The coordinator's configuration.
pub(super) fn coordinator(address: &CoordinatorAddress, clients: &[SiteReport]) -> String {
    let clients: String = clients
        .iter()
        .map(|site| {
            format!(
                "\n[[clients]]\nname = {}\nfingerprint = {}\n",
                quoted(site.name.as_str()),
                quoted(&site.fingerprint.to_string())
            )
        })
        .collect();
    COORDINATOR.replace("@listen@", &quoted(&address.listen())) + &clients
}

/// A site's configuration.
pub(super) fn client(name: &ClientId, address: &CoordinatorAddress) -> String {
    CLIENT
        .replace("@name@", &quoted(name.as_str()))
        .replace("@coordinator@", &quoted(&address.url()))
}

/// A TOML string, escaped as it must be.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
