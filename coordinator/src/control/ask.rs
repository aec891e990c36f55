//! The operator's end of a coordinator's control socket.

use std::io;
use std::path::{Path, PathBuf};

use super::status::Status;
use super::{Answer, Request};

/// Why a run doesn't answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No coordinator conducts it.
    #[error(
        "no coordinator conducts a run of this configuration on this machine ({} was looked at); \
         `umbel-coordinator serve` begins it or goes on with it", path.display()
    )]
    NotRunning {
        /// Where runs are.
        path: PathBuf,
    },
    /// It can't be asked.
    #[error("{}: {source}; is it another user's run?", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It answered that it won't.
    #[error("{0}")]
    Refused(String),
}

/// Asks the run that is conducted in one of these journals.
///
/// # Errors
/// [`AskError`]
pub fn ask(out: &Path, journals: &[PathBuf], request: Request) -> Result<Status, AskError> {
    for journal in journals {
        let path = super::socket(journal);
        match converse(&path, request) {
            Ok(Answer::Done(status)) => return Ok(*status),
            Ok(Answer::Refused(reason)) => return Err(AskError::Refused(reason)),
            // It was killed, or ended just now.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) => {}
            Err(source) => return Err(AskError::Io { path, source }),
        }
    }
    Err(AskError::NotRunning {
        path: out.to_owned(),
    })
}

#[cfg(not(unix))]
fn converse(_: &Path, _: Request) -> io::Result<Answer> {
    Err(io::Error::other("this system has no local sockets"))
}

#[cfg(unix)]
fn converse(path: &Path, request: Request) -> io::Result<Answer> {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    let patience = Some(Duration::from_secs(10));
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(patience)?;
    stream.set_write_timeout(patience)?;
    let mut line = serde_json::to_vec(&request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut reply = String::new();
    BufReader::new(stream.take(super::LONGEST_LINE)).read_line(&mut reply)?;
    Ok(serde_json::from_str(&reply)?)
}
