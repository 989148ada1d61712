//! Every bad input and the message it gets.

use super::*;

/// Loads a file with this text, under these variables.
fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fastjob.toml");
    std::fs::write(&path, text).unwrap();
    let environment =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let sources = Sources { file: Some(path), environment, ..Sources::default() };
    let shorten =
        |errors: ConfigErrors| errors.to_string().replace(&format!("{}/", folder.path().display()), "");
    Config::load(&sources).map_err(shorten)
}

#[test]
fn nothing_given_yields_the_documented_defaults() {
    let config = load("", &[]).unwrap();
    assert_eq!(config.rpc.address.to_string(), "127.0.0.1:7180");
    assert_eq!(config.http.address.to_string(), "127.0.0.1:7181");
    assert_eq!(config.database.engine, Engine::Sqlite { path: "fastjob.db".into() });
    assert_eq!(
        (config.cluster.lease_ms, config.cluster.renew_ms, config.cluster.horizon_ms),
        (4_000, 1_000, 15_000)
    );
    assert_eq!(config.defaults.worker_lost_after_ms, 30_000);
    assert_eq!(config.log.format, LogFormat::Text);
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_file_which_wins_over_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fastjob.toml");
    std::fs::write(&path, "[cluster]\nlease_ms = 5000\nhorizon_ms = 5000\n[log]\nformat = \"json\"").unwrap();
    let sources = Sources {
        program: vec![("database.url", "sqlite:a.db".into()), ("cluster.lease_ms", "9000".into())],
        file: Some(path),
        environment: vec![
            ("FASTJOB_CLUSTER__HORIZON_MS".into(), "6000".into()),
            ("FASTJOB_RPC__ADDRESS".into(), "127.0.0.1:1".into()),
        ],
        flags: vec![("rpc.address", "127.0.0.1:0".into(), "--rpc")],
    };
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.database.engine, Engine::Sqlite { path: "a.db".into() });
    assert_eq!((config.cluster.lease_ms, config.cluster.horizon_ms), (5_000, 6_000));
    assert_eq!(config.rpc.address.port(), 0);
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn a_bad_setting_is_named_with_its_place_and_a_remedy() {
    let table: &[(&str, &str, &str)] = &[
        (
            "[cluster]\nleese_ms = 1",
            "error: cluster.leese_ms: is not a known key (fastjob.toml, line 2)",
            "did you mean cluster.lease_ms?",
        ),
        (
            "[clusterr]\nlease_ms = 1",
            "error: clusterr.lease_ms: is not a known key",
            "did you mean cluster.lease_ms?",
        ),
        ("[zzz]", "error: zzz: is not a known key (fastjob.toml, line 1)", "the sections are rpc, http"),
        ("lease_ms = 1", "error: lease_ms: is not a known key", "remedy: "),
        ("[rpc", "error: is not TOML: ", "(fastjob.toml, line 1)"),
        (
            "[cluster]\nlease_ms = 3000",
            "cluster.lease_ms: is 3000: shorter than three renewals",
            "give at least 3250, or lower renew_ms to at most 916",
        ),
        (
            "[cluster]\nhorizon_ms = 1",
            "cluster.horizon_ms: is 1: out of bounds",
            "from 1000 to 300000; the default is 15000",
        ),
        ("[cluster]\nlease_ms = \"4000\"", "cluster.lease_ms: is not an integer", "remedy: give an integer"),
        (
            "[cluster]\nlease_ms = 99999999999999999999",
            "cluster.lease_ms: is an integer out of range",
            "remedy: ",
        ),
        ("[cluster]\nlease_ms = [1]", "cluster.lease_ms: is an array", "remedy: "),
        (
            "[rpc]\naddress = \"0.0.0.0:7180\"\nadvertise = \"a:1\"",
            "rpc.address: 0.0.0.0:7180 is beyond loopback",
            "insecure_plaintext = true",
        ),
        (
            "[http]\naddress = \"[::]:7181\"",
            "http.address: [::]:7181 is beyond loopback",
            "insecure_plaintext = true",
        ),
        ("[rpc]\naddress = \"localhost\"", "rpc.address: \"localhost\" is not an address", "give IP:PORT"),
        ("[rpc]\naddress = \"\"", "rpc.address: is empty", "remedy: "),
        ("[rpc]\nadvertise = \"host\"", "rpc.advertise: \"host\" is not an address", "HOST:PORT"),
        (
            "[rpc]\naddress = \"0.0.0.0:1\"\ninsecure_plaintext = true",
            "rpc.advertise: is missing",
            "HOST:PORT",
        ),
        ("[rpc]\ninsecure_plaintext = 1", "rpc.insecure_plaintext: is neither true nor false", "remedy: "),
        ("[rpc]\ntls_cert = \"a.pem\"", "rpc.tls_cert: listeners of this version do not speak TLS", "proxy"),
        (
            "[database]\nurl = \"postgres://u:secret@h\"",
            "database.url: names no database",
            "host:port/database",
        ),
        ("[database]\nurl = \"mysql://u:secret@/d\"", "database.url: names no host", "host:port/database"),
        (
            "[database]\nurl = \"postgres://u:secret@h/d\"",
            "cluster.key_file: is missing",
            "head -c 32 /dev/urandom | base64",
        ),
        ("[database]\nurl = \"fastjob.db\"", "database.url: has no scheme", "sqlite:fastjob.db"),
        ("[database]\nurl = \"sqlite::memory:\"", "database.url: names no file", "remedy: "),
        ("[database]\nmax_connections = 0", "database.max_connections: is 0: out of bounds", "from 1 to 256"),
        (
            "[defaults]\nworker_lost_after_ms = 999",
            "defaults.worker_lost_after_ms: is 999",
            "from 1000 to 86400000",
        ),
        ("[log]\nformat = \"xml\"", "log.format: \"xml\" is not a format", "give text or json"),
    ];
    for (text, message, remedy) in table {
        let error = load(text, &[]).expect_err(text);
        assert!(error.contains(message), "{text:?} yields {error:?}, without {message:?}");
        assert!(error.contains(remedy), "{text:?} yields {error:?}, without {remedy:?}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_wrong_variable_is_named_and_those_of_clients_and_samples_are_passed_over() {
    let error = load("", &[("FASTJOB_CLUSTER__LEESE_MS", "1")]).unwrap_err();
    assert!(
        error.contains("cluster.leese_ms: is not a known key (variable FASTJOB_CLUSTER__LEESE_MS)"),
        "{error}"
    );
    let error = load("", &[("FASTJOB_DATABASE_URL", "sqlite:a.db")]).unwrap_err();
    assert!(error.contains("FASTJOB_DATABASE__URL"), "{error}");
    let others = ["SERVERS", "APP", "TOKEN", "TOKEN_FILE", "SAMPLE_LOG", "FAILPOINT", "LOG"];
    let others: Vec<_> = others.iter().map(|name| format!("FASTJOB_{name}")).collect();
    let others: Vec<_> = others.iter().map(|name| (name.as_str(), "x")).collect();
    assert_eq!(load("", &others), load("", &[]));
}

#[test]
fn all_errors_are_told_at_once() {
    let error = load("[cluster]\nrenew_ms = 1\n[log]\nformat = \"x\"\n[rpc]\nport = 1", &[]).unwrap_err();
    for field in ["cluster.renew_ms", "log.format", "rpc.port"] {
        assert!(error.contains(field), "{error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let sources = Sources { file: Some("/nowhere/fastjob.toml".into()), ..Sources::default() };
    let error = Config::load(&sources).unwrap_err().to_string();
    assert!(error.contains("cannot read the configuration file /nowhere/fastjob.toml"), "{error}");
}

#[test]
fn what_is_shown_loads_as_the_same_configuration() {
    let config = load("[rpc]\nadvertise = \"a.example:7180\"\n[cluster]\nkey_file = \"k\"", &[]).unwrap();
    assert_eq!(load(&config.show(), &[]), Ok(config));
}
