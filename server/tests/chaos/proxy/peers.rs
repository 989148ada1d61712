//! Who connected: the name of the process that holds the other end of a socket. All processes of a plan run here, so the
//! kernel's tables tell.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The processes of the plan by name; others have the name "".
#[derive(Clone, Default)]
pub(crate) struct Peers(Arc<Mutex<BTreeMap<u32, String>>>);

impl Peers {
    /// A process and its name, as "worker-1".
    pub(crate) fn add(&self, pid: u32, name: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(pid, name.into());
    }

    /// It ended.
    pub(crate) fn remove(&self, pid: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
    }

    /// The name of who connected from this address.
    pub(super) fn name_of(&self, from: SocketAddr) -> String {
        let Some(socket) = inode_of(from) else { return String::new() };
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let holder = known.into_iter().find(|(pid, _)| holds(*pid, &socket));
        holder.map(|(_, name)| name).unwrap_or_default()
    }
}

/// "socket:[inode]" of the socket that is bound to this address.
fn inode_of(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else { return None };
    let local = format!("{:08X}:{:04X}", u32::from_le_bytes(address.ip().octets()), address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let row = table.lines().skip(1).find(|row| row.split_whitespace().nth(1) == Some(&local))?;
    Some(format!("socket:[{}]", row.split_whitespace().nth(9)?))
}

fn holds(pid: u32, socket: &str) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files
        .filter_map(Result::ok)
        .any(|file| std::fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == socket))
}
