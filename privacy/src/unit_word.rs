//! A privacy unit where nobody may be protected, as files and people write it: the unit's own
//! word, or `none`.
//!
//! In the program that is an `Option<PrivacyUnit>`. A field of this type is written and read by
//! `#[serde(with = "…::unit_word")]`; a sentence says it by [`UnitWord`].

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::unit::PrivacyUnit;
use crate::word::UnknownWord;

/// What is written where nobody is protected.
const NONE: &str = "none";

/// The words that there are, in order.
pub const WORDS: &[&str] = &["record", "group", "client", NONE];

/// Whom something protects, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitWord(pub Option<PrivacyUnit>);

/// Writes the word of a field.
///
/// # Errors
/// What the serializer says.
pub fn serialize<S: Serializer>(
    unit: &Option<PrivacyUnit>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    UnitWord(*unit).serialize(serializer)
}

/// Reads the word of a field.
///
/// # Errors
/// For anything but one of [`WORDS`], what the deserializer makes of that.
pub fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<PrivacyUnit>, D::Error> {
    UnitWord::deserialize(deserializer).map(|UnitWord(unit)| unit)
}

impl fmt::Display for UnitWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(unit) => unit.fmt(f),
            None => f.pad(NONE),
        }
    }
}

impl FromStr for UnitWord {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        if word == NONE {
            return Ok(Self(None));
        }
        let unit = word.parse().map_err(|unknown| UnknownWord {
            choices: "record, group, client, none",
            ..unknown
        })?;
        Ok(Self(Some(unit)))
    }
}

impl Serialize for UnitWord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnitWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = UnitWord;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a privacy unit, or \"none\"")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<UnitWord, E> {
                word.parse().map_err(|_| E::unknown_variant(word, WORDS))
            }
        }
        deserializer.deserialize_str(Word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Line {
        #[serde(with = "crate::unit_word")]
        unit: Option<PrivacyUnit>,
    }

    #[test]
    fn every_word_reads_back_as_itself_in_files_and_on_command_lines() {
        let units = [
            Some(PrivacyUnit::Record),
            Some(PrivacyUnit::Group),
            Some(PrivacyUnit::Client),
            None,
        ];
        for (unit, word) in units.into_iter().zip(WORDS) {
            assert_eq!(UnitWord(unit).to_string(), *word);
            assert_eq!(word.parse(), Ok(UnitWord(unit)));
            let json = format!("{{\"unit\":\"{word}\"}}");
            assert_eq!(serde_json::to_string(&Line { unit }).unwrap(), json);
            assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), Line { unit });
        }
        assert_eq!(&WORDS[..3], PrivacyUnit::WORDS);
    }

    #[test]
    fn a_unit_that_is_left_out_or_null_is_no_word_for_no_protection() {
        for (json, why) in [
            ("{}", "missing field `unit`"),
            (
                "{\"unit\":null}",
                "invalid type: null, expected a privacy unit, or \"none\"",
            ),
            (
                "{\"unit\":\"None\"}",
                "unknown variant `None`, expected one of `record`, `group`, `client`, `none`",
            ),
        ] {
            let error = serde_json::from_str::<Line>(json).unwrap_err().to_string();
            assert!(error.starts_with(why), "{error}");
        }
    }

    #[test]
    fn an_unknown_word_names_all_choices() {
        let error = "rows".parse::<UnitWord>().unwrap_err().to_string();
        assert_eq!(
            error,
            "\"rows\" isn't a privacy unit; write one of record, group, client, none"
        );
        let error = "none".parse::<PrivacyUnit>().unwrap_err().to_string();
        assert!(
            error.ends_with("write one of record, group, client"),
            "{error}"
        );
    }
}
