//! What `init` makes, and that it never overwrites anything.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use umbel_coordinator::config::{self, RunConfig};
use umbel_coordinator::grpc::TlsSettings;
use umbel_coordinator::init::{InitError, InitOptions, InitReport, init};
use umbel_proto::message::{BlobDigest, ClientId};

fn sites(names: &[&str]) -> Vec<ClientId> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn options(address: &str) -> InitOptions {
    InitOptions::new(address.parse().unwrap(), SystemTime::now())
}

fn federation(dir: &Path) -> InitReport {
    init(
        dir,
        &sites(&["north", "south"]),
        &options("umbel.example.org:7701"),
    )
    .unwrap()
}

fn table(path: &Path) -> toml::Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

#[test]
fn every_folder_holds_what_its_owner_needs() {
    let dir = tempfile::tempdir().unwrap();
    let report = federation(dir.path());
    for file in ["coordinator.toml", "ca.pem", "server.pem", "server.key"] {
        assert!(report.coordinator.join(file).is_file(), "{file}");
    }
    for site in &report.sites {
        for file in ["client.toml", "ca.pem", "client.pem", "client.key"] {
            assert!(site.folder.join(file).is_file(), "{file}");
        }
        assert!(!site.folder.join("ca.key").exists());
    }
    assert!(report.authority.join("ca.key").is_file());
    assert!(!report.coordinator.join("ca.key").exists());
    let coordinator = &report.coordinator;
    TlsSettings::read(
        &coordinator.join("server.pem"),
        &coordinator.join("server.key"),
        &coordinator.join("ca.pem"),
    )
    .unwrap();
}

#[test]
#[cfg(unix)]
fn only_the_owner_can_read_a_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let report = federation(dir.path());
    let mut keys = vec![
        report.authority.join("ca.key"),
        report.coordinator.join("server.key"),
    ];
    keys.extend(
        report
            .sites
            .iter()
            .map(|site| site.folder.join("client.key")),
    );
    for key in keys {
        let mode = fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", key.display());
    }
}

#[test]
fn the_configurations_name_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let report = federation(dir.path());
    let run = table(&report.coordinator.join("coordinator.toml"));
    assert_eq!(run["serve"]["listen"].as_str(), Some("0.0.0.0:7701"));
    let clients = run["clients"].as_array().unwrap();
    assert_eq!(clients.len(), report.sites.len());
    for (client, site) in clients.iter().zip(&report.sites) {
        assert_eq!(client["name"].as_str(), Some(site.name.as_str()));
        let fingerprint = site.fingerprint.to_string();
        assert_eq!(client["fingerprint"].as_str(), Some(fingerprint.as_str()));
        let own = table(&site.folder.join("client.toml"));
        assert_eq!(own["name"].as_str(), Some(site.name.as_str()));
        assert_eq!(
            own["coordinator"].as_str(),
            Some("https://umbel.example.org:7701")
        );
    }
}

#[test]
fn the_example_configuration_is_a_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = federation(dir.path()).coordinator.join("coordinator.toml");
    let config = config::load(&path, &[], None).unwrap().config;
    assert_eq!(config.serve.unwrap().listen, "0.0.0.0:7701");
    assert!(
        config
            .clients
            .iter()
            .all(|client| client.fingerprint.is_some())
    );
    // Every key behind a `#` is a key, too.
    let text = fs::read_to_string(&path).unwrap();
    let keys = uncommented(&text);
    assert!(keys.lines().count() == text.lines().count() && keys != text);
    let all: RunConfig = toml::from_str(&keys).unwrap();
    assert!(all.training.local.is_some() && all.run.seed.is_some());
}

/// The text with every comment that is a key or a section made one.
fn uncommented(text: &str) -> String {
    let is_key = |comment: &str| {
        let word = comment.split_once(" = ").map_or("", |(word, _)| word);
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        comment.starts_with('[') || (!word.is_empty() && word.chars().all(plain))
    };
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(comment) if is_key(comment) => format!("{comment}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn a_fingerprint_is_the_hash_of_the_certificate_that_was_written() {
    let dir = tempfile::tempdir().unwrap();
    for site in federation(dir.path()).sites {
        let pem = fs::read_to_string(site.folder.join("client.pem")).unwrap();
        let base64: String = pem
            .lines()
            .filter(|line| !line.starts_with("---"))
            .collect();
        assert_eq!(BlobDigest::of(&decode_base64(&base64)), site.fingerprint);
    }
}

/// Decodes by hand, so that the test depends on nobody's idea of PEM.
fn decode_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut buffer, mut bits) = (0u32, 0);
    for c in text.bytes().filter(|c| *c != b'=') {
        let digit = ALPHABET.iter().position(|a| *a == c).unwrap();
        buffer = (buffer << 6) | digit as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits) as u8);
        }
    }
    bytes
}

#[test]
fn nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let report = federation(dir.path());
    let key = fs::read(report.authority.join("ca.key")).unwrap();
    let again = init(dir.path(), &sites(&["north"]), &options("localhost"));
    assert!(matches!(again, Err(InitError::Exists(_))), "{again:?}");
    assert_eq!(fs::read(report.authority.join("ca.key")).unwrap(), key);
}

#[test]
fn nothing_is_written_for_a_wrong_wish() {
    let dir = tempfile::tempdir().unwrap();
    let new = dir.path().join("new");
    let good = options("localhost");
    let none = init(&new, &[], &good);
    assert!(matches!(none, Err(InitError::NoSites)));
    let twice = init(&new, &sites(&["north", "North"]), &good);
    assert!(matches!(twice, Err(InitError::SameSite(_))));
    for days in [0, 3_651, u32::MAX] {
        let wrong = InitOptions {
            days,
            ..good.clone()
        };
        assert!(matches!(
            init(&new, &sites(&["north"]), &wrong),
            Err(InitError::Days(_))
        ));
    }
    for now in [
        SystemTime::UNIX_EPOCH - Duration::from_secs(1),
        SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40),
    ] {
        let wrong = InitOptions {
            now,
            ..good.clone()
        };
        assert!(matches!(
            init(&new, &sites(&["north"]), &wrong),
            Err(InitError::Clock)
        ));
    }
    let wrong = InitOptions {
        other_names: vec!["not a name".into()],
        ..good
    };
    assert!(matches!(
        init(&new, &sites(&["north"]), &wrong),
        Err(InitError::Address(_))
    ));
    assert!(!new.exists());
}

#[test]
fn certificates_can_be_made_at_both_ends_of_time() {
    let dir = tempfile::tempdir().unwrap();
    // 2^37 seconds is the year 6325.
    for (name, seconds) in [("early", 0), ("late", 1 << 37)] {
        let options = InitOptions {
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            days: 3_650,
            ..options("localhost")
        };
        init(&dir.path().join(name), &sites(&["north"]), &options).unwrap();
    }
}
