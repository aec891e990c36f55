//! A working federation in one command: certificates, keys and example configurations.
//!
//! [`init`] makes an authority, a certificate for the coordinator and one for each site,
//! and lays them out so that each folder can be carried to where it belongs:
//!
//! ```text
//! DIR/ca/                 ca.pem ca.key                              stays locked away
//! DIR/coordinator/        coordinator.toml ca.pem server.pem server.key
//!                         signing.key signing.pub
//! DIR/sites/NAME/         client.toml ca.pem client.pem client.key   goes to that site
//! ```
//!
//! All keys are made here, so whoever runs this could act as any site; that suits trials
//! and sites that trust whoever sets them up.

mod address;
mod authority;
mod folder;
mod template;

pub use address::{CoordinatorAddress, InvalidAddress};
pub use authority::AuthorityError;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use umbel_proto::message::{BlobDigest, ClientId};

use authority::{Authority, Validity};
use folder::NewFolder;
use umbel_privacy::certificate::key_file::{self, SigningKeyError};

/// What [`init`] makes, apart from where and for whom.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// How clients reach the coordinator.
    pub address: CoordinatorAddress,
    /// Further host names and IP addresses for which the coordinator's certificate is good.
    /// `localhost` and the loopback addresses always are.
    pub other_names: Vec<String>,
    /// From when on the certificates are good (an hour earlier, for clocks that are slow).
    pub now: SystemTime,
    /// For how many days they are good: 1 to 3,650.
    pub days: u32,
}

impl InitOptions {
    /// Certificates for a year.
    pub fn new(address: CoordinatorAddress, now: SystemTime) -> Self {
        Self {
            address,
            other_names: Vec::new(),
            now,
            days: 365,
        }
    }
}

/// What [`init`] made.
#[derive(Clone, Debug)]
pub struct InitReport {
    /// The folder of the authority, whose key signs certificates.
    pub authority: PathBuf,
    /// The coordinator's folder.
    pub coordinator: PathBuf,
    /// The public half of the key that signs certificates of runs.
    pub public_key: PathBuf,
    /// The sites, as they were given.
    pub sites: Vec<SiteReport>,
    /// For how many days the certificates are good.
    pub days: u32,
}

/// What [`init`] made for one site.
#[derive(Clone, Debug)]
pub struct SiteReport {
    /// The site's name.
    pub name: ClientId,
    /// Its folder, to be brought to the site.
    pub folder: PathBuf,
    /// SHA-256 of its certificate (DER), by which the coordinator knows it.
    pub fingerprint: BlobDigest,
}

impl fmt::Display for InitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Made certificates that are good for {} days.", self.days)?;
        writeln!(f, "\n1. Edit and start the coordinator:")?;
        let configuration = self.coordinator.join("coordinator.toml");
        writeln!(
            f,
            "     umbel-coordinator serve {}",
            configuration.display()
        )?;
        writeln!(
            f,
            "2. Bring each site its own folder, over a channel that keeps keys secret:"
        )?;
        for site in &self.sites {
            writeln!(f, "     {:<20} {}", site.name, site.folder.display())?;
        }
        writeln!(f, "   There, edit client.toml and start the client:")?;
        writeln!(f, "     umbel-client run client.toml")?;
        writeln!(
            f,
            "3. Lock {} away: its key makes new certificates.",
            self.authority.display()
        )?;
        writeln!(f, "4. Give whoever is to verify runs the public key in")?;
        write!(f, "     {}", self.public_key.display())
    }
}

