//! The file that says that a server is ready, and how to reach it: for scripts, samples and the other commands.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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
    let draft = Draft::write(path, content)?;
    draft.publish().inspect_err(|_| draft.discard())
}

/// A private file that is written and not in its place yet.
#[derive(Debug)]
pub struct Draft {
    /// Beside its place, as `admin.token.4711.new`.
    draft: PathBuf,
    path: PathBuf,
}

impl Draft {
    /// Writes the draft of the file at `path`, mode 0600; it is on the disk.
    pub fn write(path: &Path, content: &[u8]) -> io::Result<Self> {
        let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let draft = Self { draft: path.with_file_name(name), path: path.to_owned() };
        // A draft left by a process of the same number is removed rather than reused: its mode may be another.
        match fs::remove_file(&draft.draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.draft)?;
        file.write_all(content).and_then(|()| file.sync_all()).inspect_err(|_| draft.discard())?;
        Ok(draft)
    }

    /// Drafts of the file at `path` that processes have left, with what they hold.
    pub fn left(path: &Path) -> Vec<(Self, String)> {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let Ok(entries) = fs::read_dir(folder.unwrap_or(Path::new("."))) else { return Vec::new() };
        let of_path = |found: &str| {
            let rest = found.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
            rest.and_then(|rest| rest.strip_suffix(".new")).is_some_and(|pid| pid.parse::<u32>().is_ok())
        };
        let drafts = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(of_path));
        let read = |draft: PathBuf| {
            let content = fs::read_to_string(&draft).ok()?;
            Some((Self { draft, path: path.to_owned() }, content))
        };
        drafts.filter_map(|entry| read(entry.path())).collect()
    }

    /// Puts it in its place.
    pub fn publish(&self) -> io::Result<()> {
        fs::rename(&self.draft, &self.path)
    }

    /// Removes it.
    pub fn discard(&self) {
        // A draft that stays is of no use to anyone, and does no harm.
        let _ = fs::remove_file(&self.draft);
    }
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
