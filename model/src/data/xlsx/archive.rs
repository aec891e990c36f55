//! The archive that a workbook is, before anything is made of it.

use std::io::{Cursor, Read};
use std::path::Path;

use zip::ZipArchive;

use super::damaged;
use crate::data::content::{EXPORT, Unread};
use crate::data::error::DataError;
use crate::data::room::Room;

/// Refuses archives that aren't workbooks, and those that unpack to more than there is room for. Says
/// whether any cells are merged.
pub(super) fn check_archive(bytes: &[u8], file: &Path, mut room: Room) -> Result<bool, DataError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(file, e))?;
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| Some(name.ok()?.to_ascii_lowercase()))
        .collect();
    if !names.iter().any(|name| name.ends_with("workbook.xml")) {
        return Err(DataError::Unread {
            file: file.to_owned(),
            found: other_archive(&names),
        });
    }
    let mut merges = false;
    for i in 0..archive.len() {
        let part = archive.by_index(i).map_err(|e| damaged(file, e))?;
        let name = part.name().unwrap_or_default().to_ascii_lowercase();
        let strings = name.ends_with("sharedstrings.xml");
        let mut content = Vec::new();
        part.take(room.left().saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|e| damaged(file, e))?;
        room.take(content.len(), file)?;
        if strings && announces_too_many(&content) {
            return Err(damaged(file, "it announces more texts than it holds"));
        }
        merges |= content.windows(MERGED.len()).any(|window| window == MERGED);
    }
    Ok(merges)
}

/// How a sheet's part says which cells are merged.
const MERGED: &[u8] = b"mergeCell ";

/// What an archive is that holds no workbook.
fn other_archive(names: &[String]) -> Unread {
    let holds = |part: &str| names.iter().any(|name| name.ends_with(part));
    if names.iter().any(|name| name == "content.xml") {
        Unread {
            what: "an OpenDocument file (.ods)",
            remedy: "save it as .xlsx, or as CSV in UTF-8",
        }
    } else if holds("workbook.bin") {
        Unread {
            what: "a binary workbook (.xlsb)",
            remedy: "save it as .xlsx, or as CSV UTF-8",
        }
    } else if holds(".npy") {
        Unread {
            what: "an archive of NumPy arrays (.npz)",
            remedy: EXPORT,
        }
    } else if holds("data.pkl") {
        Unread {
            what: "a file of PyTorch",
            remedy: EXPORT,
        }
    } else if holds("word/document.xml") {
        Unread {
            what: "a document of Word (.docx)",
            remedy: EXPORT,
        }
    } else {
        Unread {
            what: "a zip archive",
            remedy: "unpack it, or compress the table with gzip or zstd",
        }
    }
}

/// Whether a part announces more strings than it has bytes: room for them is made in advance.
fn announces_too_many(part: &[u8]) -> bool {
    const COUNT: &[u8] = b"uniqueCount";
    let places = part.windows(COUNT.len()).enumerate();
    places
        .filter(|(_, window)| *window == COUNT)
        .any(|(at, _)| {
            let after = part.get(at + COUNT.len()..).unwrap_or_default();
            let digits: String = after
                .iter()
                .take(64)
                .skip_while(|byte| b"=\"' \t\r\n+".contains(byte))
                .take_while(|byte| byte.is_ascii_digit())
                .map(|byte| char::from(*byte))
                .collect();
            !digits.is_empty() && digits.parse().map_or(true, |n: usize| n > part.len())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_announces_more_than_it_holds_is_known() {
        let part = |count: &str| format!("<sst uniqueCount=\"{count}\"><si><t>a</t></si></sst>");
        assert!(!announces_too_many(part("1").as_bytes()));
        assert!(announces_too_many(part("4294967295").as_bytes()));
        assert!(announces_too_many(
            part("99999999999999999999999").as_bytes()
        ));
        assert!(!announces_too_many(b"<sst/>"));
    }
}