/// Why [`init`] couldn't make a federation.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// No site was named.
    #[error("name at least one site")]
    NoSites,
    /// One site was named twice (names that differ only in case share a folder on some systems).
    #[error("the site `{0}` is named twice (case doesn't count); give each site its own name")]
    SameSite(ClientId),
    /// A number of days that no certificate should have.
    #[error("certificates can be good for 1 to 3,650 days, not for {0}")]
    Days(u32),
    /// A clock that is far off.
    #[error("the time handed in isn't between the years 1970 and 9000; set this machine's clock")]
    Clock,
    /// The address or a name isn't one.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// A certificate couldn't be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The key that signs runs couldn't be made.
    #[error(transparent)]
    SigningKey(#[from] SigningKeyError),
    /// The folder is in use. Keys are never overwritten.
    #[error("{0} exists already and keys are never overwritten; name a new folder")]
    Exists(PathBuf),
    /// A folder or file couldn't be written.
    #[error("can't write {path}: {source}; remove what is there and try again")]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Makes certificates, keys and example configurations for `sites` in the new folder `dir`.
///
/// # Errors
/// [`InitError`]; nothing that exists is ever overwritten.
pub fn init(
    dir: &Path,
    sites: &[ClientId],
    options: &InitOptions,
) -> Result<InitReport, InitError> {
    check_sites(sites)?;
    let validity = validity(options)?;
    let names = options.address.certificate_names(&options.other_names)?;
    // Everything is made before anything is written.
    let authority = Authority::new(options.address.host(), validity)?;
    let server = authority.server_certificate(&names)?;
    let signing_key = key_file::new_key()?;
    let mut site_files = Vec::with_capacity(sites.len());
    for name in sites {
        site_files.push((name.clone(), authority.client_certificate(name)?));
    }

    let mut clients = Vec::with_capacity(sites.len());
    let root = NewFolder::create(dir)?;
    let ca = root.folder("ca")?;
    ca.write("ca.pem", authority.certificate_pem())?;
    ca.write_secret("ca.key", &authority.key_pem())?;
    let all_sites = root.folder("sites")?;
    for (name, certified) in site_files {
        let folder = all_sites.folder(name.as_str())?;
        folder.write("ca.pem", authority.certificate_pem())?;
        folder.write("client.pem", &certified.certificate)?;
        folder.write_secret("client.key", &certified.key)?;
        folder.write("client.toml", &template::client(&name, &options.address))?;
        clients.push(SiteReport {
            name,
            folder: folder.path().to_owned(),
            fingerprint: certified.fingerprint,
        });
    }
    let coordinator = root.folder("coordinator")?;
    coordinator.write("ca.pem", authority.certificate_pem())?;
    coordinator.write("server.pem", &server.certificate)?;
    coordinator.write_secret("server.key", &server.key)?;
    let configuration = template::coordinator(&options.address, &clients);
    coordinator.write("coordinator.toml", &configuration)?;
    coordinator.write_secret(key_file::DEFAULT_NAME, &signing_key.to_secret_text())?;
    let public_key = format!("{}\n", signing_key.public_key());
    coordinator.write("signing.pub", &public_key)?;
    Ok(InitReport {
        authority: ca.path().to_owned(),
        coordinator: coordinator.path().to_owned(),
        public_key: coordinator.path().join("signing.pub"),
        sites: clients,
        days: options.days,
    })
}

fn check_sites(sites: &[ClientId]) -> Result<(), InitError> {
    let mut names = std::collections::BTreeSet::new();
    for site in sites {
        if !names.insert(site.as_str().to_ascii_lowercase()) {
            return Err(InitError::SameSite(site.clone()));
        }
    }
    if names.is_empty() {
        return Err(InitError::NoSites);
    }
    Ok(())
}

fn validity(options: &InitOptions) -> Result<Validity, InitError> {
    /// The first second of the year 9000: later dates don't fit into a certificate for long.
    const LATEST: Duration = Duration::from_secs(221_845_392_000);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    if !(1..=3_650).contains(&options.days) {
        return Err(InitError::Days(options.days));
    }
    let now = options
        .now
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .filter(|now| *now < LATEST)
        .ok_or(InitError::Clock)?;
    Ok(Validity {
        from: now.saturating_sub(Duration::from_secs(60 * 60)),
        until: now + DAY * options.days,
    })
}
