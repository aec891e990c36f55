//! Through which HTTP proxy the coordinator is dialled, if through any.

use std::fmt;
use std::str::FromStr;

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use serde::Deserialize;
use tonic::transport::Uri;

use super::settings::is_loopback;

/// The word for no proxy.
const NONE: &str = "none";

/// Which proxy is to be used.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ProxyChoice {
    /// What `HTTPS_PROXY` (or `ALL_PROXY`) and `NO_PROXY` say, as for other programs. This machine
    /// itself is always dialled directly then.
    #[default]
    Environment,
    /// None, whatever these say.
    None,
    /// This one: `http://host:port` or `http://user:password@host:port`.
    Given(String),
}

// A password must not reach a log.
impl fmt::Debug for ProxyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::None => "None",
            Self::Given(_) => "Given",
        })
    }
}

/// A proxy that can't be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{origin} isn't an HTTP proxy: it is written http://host:3128 or \
     http://user:password@host:3128, with what isn't a letter or a digit in user and password \
     as %XX"
)]
pub struct InvalidProxy {
    /// Where it was named. What was written there may hold a password.
    origin: &'static str,
}

impl FromStr for ProxyChoice {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        if text == NONE {
            return Ok(Self::None);
        }
        let choice = Self::Given(text.to_owned());
        // Any address that isn't this machine's will do.
        choice.proxy_to(&Uri::from_static("https://umbel.example.org:7700"))?;
        Ok(choice)
    }
}

impl TryFrom<String> for ProxyChoice {
    type Error = InvalidProxy;

    fn try_from(text: String) -> Result<Self, InvalidProxy> {
        text.parse()
    }
}

impl ProxyChoice {
    /// The proxy on the way to `coordinator`.
    ///
    /// # Errors
    /// [`InvalidProxy`] for one that can't be used.
    pub(super) fn proxy_to(&self, coordinator: &Uri) -> Result<Option<Intercept>, InvalidProxy> {
        match self {
            Self::None => Ok(None),
            Self::Environment => by_environment(&Matcher::from_env(), coordinator),
            Self::Given(text) => {
                let origin = "`proxy`";
                let proxy = Matcher::builder()
                    .all(text.as_str())
                    .build()
                    .intercept(coordinator);
                usable(proxy.ok_or(InvalidProxy { origin })?, origin).map(Some)
            }
        }
    }
}

fn by_environment(
    environment: &Matcher,
    coordinator: &Uri,
) -> Result<Option<Intercept>, InvalidProxy> {
    // No proxy elsewhere reaches this machine's own addresses.
    if is_loopback(coordinator) {
        return Ok(None);
    }
    let proxy = environment.intercept(coordinator);
    proxy.map(|proxy| usable(proxy, "HTTPS_PROXY")).transpose()
}

/// Only the way to the proxy is in the clear; what goes through it is TLS.
fn usable(proxy: Intercept, origin: &'static str) -> Result<Intercept, InvalidProxy> {
    match proxy.uri().scheme_str() {
        Some("http") => Ok(proxy),
        _ => Err(InvalidProxy { origin }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COORDINATOR: &str = "https://umbel.example.org:7700";

    fn environment(https: &str, no: &str) -> Matcher {
        Matcher::builder().https(https).no(no).build()
    }

    fn found(environment: &Matcher, coordinator: &'static str) -> Option<String> {
        by_environment(environment, &Uri::from_static(coordinator))
            .unwrap()
            .map(|proxy| proxy.uri().to_string())
    }

    #[test]
    fn the_environment_says_which_proxy_and_for_which_hosts_none() {
        let proxy = "http://proxy.example.org:3128";
        let used = Some(format!("{proxy}/"));
        assert_eq!(found(&environment(proxy, ""), COORDINATOR), used);
        assert_eq!(found(&environment("", ""), COORDINATOR), None);
        for no in ["example.org", ".example.org", "a,umbel.example.org", "*"] {
            assert_eq!(found(&environment(proxy, no), COORDINATOR), None, "{no}");
        }
        assert_eq!(found(&environment(proxy, "example.com"), COORDINATOR), used);
        let by_address = environment(proxy, "192.0.2.0/24");
        assert_eq!(found(&by_address, "https://192.0.2.7:7700"), None);
    }

    #[test]
    fn this_machine_is_dialled_directly_whatever_the_environment_says() {
        let environment = environment("http://proxy.example.org:3128", "");
        for own in [
            "https://localhost:1",
            "https://127.0.0.1:1",
            "https://[::1]:1",
        ] {
            assert_eq!(found(&environment, own), None, "{own}");
        }
    }

    #[test]
    fn what_is_no_http_proxy_is_refused_without_its_password() {
        for wrong in [
            "",
            "x y",
            "https://proxy:1",
            "socks5://me:secret@proxy:1080",
            "ftp://me:secret@proxy:1",
            "http://",
        ] {
            let error = wrong.parse::<ProxyChoice>().unwrap_err().to_string();
            assert!(error.contains("`proxy`"), "{wrong}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let choice: ProxyChoice = "http://me:secret@proxy:1".parse().unwrap();
        assert!(!format!("{choice:?}").contains("secret"));
        assert_eq!("none".parse(), Ok(ProxyChoice::None));
    }

    #[test]
    fn user_and_password_become_a_basic_authorisation() {
        let choice: ProxyChoice = "http://me:s%40crt@proxy:1".parse().unwrap();
        let proxy = choice.proxy_to(&Uri::from_static(COORDINATOR)).unwrap();
        let proxy = proxy.unwrap();
        assert_eq!(proxy.basic_auth().unwrap(), "Basic bWU6c0BjcnQ=");
        assert_eq!(proxy.uri(), "http://proxy:1/");
    }
}
