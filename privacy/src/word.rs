//! Settings that are one word out of a few: how they are written, read and refused.

/// A word that isn't one of the choices of its setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" isn't {what}; write one of {choices}")]
pub struct UnknownWord {
    /// What was written.
    pub given: String,
    /// What it should have been, with its article: "a privacy unit".
    pub what: &'static str,
    /// The words that there are.
    pub choices: &'static str,
}

/// Gives an enumeration its words: [`std::fmt::Display`] and [`std::str::FromStr`], and the
/// constant `WORDS`. The words must be those of its serialised form.
#[macro_export]
macro_rules! words {
    ($type:ty, $what:literal, $choices:literal, $($variant:path => $word:literal),+ $(,)?) => {
        impl $type {
            /// The words that this can be, in order.
            pub const WORDS: &'static [&'static str] = &[$($word),+];
        }
        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(match self { $($variant => $word),+ })
            }
        }
        impl ::std::str::FromStr for $type {
            type Err = $crate::word::UnknownWord;
            fn from_str(word: &str) -> Result<Self, $crate::word::UnknownWord> {
                match word {
                    $($word => Ok($variant),)+
                    _ => Err($crate::word::UnknownWord {
                        given: word.into(),
                        what: $what,
                        choices: $choices,
                    }),
                }
            }
        }
    };
}
