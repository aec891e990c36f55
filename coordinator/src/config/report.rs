//! `[report]`: what the pages for people say of a run besides its numbers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[report]`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReportSection {
    /// What the run is for, in a sentence or two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Words>,
    /// Who is responsible for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation: Option<Words>,
    /// Whom to ask about it: a name, a number, an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Words>,
}

/// Words for a page: up to 1,000 characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Words(String);

/// A text that is no line of a page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 1 to {most} characters on one line, and none of them a control character; it has {found}"
)]
pub struct InvalidWords {
    found: usize,
    most: usize,
}

impl Words {
    /// Characters at most.
    const MOST: usize = 1_000;
}

impl TryFrom<String> for Words {
    type Error = InvalidWords;

    fn try_from(text: String) -> Result<Self, InvalidWords> {
        let characters = text.chars().count();
        match (1..=Self::MOST).contains(&characters) && !text.chars().any(char::is_control) {
            true => Ok(Self(text)),
            false => Err(InvalidWords {
                found: characters,
                most: Self::MOST,
            }),
        }
    }
}

impl From<Words> for String {
    fn from(words: Words) -> String {
        words.0
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
