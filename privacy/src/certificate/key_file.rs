//! A signing key in a file that only its owner can read: a coordinator's, which signs
//! certificates, or a site's, which countersigns them.
//!
//! It is made where it is first needed, with randomness of the operating system, and kept:
//! whoever wants to know who signed compares with its public half, which stands beside it in a
//! file that ends in `.pub`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::certificate::key::{InvalidKey, SigningKey};
use crate::private_rng::{NoRandomness, NoiseSource};

/// The name of a coordinator's key file where the configuration gives none.
pub const DEFAULT_NAME: &str = "signing.key";

/// A signing key that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The file can't be read or written.
    #[error("signing key {}: {source}; the folder must exist and be writable", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It isn't a key.
    #[error("signing key {}: {source}; move the file away to have a new key made", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: InvalidKey,
    },
    /// Others can read it.
    #[error(
        "signing key {}: others than its owner may read it; if nobody has, run \
         `chmod 600` on it, else move it away to have a new key made", path.display()
    )]
    Readable {
        /// The file.
        path: PathBuf,
    },
    /// The public file belongs to another key.
    #[error("{} isn't the public half of the key beside it; remove it", path.display())]
    OtherPublic {
        /// The public file.
        path: PathBuf,
    },
    /// The operating system gave no randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

fn failed(path: &Path) -> impl Fn(io::Error) -> SigningKeyError + use<'_> {
    |source| SigningKeyError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Reads the key at `path`; where there is none, makes one and keeps it there.
///
/// # Errors
/// [`SigningKeyError`] where it can't be read or made, isn't a key, or others may read it.
pub fn load_or_make(path: &Path) -> Result<SigningKey, SigningKeyError> {
    let key = match load(path)? {
        Some(key) => key,
        None => {
            make(path)?;
            // Read again: another process may have made one at the same time.
            load(path)?.ok_or_else(|| failed(path)(io::ErrorKind::NotFound.into()))?
        }
    };
    publish(path, &key)?;
    Ok(key)
}

/// Reads the key at `path`; `None` where there is none. Nothing is made.
///
/// # Errors
/// [`SigningKeyError`] where it can't be read, isn't a key, or others may read it.
pub fn load(path: &Path) -> Result<Option<SigningKey>, SigningKeyError> {
    let mut file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed(path))?,
    };
    if readable_by_others(&file).map_err(failed(path))? {
        return Err(SigningKeyError::Readable { path: path.into() });
    }
    // A key is short; what isn't need not be read.
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(&mut file, 1024), &mut text)
        .map_err(failed(path))?;
    let invalid = |source| SigningKeyError::Invalid {
        path: path.into(),
        source,
    };
    SigningKey::from_secret_text(&text)
        .map(Some)
        .map_err(invalid)
}

/// Whether nobody but its owner may read or change a file of secrets.
///
/// # Errors
/// What the system says where it can't be opened.
pub fn is_private(path: &Path) -> io::Result<bool> {
    Ok(!readable_by_others(&File::open(path)?)?)
}

#[cfg(unix)]
fn readable_by_others(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

/// Other systems say in other ways who may read a file.
#[cfg(not(unix))]
fn readable_by_others(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// A new key, with randomness of the operating system.
///
/// # Errors
/// [`SigningKeyError::Randomness`] if there is none.
pub fn new_key() -> Result<SigningKey, SigningKeyError> {
    SigningKey::generate(&mut NoiseSource::from_os()?).map_err(|source| SigningKeyError::Invalid {
        path: PathBuf::new(),
        source,
    })
}

/// Writes a new key under a name of its own and then gives it its place, unless there is one
/// by now: nobody ever reads half a key, and no key is ever overwritten.
fn make(path: &Path) -> Result<(), SigningKeyError> {
    let key = new_key()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.{}.draft", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft).map_err(failed(&draft))?;
    file.write_all(key.to_secret_text().as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed(&draft))?;
    let placed = fs::hard_link(&draft, path);
    let removed = fs::remove_file(&draft);
    match placed {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(failed(path)(e)),
        _ => removed.map_err(failed(&draft)),
    }
}

/// Writes the public half beside the key, if it isn't there.
fn publish(path: &Path, key: &SigningKey) -> Result<(), SigningKeyError> {
    let public = path.with_extension("pub");
    let text = format!("{}\n", key.public_key());
    match fs::read_to_string(&public) {
        Ok(there) if there == text => Ok(()),
        Ok(_) => Err(SigningKeyError::OtherPublic { path: public }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            fs::write(&public, text).map_err(failed(&public))
        }
        Err(e) => Err(failed(&public)(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DEFAULT_NAME);
        let first = load_or_make(&path).unwrap();
        let again = load_or_make(&path).unwrap();
        assert_eq!(first.public_key(), again.public_key());
        let public = fs::read_to_string(folder.path().join("signing.pub")).unwrap();
        assert_eq!(public, format!("{}\n", first.public_key()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        let other = load_or_make(&folder.path().join("other.key")).unwrap();
        assert_ne!(other.public_key(), first.public_key());
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DEFAULT_NAME);
        load_or_make(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = load_or_make(&path).unwrap_err();
        assert!(
            matches!(refused, SigningKeyError::Readable { .. }),
            "{refused}"
        );
    }

    #[test]
    fn what_is_no_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DEFAULT_NAME);
        load_or_make(&path).unwrap();
        for text in ["", "x", "umbel-ed25519-seed:00", &"0".repeat(5000)] {
            // Writing keeps the mode.
            fs::write(&path, text).unwrap();
            let refused = load_or_make(&path).unwrap_err();
            assert!(
                matches!(refused, SigningKeyError::Invalid { .. }),
                "{refused}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::remove_file(&path).unwrap();
        let refused = load_or_make(&path).unwrap_err();
        assert!(
            matches!(refused, SigningKeyError::OtherPublic { .. }),
            "{refused}"
        );
    }
}
