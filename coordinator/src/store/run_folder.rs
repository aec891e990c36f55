//! What a run leaves on disk: one folder, made new for each run.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use time::OffsetDateTime;
use time::macros::format_description;
use umbel_privacy::certificate::Countersignature;
use umbel_privacy::certificate::content::CERTIFICATE_COPY;

use crate::observe::recorder::Metric;

/// One line a round.
const METRICS: &str = "metrics.jsonl";

/// The folder of one run.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
}

/// A file of the run folder that can't be written.
#[derive(Debug, thiserror::Error)]
#[error("can't write {path}: {source}; is there space, and may you write there?")]
pub struct RunFolderError {
    path: PathBuf,
    source: io::Error,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> RunFolderError + use<'_> {
    |source| RunFolderError {
        path: path.to_owned(),
        source,
    }
}

impl RunFolder {
    /// Makes `out/NAME-YYYYMMDD-HHMMSS`, or with a number behind it where that exists.
    ///
    /// # Errors
    /// [`RunFolderError`] where folders or files can't be made.
    pub fn create(out: &Path, name: &str, unix_seconds: u64) -> Result<Self, RunFolderError> {
        fs::create_dir_all(out).map_err(failed(out))?;
        let stamp = stamp(unix_seconds);
        let mut path = out.join(format!("{name}-{stamp}"));
        let mut again = 2;
        while let Err(e) = fs::create_dir(&path) {
            if e.kind() != io::ErrorKind::AlreadyExists {
                return Err(failed(&path)(e));
            }
            path = out.join(format!("{name}-{stamp}-{again}"));
            again += 1;
        }
        let file = path.join(METRICS);
        let metrics = File::create(&file).map_err(failed(&file))?;
        Ok(Self { path, metrics })
    }

    /// The folder of a run that was cut off after so many rounds, and its lines of metrics. A
    /// torn last line is cut off, and what speaks of later rounds.
    ///
    /// # Errors
    /// [`RunFolderError`] where they can't be read.
    pub fn open(path: &Path, rounds: u32) -> Result<(Self, Vec<Metric>), RunFolderError> {
        let file = path.join(METRICS);
        let read = || {
            let mut metrics = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .open(&file)?;
            let mut text = Vec::new();
            metrics.read_to_end(&mut text)?;
            let (lines, sound) = whole_lines(&text, rounds);
            metrics.set_len(sound as u64)?;
            Ok((metrics, lines))
        };
        let (metrics, lines) = read().map_err(failed(&file))?;
        let path = path.to_owned();
        Ok((Self { path, metrics }, lines))
    }

    /// A folder that is there, with this file in place of its `metrics.jsonl`.
    #[cfg(test)]
    pub(crate) fn with_metrics(path: PathBuf, metrics: File) -> Self {
        Self { path, metrics }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the model goes.
    pub fn model(&self) -> PathBuf {
        self.path.join("model")
    }

    /// Where adapters go.
    pub fn adapter(&self) -> PathBuf {
        self.path.join("adapter")
    }

    /// Appends a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// [`RunFolderError`] where it can't be written.
    pub fn metric(&self, line: &impl Serialize) -> Result<(), RunFolderError> {
        let file = self.path.join(METRICS);
        let text = json_line(line).map_err(failed(&file))?;
        let written = (&self.metrics).write_all(&text);
        // A run that is taken up again reads what was found of its last round here.
        let synced = written.and_then(|()| self.metrics.sync_data());
        synced.map_err(failed(&file))
    }

    /// Writes all lines of `metrics.jsonl` anew, in place of whatever is in it.
    ///
    /// # Errors
    /// [`RunFolderError`] where it can't be written.
    pub fn rewrite_metrics(&self, lines: &[impl Serialize]) -> Result<(), RunFolderError> {
        let texts: io::Result<Vec<_>> = lines.iter().map(json_line).collect();
        let texts = texts.map_err(failed(&self.path.join(METRICS)))?;
        self.write(METRICS, &texts.concat())
    }

    /// Writes a file as a whole, durably: a reader sees the old or the new content, never a
    /// half.
    ///
    /// # Errors
    /// [`RunFolderError`] where it can't be written.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), RunFolderError> {
        let path = self.path.join(name);
        let draft = self.path.join(format!(".{name}.draft"));
        let write = || {
            let mut file = File::create(&draft)?;
            file.write_all(content)?;
            file.sync_data()?;
            fs::rename(&draft, &path)
        };
        write().map_err(failed(&path))
    }

    /// Puts a copy of the certificate with the released model, so that the two stay together
    /// wherever the model goes.
    ///
    /// # Errors
    /// [`RunFolderError`] where it can't be written.
    pub fn certify_model(&self, certificate: &[u8]) -> Result<(), RunFolderError> {
        let path = self.path.join(CERTIFICATE_COPY);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(certificate)?;
            file.sync_data()
        };
        write().map_err(failed(&path))
    }

    /// Keeps what sites signed for the coordinator's operator alone, in [`RECEIPTS`]: where the
    /// client is the unit, who took part isn't published.
    ///
    /// # Errors
    /// [`RunFolderError`] where it can't be written.
    pub fn keep_receipts(&self, signed: &[Countersignature]) -> Result<(), RunFolderError> {
        let path = self.path.join(RECEIPTS);
        let write = || {
            let mut lines = Vec::new();
            for receipt in signed {
                lines.extend(to_json(receipt, false)?);
                lines.push(b'\n');
            }
            let mut file = create_private(&path)?;
            file.write_all(&lines)?;
            file.sync_data()
        };
        write().map_err(failed(&path))
    }

    /// Writes a value as indented JSON.
    ///
    /// # Errors
    /// [`RunFolderError`] where it can't be written.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), RunFolderError> {
        let text = to_json(value, true).map_err(failed(&self.path.join(name)))?;
        self.write(name, &text)
    }
}

/// The ledgers of a simulation's sites.
pub const SITE_LEDGERS: &str = "sites/ledgers.jsonl";

/// What sites signed, a line each, where it isn't in the certificate. It is no part of what may be
/// published.
pub const RECEIPTS: &str = "receipts.jsonl";

/// A file that nobody but its owner can read.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The lines at the beginning of a text that were written as a whole, and how long they are.
fn whole_lines(text: &[u8], rounds: u32) -> (Vec<Metric>, usize) {
    let (mut lines, mut sound) = (Vec::new(), 0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let metric = serde_json::from_slice::<Metric>(line);
        match metric {
            Ok(metric) if line.ends_with(b"\n") && metric.round <= rounds => {
                lines.push(metric);
                sound += line.len();
            }
            _ => break,
        }
    }
    (lines, sound)
}

fn json_line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = to_json(value, false)?;
    text.push(b'\n');
    Ok(text)
}

fn to_json(value: &impl Serialize, pretty: bool) -> io::Result<Vec<u8>> {
    if pretty {
        serde_json::to_vec_pretty(value)
    } else {
        serde_json::to_vec(value)
    }
    .map_err(io::Error::from)
}

/// The time for a folder's name, in UTC.
fn stamp(unix_seconds: u64) -> String {
    formatted(
        unix_seconds,
        format_description!("[year][month][day]-[hour][minute][second]"),
    )
}

/// The time for people, in UTC.
pub fn readable_time(unix_seconds: u64) -> String {
    formatted(
        unix_seconds,
        format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC"),
    )
}

fn formatted(
    unix_seconds: u64,
    format: &[time::format_description::BorrowedFormatItem<'_>],
) -> String {
    i64::try_from(unix_seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(format).ok())
        .unwrap_or_else(|| unix_seconds.to_string())
}
