//! The configurations that `umbel-coordinator init` writes for sites are ones that
//! `umbel-client` reads.

use std::fs;
use std::time::SystemTime;

use umbel_client::config::ClientConfig;
use umbel_coordinator::init::{InitOptions, init};

#[test]
fn a_sites_example_configuration_is_a_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    let options = InitOptions::new("umbel.example.org".parse().unwrap(), SystemTime::now());
    let report = init(dir.path(), &["north".parse().unwrap()], &options).unwrap();
    let folder = &report.sites[0].folder;
    let path = folder.join("client.toml");
    let config = ClientConfig::load(&path).unwrap();
    assert_eq!(config.name, report.sites[0].name);
    assert_eq!(config.coordinator, "https://umbel.example.org:7700");
    let tls = config.tls.unwrap();
    for file in [tls.ca, tls.certificate, tls.key] {
        assert!(file.is_file(), "{}", file.display());
    }
    // Every key behind a `#` is a key, too.
    let text = fs::read_to_string(&path).unwrap();
    let all = text
        .replace("# server_name =", "server_name =")
        .replace("# group =", "group =")
        .replace("# labels =", "labels =")
        .replace("# base_models =", "base_models =");
    fs::write(&path, all).unwrap();
    let config = ClientConfig::load(&path).unwrap();
    assert_eq!(config.data.group.as_deref(), Some("patient_id"));
    assert_eq!(config.policy.data_set, "north");
}
