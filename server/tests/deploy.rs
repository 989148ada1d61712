//! The sample configurations in `deploy/` are what `fastjob serve` accepts, and hold no secret.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it stopped")]

#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "harness/mod.rs"]
mod harness;

use std::path::{Path, PathBuf};

fn samples() -> Vec<PathBuf> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy");
    let folders = std::fs::read_dir(deploy).unwrap().map(|entry| entry.unwrap().path());
    let files =
        folders.filter(|folder| folder.is_dir()).flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut samples: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    samples.sort();
    samples
}

/// The effective configuration.
fn checked(sample: &Path) -> toml::Table {
    let mut command = harness::fastjob();
    // The key of a sample is nowhere here, and would be read.
    let place = tempfile::tempdir().unwrap();
    if std::fs::read_to_string(sample).unwrap().contains("key_file") {
        command.env("FASTJOB_CLUSTER__KEY_FILE", harness::cluster_key(place.path()).unwrap());
    }
    let output = command.args(["serve", "--check", "--config"]).arg(sample).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {err}", sample.display());
    String::from_utf8(output.stdout).unwrap().parse().unwrap()
}

#[test]
fn every_sample_configuration_is_accepted_and_shows_no_password() {
    let samples = samples();
    assert_eq!(samples.len(), 7, "{samples:?}");
    for sample in &samples {
        let config = checked(sample);
        let url = config["database"]["url"].as_str().unwrap();
        assert!(!url.contains("***"), "{}: a password in {url}", sample.display());
    }
}

#[test]
fn the_servers_of_a_sample_cluster_share_all_but_their_address() {
    for kind in ["postgres-cluster", "mariadb-cluster"] {
        let own: Vec<PathBuf> =
            samples().into_iter().filter(|sample| sample.parent().unwrap().ends_with(kind)).collect();
        let mut configs: Vec<toml::Table> = own.iter().map(|sample| checked(sample)).collect();
        let mut addresses = Vec::new();
        for config in &mut configs {
            let rpc = config["rpc"].as_table_mut().unwrap();
            addresses.push(rpc.remove("advertise").unwrap().as_str().unwrap().to_owned());
            assert!(config["cluster"].as_table_mut().unwrap().remove("key_file").is_some(), "{kind}");
        }
        addresses.dedup();
        assert_eq!(addresses.len(), 3, "{kind}");
        assert!(configs.iter().all(|config| *config == configs[0]), "{kind}");
    }
}
