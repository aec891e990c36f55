//! The released files and the run's documents.

use super::{Check, FoundFile, counted, listed};
use crate::certificate::content::{CERTIFICATE_COPY, FileStatement, in_released_folder};
use crate::digest::Sha256Digest;

/// Checks that `model/` holds exactly the released files, and that no other document of the
/// run was changed.
/// `certificate` is the digest of the certificate's own bytes, a copy of which may lie with
/// the model.
pub(super) fn checks(
    stated: &[FileStatement],
    found: &[FoundFile],
    certificate: Sha256Digest,
) -> [Check; 2] {
    let copy = |file: &FoundFile| file.path == CERTIFICATE_COPY && file.sha256 == Some(certificate);
    let others: Vec<FoundFile> = found.iter().filter(|file| !copy(file)).cloned().collect();
    [model(stated, &others), documents(stated, &others)]
}

fn model(stated: &[FileStatement], found: &[FoundFile]) -> Check {
    const NAME: &str = "model";
    let released = || stated.iter().filter(|file| file.is_released());
    let there = |file: &&FileStatement| found.iter().any(|found| file.is_about(found));
    let is_stated = |found: &FoundFile| released().any(|file| file.is_about(found));
    let missing = listed(
        released()
            .filter(|file| !there(file))
            .map(|file| file.path.as_str()),
    );
    let added = listed(
        found
            .iter()
            .filter(|found| in_released_folder(&found.path) && !is_stated(found))
            .map(|found| found.path.as_str()),
    );
    let changed = listed(changed(released(), found));
    let wrong: Vec<String> = [
        ("changed since it was signed", changed),
        ("missing", missing),
        ("added", added),
    ]
    .into_iter()
    .filter(|(_, paths)| !paths.is_empty())
    .map(|(what, paths)| format!("{paths}: {what}"))
    .collect();
    let count = released().count() as u64;
    if !wrong.is_empty() {
        Check::fails(NAME, wrong.join("; "))
    } else if count == 0 {
        Check::fails(NAME, "the certificate names no released file")
    } else {
        Check::holds(
            NAME,
            format!(
                "{} as released, and nothing else in model/",
                counted(count, "file", "files")
            ),
        )
    }
}

fn documents(stated: &[FileStatement], found: &[FoundFile]) -> Check {
    const NAME: &str = "documents";
    let documents = || stated.iter().filter(|file| !file.is_released());
    let changed = listed(changed(documents(), found));
    if !changed.is_empty() {
        return Check::fails(NAME, format!("{changed}: changed since it was signed"));
    }
    let missing = listed(
        documents()
            .filter(|file| !found.iter().any(|found| file.is_about(found)))
            .map(|file| file.path.as_str()),
    );
    if missing.is_empty() {
        let paths = listed(documents().map(|file| file.path.as_str()));
        Check::holds(NAME, format!("{paths}: as they were written"))
    } else {
        Check::open(NAME, format!("{missing}: not here"))
    }
}

/// Those that are there, with another content.
fn changed<'a>(
    stated: impl Iterator<Item = &'a FileStatement>,
    found: &[FoundFile],
) -> impl Iterator<Item = &'a str> {
    stated
        .filter(|file| {
            found
                .iter()
                .any(|found| file.is_about(found) && !file.agrees_with(found))
        })
        .map(|file| file.path.as_str())
}
