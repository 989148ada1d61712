//! A clock that a plan can move, for whoever is started with its environment: libfaketime (Debian package `libfaketime`)
//! stands between a program and the wall clock and adds what a file says. The clock that only moves forward is left alone.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The clock.
pub(crate) struct FakeTime {
    place: TempDir,
    library: PathBuf,
}

impl FakeTime {
    /// Whether this machine has what it needs.
    pub(crate) fn is_usable() -> bool {
        library().is_some()
    }

    /// One that shows the right time.
    pub(crate) fn new() -> Result<Self, String> {
        let library = library().ok_or("libfaketime is missing (scripts/setup.sh faketime)")?;
        let failed = |error: std::io::Error| format!("failed to make a clock: {error}");
        let place = tempfile::Builder::new().prefix("fastjob-clock-").tempdir().map_err(failed)?;
        // Databases run as users of their own.
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).map_err(failed)?;
        let clock = Self { place, library };
        clock.set(0)?;
        Ok(clock)
    }

    /// What a program is to be started with.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().into()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }

    /// From now on it is ahead of the machine's clock by so much, or behind it.
    pub(crate) fn set(&self, offset_ms: i64) -> Result<(), String> {
        let next = self.place.path().join("next");
        let seconds = offset_ms.div_euclid(1_000);
        fs::write(&next, format!("{seconds:+}\n"))
            .and_then(|()| fs::rename(&next, self.file()))
            .map_err(|error| format!("failed to move a clock: {error}"))
    }

    fn file(&self) -> PathBuf {
        self.place.path().join("offset")
    }
}

impl Drop for FakeTime {
    /// Programs that were killed leave a piece of shared memory each.
    fn drop(&mut self) {
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let made_by =
                ["faketime_shm_", "sem.faketime_sem_"].iter().find_map(|start| name.strip_prefix(start));
            if made_by.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The one for programs of several threads.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut found =
        folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists());
    found.next()
}
