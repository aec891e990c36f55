//! What the names of a folder's files say: which parts are one table, and whether all are there.
//!
//! Hugging Face's libraries number parts: `train-00001-of-00004.parquet` is the second of four of the
//! table `train`. Others name whole tables by what they are for: `train.csv` beside `test.csv`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Why a folder isn't one whole table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parts {
    /// Some aren't there.
    Lacking {
        /// How many.
        count: usize,
        /// The names of the first of them.
        names: Vec<String>,
        /// How many the table has.
        of: usize,
    },
    /// They are of more than one table.
    Several(Vec<String>),
}

/// Names that a message has, at most.
const SHOWN: usize = 6;

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[String], count: usize| {
            let shown = names.iter().take(SHOWN).map(String::as_str);
            let shown = shown.collect::<Vec<_>>().join(", ");
            match count.saturating_sub(SHOWN) {
                0 => shown,
                more => format!("{shown} and {more} more"),
            }
        };
        match self {
            Self::Lacking { count, names, of } => write!(
                f,
                "lacks {count} of the {of} parts of its table: {}; fetch or write the whole table again",
                list(names, *count)
            ),
            Self::Several(tables) => write!(
                f,
                "holds {} tables: {}; name one file, or a folder with the files of one table alone",
                tables.len(),
                list(tables, tables.len())
            ),
        }
    }
}

/// A part by its number.
#[derive(Debug, PartialEq, Eq)]
struct Numbered<'n> {
    table: &'n str,
    number: &'n str,
    count: &'n str,
    /// What stands behind: a hash, an ending, or both.
    end: &'n str,
}

impl<'n> Numbered<'n> {
    fn of(name: &'n str) -> Option<Self> {
        let (before, behind) = name.rsplit_once("-of-")?;
        let (table, number) = before.rsplit_once('-')?;
        let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
        let (count, end) = behind.split_at_checked(digits)?;
        let is_number =
            |text: &str| (1..10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let right = is_number(number) && is_number(count);
        let ends = end.is_empty() || end.starts_with(['.', '-']);
        (right && ends).then_some(Self {
            table,
            number,
            count,
            end,
        })
    }
}

/// What a table is for, where its name says no more.
const USES: [&str; 10] = [
    "train",
    "training",
    "test",
    "testing",
    "valid",
    "validation",
    "val",
    "dev",
    "eval",
    "evaluation",
];

/// The table that a file is a part of by its number.
pub(super) fn table(name: &str) -> Option<String> {
    let Numbered { table, count, .. } = Numbered::of(name)?;
    Some(format!("{table}-*-of-{count}"))
}

/// The tables that files are of, as far as their names tell.
fn tables(names: &[String]) -> BTreeSet<String> {
    let by_use = |name: &String| {
        let stem = name.split('.').next().unwrap_or_default();
        let stem = stem.to_ascii_lowercase();
        USES.contains(&stem.as_str()).then(|| name.clone())
    };
    let names = names.iter();
    names
        .filter_map(|name| table(name).or_else(|| by_use(name)))
        .collect()
}

/// Refuses files of several tables, and one of which parts are missing.
///
/// # Errors
/// What is there or isn't.
pub(super) fn check(names: &[String]) -> Result<(), Parts> {
    let tables = tables(names);
    if tables.len() > 1 {
        return Err(Parts::Several(tables.into_iter().collect()));
    }
    let numbered = names.iter().filter_map(|name| Numbered::of(name));
    let numbered: BTreeMap<usize, Numbered<'_>> = numbered
        .filter_map(|part| Some((part.number.parse().ok()?, part)))
        .collect();
    let Some((first, part)) = numbered.iter().next() else {
        return Ok(());
    };
    let count: usize = part.count.parse().unwrap_or_default();
    // Some count from 1.
    let from_one = *first > 0 && numbered.contains_key(&count);
    let all = usize::from(from_one)..count + usize::from(from_one);
    let there = numbered.keys().filter(|number| all.contains(number));
    let lacking = count - there.count();
    if lacking == 0 {
        return Ok(());
    }
    // A name may speak of a billion parts, so that no more are named than are shown.
    let names = all
        .filter(|number| !numbered.contains_key(number))
        .map(|number| named(part, number))
        .take(SHOWN);
    Err(Parts::Lacking {
        count: lacking,
        names: names.collect(),
        of: count,
    })
}

/// Another part's name. A hash in it isn't known.
fn named(part: &Numbered<'_>, number: usize) -> String {
    let end = match part.end.starts_with('.') {
        true => part.end,
        false => "",
    };
    let width = part.number.len();
    format!("{}-{number:0width$}-of-{}{end}", part.table, part.count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(names: &[&str]) -> Result<(), String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        check(&names).map_err(|parts| parts.to_string())
    }

    #[test]
    fn all_parts_of_one_table_are_needed() {
        let parts = ["t-00000-of-00002.parquet", "t-00001-of-00002.parquet"];
        assert_eq!(checked(&parts), Ok(()));
        assert_eq!(
            checked(&["t-00001-of-00002.csv", "t-00002-of-00002.csv"]),
            Ok(())
        );
        assert_eq!(checked(&["a-b-00000-of-00001-4f2a.parquet"]), Ok(()));
        assert_eq!(checked(&["part-0.csv", "part-7.csv"]), Ok(()));
        let lacking = checked(&["t-00000-of-00003.parquet", "t-00002-of-00003.parquet"]);
        let lacking = lacking.expect_err("one isn't there");
        assert!(
            lacking.contains("lacks 1 of the 3 parts of its table: t-00001-of-00003.parquet;"),
            "{lacking}"
        );
        let hashed = checked(&["t-00000-of-00009-4f2a.parquet"]).expect_err("most aren't there");
        assert!(hashed.contains("t-00006-of-00009 and 2 more"), "{hashed}");
    }

    #[test]
    fn a_name_may_speak_of_any_number_of_parts() {
        let error = checked(&["t-0-of-999999999.csv"]).expect_err("most aren't there");
        assert!(
            error.contains("lacks 999999998 of the 999999999 parts"),
            "{error}"
        );
        assert!(
            error.contains("t-6-of-999999999.csv and 999999992 more"),
            "{error}"
        );
        assert_eq!(checked(&["t-5-of-0.csv"]), Ok(()));
    }

    #[test]
    fn several_tables_are_none() {
        for names in [
            &[
                "train-00000-of-00001.parquet",
                "test-00000-of-00001.parquet",
            ][..],
            &[
                "t-00000-of-00001.arrow",
                "t-00000-of-00002.arrow",
                "t-00001-of-00002.arrow",
            ],
            &["train.csv", "test.csv"],
            &["Train.csv.gz", "dev.csv.gz", "more.csv.gz"],
        ] {
            let error = checked(names).expect_err("several");
            assert!(error.contains("holds 2 tables: "), "{error}");
        }
        for names in [
            &["train.csv", "more.csv"][..],
            &["a.csv", "b.csv"],
            &["train.csv"],
        ] {
            assert_eq!(checked(names), Ok(()));
        }
    }

    #[test]
    fn numbers_that_arent_are_names() {
        for name in [
            "a-of-b.csv",
            "a-1-of-.csv",
            "-of-",
            "x-1-of-2x.csv",
            "1-of-2",
            "é-1-of-9999999999",
        ] {
            assert_eq!(Numbered::of(name), None, "{name}");
        }
    }
}
