//! The cluster key: what servers of one cluster share, and by which they know each other. It is read once, never logged,
//! never shown, and does not itself go over the wire: what is sent is derived from it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tonic::metadata::{Ascii, MetadataValue};

/// What the header of a server's call begins with.
const SCHEME: &str = "Cluster ";
/// How much of a hash tells keys apart.
const ID_BYTES: usize = 16;
/// The shortest key: what follows the last visible character of the file does not count.
const MIN_BYTES: usize = 32;
/// The largest file that may be a key.
const MAX_BYTES: u64 = 4_096;
/// Keeps what is sent apart from any other use of the same key.
const PURPOSE: &[u8] = b"fastjob cluster key, v1\0";
/// As [`PURPOSE`], for what the database keeps.
const ID_PURPOSE: &[u8] = b"fastjob cluster key id, v1\0";

/// The key of this server's cluster.
#[derive(Clone)]
pub struct ClusterKey {
    header: MetadataValue<Ascii>,
    /// Of the header's bytes.
    hash: [u8; 32],
    id: String,
}

/// Why a file is no cluster key: with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("cluster.key_file {path}: {what} ({remedy})")]
pub struct BadKey {
    path: String,
    what: String,
    remedy: &'static str,
}

impl ClusterKey {
    /// Reads a key: at least 32 bytes of base64, hex, or any other text.
    ///
    /// # Errors
    /// The file is missing, too short or too long, or others than its owner may read it.
    pub fn read(path: &Path) -> Result<Self, BadKey> {
        let bad = |what: String, remedy| BadKey { path: path.display().to_string(), what, remedy };
        let failed = |error: std::io::Error| {
            bad(
                format!("cannot be read: {error}"),
                "make one with `head -c 32 /dev/urandom | base64 > cluster.key; chmod 600 cluster.key` and give \
                 each server of the cluster the same",
            )
        };
        let mut file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(bad(
                format!("may be read or written by others than its owner (mode {:04o})", mode & 0o7777),
                "chmod 600 the file",
            ));
        }
        let mut content = Vec::new();
        Read::by_ref(&mut file).take(MAX_BYTES + 1).read_to_end(&mut content).map_err(failed)?;
        if content.len() as u64 > MAX_BYTES {
            return Err(bad(
                format!("has more than {MAX_BYTES} bytes"),
                "give a file with nothing but the key",
            ));
        }
        let key = content.trim_ascii();
        if key.len() < MIN_BYTES {
            return Err(bad(
                format!("has {} bytes, fewer than {MIN_BYTES}", key.len()),
                "make a longer one: `head -c 32 /dev/urandom | base64`",
            ));
        }
        Ok(Self::of(key))
    }

    /// The key of these bytes.
    pub fn of(key: &[u8]) -> Self {
        let derived = |purpose: &[u8]| -> [u8; 32] {
            Sha256::new().chain_update(purpose).chain_update(key).finalize().into()
        };
        let header = hex(SCHEME, &derived(PURPOSE));
        let id = hex("", &derived(ID_PURPOSE)[..ID_BYTES]);
        let hash = Sha256::digest(&header).into();
        let mut header: MetadataValue<Ascii> = header.parse().expect("hex digits are ASCII");
        header.set_sensitive(true);
        Self { header, hash, id }
    }

    /// Tells keys apart in the database, and reveals none.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The `authorization` of a call to another server.
    pub fn header(&self) -> MetadataValue<Ascii> {
        self.header.clone()
    }

    /// Whether a call with this `authorization` comes from a server of the same cluster.
    pub fn is(&self, authorization: &[u8]) -> bool {
        let hash: [u8; 32] = Sha256::digest(authorization).into();
        hash.ct_eq(&self.hash).into()
    }
}

fn hex(prefix: &str, bytes: &[u8]) -> String {
    bytes.iter().fold(prefix.to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
        text
    })
}

impl std::fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClusterKey")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, Result<ClusterKey, BadKey>) {
        let folder = tempfile::tempdir().expect("a place for the key");
        let path = folder.path().join("cluster.key");
        fs::write(&path, content).expect("it is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
        let read = ClusterKey::read(&path);
        (folder, read)
    }

    #[test]
    fn servers_with_the_same_key_know_each_other_and_others_do_not() {
        let key = [b'k'; 32];
        let one = file(&key, 0o600).1.expect("it is long enough");
        let same = file(&[&key[..], b"\n"].concat(), 0o400).1.expect("the line's end does not count");
        let other = file(&[b'o'; 32], 0o600).1.expect("it is long enough");
        assert!(one.is(same.header().as_bytes()) && same.is(one.header().as_bytes()));
        assert!(!one.is(other.header().as_bytes()) && !one.is(b"") && !one.is(&key));
        assert!(one.id() == same.id() && one.id() != other.id());
    }

    #[test]
    fn the_key_is_neither_sent_nor_shown() {
        let key = "a-key-of-more-than-thirty-two-bytes";
        let read = file(key.as_bytes(), 0o600).1.expect("it is long enough");
        let header = read.header();
        let header = header.to_str().expect("it is text");
        assert!(!header.contains(key) && !header.contains(read.id()));
        assert_eq!(
            (format!("{read:?}"), format!("{:?}", read.header())),
            ("ClusterKey".into(), "Sensitive".into())
        );
    }

    #[test]
    fn what_is_no_key_is_refused_with_what_to_do() {
        let cases: [(&[u8], u32, &str); 5] = [
            (&[b'k'; 32], 0o640, "chmod 600"),
            (&[b'k'; 32], 0o602, "chmod 600"),
            (b"short\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", 0o600, "fewer than 32"),
            (b"", 0o600, "fewer than 32"),
            (&[b'k'; 5_000], 0o600, "more than 4096"),
        ];
        for (content, mode, expected) in cases {
            let text = file(content, mode).1.expect_err(expected).to_string();
            assert!(text.contains(expected), "{text}");
        }
        let missing = ClusterKey::read(Path::new("/nowhere/cluster.key")).expect_err("it is not there");
        assert!(missing.to_string().contains("head -c 32 /dev/urandom"), "{missing}");
    }
}
