//! The file that says that a server is ready, and how to reach it: for scripts, samples and the other commands.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Where commands look when nothing else says where to connect.
pub const DEV_FILE: &str = ".fastjob/dev.json";

/// What a ready server tells. Its file is private to the user, as it may hold a token.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// The server's process.
    pub pid: u32,
    /// Where gRPC is reached, as `HOST:PORT`.
    pub rpc: String,
    /// Where HTTP is reached.
    pub http: String,
    /// The app of `fastjob dev`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The token of `fastjob dev`: the app's and the administrator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The server's id.
    pub server: String,
}

/// Writes the file with mode 0600 and puts it in place by rename, so that nobody reads half of it.
pub fn write_ready(path: &Path, ready: &Ready) -> io::Result<()> {
    let mut line = serde_json::to_vec(ready)?;
    line.push(b'\n');
    write_private(path, &line)
}

/// Writes a file that only its user may read: mode 0600, by rename, and on the disk before it appears.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let draft = path.with_file_name(name);
    // A draft left by a process of the same number is removed rather than reused: its mode may be another.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written =
        file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // The draft is of no use to anyone; the error that matters is the first.
        let _ = fs::remove_file(&draft);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_ready_file_is_one_private_line_of_json_without_app_and_token_in_service() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        fs::write(&path, "old").unwrap();
        let mut ready = Ready {
            pid: 1,
            rpc: "127.0.0.1:1".into(),
            http: "127.0.0.1:2".into(),
            app: None,
            token: None,
            server: "s".into(),
        };
        write_ready(&path, &ready).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"pid\":1,\"rpc\":\"127.0.0.1:1\",\"http\":\"127.0.0.1:2\",\"server\":\"s\"}\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        ready.app = Some("demo".into());
        ready.token = Some("t".into());
        write_ready(&path, &ready).unwrap();
        assert_eq!(serde_json::from_slice::<Ready>(&fs::read(&path).unwrap()).unwrap(), ready);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }
}
