//! The coordinator's end of its control socket.

use std::path::Path;
use std::sync::Arc;

use crate::lobby::Lobby;

/// A socket that is listened on, and gone when this is dropped.
#[derive(Debug)]
pub struct Listening {
    #[cfg(unix)]
    path: std::path::PathBuf,
}

impl Listening {
    /// Listens in this run's journal, from a thread of its own, for as long as this lives. A socket
    /// that can't be had is no reason not to run: the log says what is wrong with it.
    pub fn begin(journal: &Path, lobby: &Arc<Lobby>) -> Option<Self> {
        match Self::try_begin(journal, lobby) {
            Ok(listening) => Some(listening),
            Err(error) => {
                tracing::warn!(
                    "{}: {error}; so `umbel-coordinator status`, `stop`, `pause` and `resume` can't \
                     reach this run, and SIGTERM still stops it (a shorter run.out helps where the \
                     path is too long for a socket)",
                    super::socket(journal).display()
                );
                None
            }
        }
    }
}

#[cfg(not(unix))]
impl Listening {
    fn try_begin(_: &Path, _: &Arc<Lobby>) -> std::io::Result<Self> {
        Err(std::io::Error::other("this system has no local sockets"))
    }
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::super::{Answer, Request, answer, socket};
    use super::Listening;
    use crate::lobby::Lobby;

    /// The longest request, in bytes.
    const LONGEST_REQUEST: u64 = 1024;
    /// How long somebody who asks may take.
    const PATIENCE: Duration = Duration::from_secs(2);

    impl Listening {
        pub(super) fn try_begin(journal: &Path, lobby: &Arc<Lobby>) -> io::Result<Self> {
            let path = socket(journal);
            // The journal is locked, so that this is left over from a process that is gone.
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let listener = UnixListener::bind(&path)?;
            // Nobody else can enter the folder either.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            // It must not keep a run alive.
            let lobby = Arc::downgrade(lobby);
            thread::Builder::new()
                .name("umbel-control".into())
                .spawn(move || {
                    for stream in listener.incoming() {
                        let Some(lobby) = lobby.upgrade() else {
                            return;
                        };
                        // One at a time, and each for a moment: there is one operator.
                        if let Err(error) = stream.and_then(|stream| serve(&stream, &lobby)) {
                            tracing::debug!("a request on the control socket failed: {error}");
                            thread::sleep(Duration::from_millis(10));
                        }
                    }
                })?;
            Ok(Self { path })
        }
    }

    impl Drop for Listening {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.path);
        }
    }

    fn serve(stream: &UnixStream, lobby: &Lobby) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut line = String::new();
        BufReader::new(stream.take(LONGEST_REQUEST)).read_line(&mut line)?;
        let answer = match serde_json::from_str::<Request>(&line) {
            Ok(request) => {
                if request != Request::Status {
                    tracing::info!(?request, "asked by the operator");
                }
                answer(request, lobby)
            }
            Err(error) => Answer::Refused(format!(
                "this coordinator doesn't understand the request ({error}); use the \
                 umbel-coordinator of its own version"
            )),
        };
        let mut reply = serde_json::to_vec(&answer)?;
        reply.push(b'\n');
        (&mut &*stream).write_all(&reply)
    }
}
