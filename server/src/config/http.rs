//! `[http]`: the listener for health, readiness and metrics.

use std::net::{Ipv4Addr, SocketAddr};

use super::rpc::{refuse_tls, require_loopback};
use super::settings::Settings;

/// The HTTP listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Http {
    /// Where it listens, as `IP:PORT`; port 0 picks a free one. Default `127.0.0.1:7181`. Beyond loopback only with
    /// `insecure_plaintext`.
    pub address: SocketAddr,
    /// Allows a listener beyond loopback although nothing on it is encrypted. Default false.
    pub insecure_plaintext: bool,
}

impl Http {
    /// The default port.
    pub const PORT: u16 = 7181;

    pub(super) fn read(settings: &mut Settings) -> Self {
        let mut section = settings.section("http");
        let origin = section.origin("address");
        let address = section.address("address", SocketAddr::from((Ipv4Addr::LOCALHOST, Self::PORT)));
        let insecure_plaintext = section.switch("insecure_plaintext");
        for key in ["tls_cert", "tls_key"] {
            refuse_tls(&mut section, key);
        }
        require_loopback(&mut section, address, origin, insecure_plaintext);
        Self { address, insecure_plaintext }
    }

    pub(super) fn table(&self) -> toml::Table {
        let mut table = toml::Table::new();
        table.insert("address".into(), self.address.to_string().into());
        table.insert("insecure_plaintext".into(), self.insecure_plaintext.into());
        table
    }
}
