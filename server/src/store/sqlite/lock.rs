//! One server per file: a lock file beside the database, held for the life of the process, that names its holder.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind as IoError, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::store::error::{ErrorKind, StoreError};

/// The right to a database file. The operating system takes it back when the process ends, however it ends.
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes `<database>.lock`, or says who has it.
    pub(super) fn take(database: &Path) -> Result<Self, StoreError> {
        let path = lock_path(database);
        let failed = |error: std::io::Error| {
            let (kind, remedy) = match error.kind() {
                IoError::PermissionDenied | IoError::ReadOnlyFilesystem => {
                    (ErrorKind::ReadOnly, "; give the server write access to its directory")
                }
                IoError::NotFound | IoError::NotADirectory => {
                    (ErrorKind::Unavailable, "; the database's directory must exist")
                }
                _ => (ErrorKind::Unavailable, ""),
            };
            StoreError::new(kind, format!("write {}{remedy}", path.display())).because(error)
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(busy(database, &mut file)),
            Err(error) => return Err(failed(error.into())),
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn busy(database: &Path, file: &mut File) -> StoreError {
    let mut holder = String::new();
    // The holder may be about to write it: then nobody is named.
    let _ = file.take(32).read_to_string(&mut holder);
    let holder = match holder.trim() {
        "" => "another server".to_owned(),
        pid => format!("another server (pid {pid})"),
    };
    let message = format!("{}: is held by {holder}; a file serves one server at a time", database.display());
    StoreError::new(ErrorKind::Busy, message)
}
