//! Where clients find the coordinator: a host and a port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The port of a coordinator, unless another is named.
const DEFAULT_PORT: u16 = 7700;

/// A host name or IP address with a port, such as `umbel.example.org:7700`; `https://` may
/// stand before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorAddress {
    host: String,
    port: u16,
}

/// Text that names no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} isn't a host name or IP address, with or without a port; write it as \
     umbel.example.org, 192.0.2.7:7700 or [2001:db8::7]:7700"
)]
pub struct InvalidAddress(String);

impl FromStr for CoordinatorAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress(text.to_owned());
        let bare = text.strip_prefix("https://").unwrap_or(text);
        let (host, port) = split(bare).ok_or_else(invalid)?;
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => port.parse().ok().filter(|p| *p != 0).ok_or_else(invalid)?,
        };
        if !is_host(host) {
            return Err(invalid());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

/// Host and port; a bare IPv6 address has no port, and one in brackets may have.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text, None));
    }
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|t| t.split_once(']')) {
        let port = rest.strip_prefix(':');
        return (port.is_some() || rest.is_empty()).then_some((host, port));
    }
    Some(match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    })
}

/// An IP address, or a name by the rules of RFC 1123.
fn is_host(host: &str) -> bool {
    if host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // Digits and dots alone are an IP address gone wrong.
    let numeric = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    host.len() <= 253 && !numeric && host.split('.').all(label)
}

impl CoordinatorAddress {
    /// The host alone, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The URL that clients dial.
    pub fn url(&self) -> String {
        format!("https://{self}")
    }

    /// Where the coordinator listens: on the loopback address if that is how it is reached,
    /// otherwise on all addresses.
    pub(super) fn listen(&self) -> String {
        let loopback = match self.host.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        };
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(_)) if loopback => format!("[::1]:{}", self.port),
            _ if loopback => format!("127.0.0.1:{}", self.port),
            _ => format!("0.0.0.0:{}", self.port),
        }
    }

    /// The names for which the coordinator's certificate is good.
    ///
    /// # Errors
    /// [`InvalidAddress`] for one of `others` that is no host name or IP address.
    pub(super) fn certificate_names(
        &self,
        others: &[String],
    ) -> Result<Vec<String>, InvalidAddress> {
        let mut names = vec![self.host.clone()];
        for other in others {
            if !is_host(other) {
                return Err(InvalidAddress(other.clone()));
            }
            names.push(other.clone());
        }
        names.extend(["localhost", "127.0.0.1", "::1"].map(String::from));
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        Ok(names)
    }
}

impl fmt::Display for CoordinatorAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn address(text: &str) -> CoordinatorAddress {
        text.parse().unwrap()
    }

    #[test]
    fn hosts_are_taken_with_and_without_a_port() {
        let url = |text: &str| address(text).url();
        assert_eq!(url("umbel.example.org"), "https://umbel.example.org:7700");
        assert_eq!(url("umbel.example.org:81"), "https://umbel.example.org:81");
        assert_eq!(
            url("https://umbel.example.org:81"),
            "https://umbel.example.org:81"
        );
        assert_eq!(url("192.0.2.7"), "https://192.0.2.7:7700");
        assert_eq!(url("::1"), "https://[::1]:7700");
        assert_eq!(url("[2001:db8::7]:81"), "https://[2001:db8::7]:81");
        assert_eq!(url("[::1]"), "https://[::1]:7700");
    }

    #[test]
    fn what_names_no_host_is_refused() {
        for text in [
            "",
            ":",
            ":7700",
            "a b",
            "host:",
            "host:0",
            "host:70000",
            "host:x",
            "http://host",
            "https://",
            "https://host/path",
            "-a",
            "a..b",
            "1.2.3",
            "256.0.0.1",
            "[::1",
            "[::1]x",
            "[::1]7700",
            "a\"b",
            "a\nb",
            "é",
        ] {
            assert!(text.parse::<CoordinatorAddress>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_loopback_address_is_not_served_to_the_world() {
        assert_eq!(address("localhost:81").listen(), "127.0.0.1:81");
        assert_eq!(address("127.0.0.1").listen(), "127.0.0.1:7700");
        assert_eq!(address("[::1]:81").listen(), "[::1]:81");
        assert_eq!(address("umbel.example.org").listen(), "0.0.0.0:7700");
    }

    #[test]
    fn the_certificate_is_good_for_the_host_and_for_loopback() {
        let names = address("localhost")
            .certificate_names(&["10.0.0.1".into()])
            .unwrap();
        assert_eq!(names, ["localhost", "10.0.0.1", "127.0.0.1", "::1"]);
        assert!(address("host").certificate_names(&["a b".into()]).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_that_reads_back_or_an_error(text in ".{0,30}") {
            if let Ok(address) = text.parse::<CoordinatorAddress>() {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
    }
}
