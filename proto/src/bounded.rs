//! Numbers that have a range: a value of such a type is in it.
//!
//! A range is written once, and its check, its words and its place in a schema follow.

use std::fmt::Display;
use std::ops::Bound;

/// From where to where a number may go.
#[derive(Clone, Copy, Debug)]
pub struct Range<T> {
    /// The least value.
    pub least: Bound<T>,
    /// The largest.
    pub most: Bound<T>,
}

impl<T: PartialOrd + Display> Range<T> {
    /// Whether the number is in it. What isn't a number never is.
    pub fn contains(&self, number: &T) -> bool {
        let above = match &self.least {
            Bound::Included(least) => number >= least,
            Bound::Excluded(least) => number > least,
            Bound::Unbounded => true,
        };
        let below = match &self.most {
            Bound::Included(most) => number <= most,
            Bound::Excluded(most) => number < most,
            Bound::Unbounded => true,
        };
        above && below
    }

    /// The range in words, to come after "must be".
    pub fn words(&self) -> String {
        match (&self.least, &self.most) {
            (Bound::Included(least), Bound::Included(most)) => format!("from {least} to {most}"),
            (least, most) => {
                let above = match least {
                    Bound::Included(least) => Some(format!("at least {least}")),
                    Bound::Excluded(least) => Some(format!("above {least}")),
                    Bound::Unbounded => None,
                };
                let below = match most {
                    Bound::Included(most) => Some(format!("at most {most}")),
                    Bound::Excluded(most) => Some(format!("below {most}")),
                    Bound::Unbounded => None,
                };
                match (above, below) {
                    (Some(above), Some(below)) => format!("{above} and {below}"),
                    (Some(one), None) | (None, Some(one)) => one,
                    (None, None) => "a number".into(),
                }
            }
        }
    }
}

/// A number outside of its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {range}, and is {found}")]
pub struct OutOfRange {
    /// What the number is: "the dropout rate".
    pub what: &'static str,
    /// Its range, in words.
    pub range: String,
    /// What was given.
    pub found: String,
}

/// Defines numbers with a range, in a crate that has serde and schemars: `Name(type): "what it is", least, most;`.
#[macro_export]
macro_rules! bounded {
    ($($(#[$doc:meta])* $name:ident($inner:ty): $what:literal, $least:expr, $most:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
        pub struct $name($inner);

        impl $name {
            /// What it may be.
            pub const RANGE: $crate::bounded::Range<$inner> = $crate::bounded::Range {
                least: $least,
                most: $most,
            };

            /// The number.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl TryFrom<$inner> for $name {
            type Error = $crate::bounded::OutOfRange;

            fn try_from(number: $inner) -> Result<Self, $crate::bounded::OutOfRange> {
                if Self::RANGE.contains(&number) {
                    Ok(Self(number))
                } else {
                    Err($crate::bounded::OutOfRange {
                        what: $what,
                        range: Self::RANGE.words(),
                        found: number.to_string(),
                    })
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(to)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let number = <$inner>::deserialize(from)?;
                Self::try_from(number).map_err(::serde::de::Error::custom)
            }
        }

        impl ::schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                let mut schema = <$inner>::json_schema(generator);
                $crate::bounded::limit(&mut schema, &Self::RANGE);
                schema
            }
        }
    )+};
}

/// Writes a range into the schema of a number.
pub fn limit<T: Copy + Into<serde_json::Value>>(schema: &mut schemars::Schema, range: &Range<T>) {
    for key in [
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "format",
    ] {
        schema.remove(key);
    }
    match range.least {
        Bound::Included(least) => drop(schema.insert("minimum".into(), least.into())),
        Bound::Excluded(least) => drop(schema.insert("exclusiveMinimum".into(), least.into())),
        Bound::Unbounded => {}
    }
    match range.most {
        Bound::Included(most) => drop(schema.insert("maximum".into(), most.into())),
        Bound::Excluded(most) => drop(schema.insert("exclusiveMaximum".into(), most.into())),
        Bound::Unbounded => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    bounded! {
        /// A share.
        Share(f64): "a share", Bound::Included(0.0), Bound::Excluded(1.0);
        /// A count.
        Count(u32): "a count", Bound::Included(1), Bound::Included(9);
        /// A size.
        Size(f64): "a size", Bound::Excluded(0.0), Bound::Excluded(f64::INFINITY);
    }

    #[test]
    fn a_number_is_in_its_range_or_refused_with_it() {
        for good in [0.0, -0.0, 0.999] {
            assert!(Share::try_from(good).is_ok(), "{good}");
        }
        for bad in [1.0, -1e-300, f64::NAN, f64::INFINITY] {
            assert!(Share::try_from(bad).is_err(), "{bad}");
        }
        let found = Count::try_from(0).expect_err("below").to_string();
        assert_eq!(found, "a count must be from 1 to 9, and is 0");
        let found = Share::try_from(1.0).expect_err("the end").to_string();
        assert_eq!(found, "a share must be at least 0 and below 1, and is 1");
        assert!(Size::try_from(f64::INFINITY).is_err());
        assert_eq!(Size::try_from(2.0).expect("in range").get(), 2.0);
        assert_eq!(Share::try_from(0.5).expect("in range").get(), 0.5);
    }

    #[test]
    fn what_is_read_is_in_range_too() {
        assert!(serde_json::from_str::<Count>("10").is_err());
        assert_eq!(
            serde_json::from_str::<Count>("9").expect("the last").get(),
            9
        );
        assert!(serde_json::from_str::<Count>("-1").is_err());
    }
}
