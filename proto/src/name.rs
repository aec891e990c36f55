//! Names of clients and of runs. Both become parts of file names, so both keep to what is safe
//! in one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name that can't be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} name {found:?} must be 1 to 64 characters, each a letter, a digit, `.`, `_` or `-`, \
     and must not begin with `.` or `-`; rename the {what} in the configuration"
)]
pub struct InvalidName {
    /// What was to be named.
    what: &'static str,
    /// The name, or its beginning.
    found: String,
}

/// Characters of a name, at most.
const LONGEST: usize = 64;

fn checked(what: &'static str, name: String) -> Result<String, InvalidName> {
    let ordinary = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if name.len() <= LONGEST && begins_well && name.chars().all(ordinary) {
        return Ok(name);
    }
    // A stranger's name can be a megabyte, and ends up in a log.
    let found = name.chars().take(LONGEST).collect();
    Err(InvalidName { what, found })
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $what:literal;)+) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
            schemars::JsonSchema,
        )]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(name: String) -> Result<Self, InvalidName> {
                checked($what, name).map(Self)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(name: &str) -> Result<Self, InvalidName> {
                Self::try_from(name.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl PartialEq<$name> for String {
            fn eq(&self, name: &$name) -> bool {
                *self == name.0
            }
        }
    )+};
}

names! {
    /// The name under which a coordinator knows a client: its certificate maps to it.
    ClientId: "client";
    /// The name of a run.
    RunName: "run";
}
