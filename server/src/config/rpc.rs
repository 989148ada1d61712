//! `[rpc]`: the gRPC listener for workers, clients and servers.

use std::net::{Ipv4Addr, SocketAddr};

use super::settings::{Section, Settings};

/// The gRPC listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rpc {
    /// Where it listens, as `IP:PORT`; port 0 picks a free one. Default `127.0.0.1:7180`. Beyond loopback only with
    /// `insecure_plaintext`.
    pub address: SocketAddr,
    /// What workers and other servers are told to connect to, as `HOST:PORT`, at most 255 characters. Default: the
    /// address that was bound.
    pub advertise: Option<String>,
    /// Allows a listener beyond loopback although nothing on it is encrypted, for networks that encrypt by themselves.
    /// Default false.
    pub insecure_plaintext: bool,
}

impl Rpc {
    /// The default port.
    pub const PORT: u16 = 7180;
    const MAX_ADVERTISE: usize = 255;

    pub(super) fn read(settings: &mut Settings) -> Self {
        let mut section = settings.section("rpc");
        let origin = section.origin("address");
        let address = section.address("address", SocketAddr::from((Ipv4Addr::LOCALHOST, Self::PORT)));
        let insecure_plaintext = section.switch("insecure_plaintext");
        let advertise = advertise(&mut section);
        for key in ["tls_cert", "tls_key", "client_ca"] {
            refuse_tls(&mut section, key);
        }
        require_loopback(&mut section, address, origin, insecure_plaintext);
        if advertise.is_none() && address.ip().is_unspecified() {
            let origin = section.origin("address");
            let message = format!("is missing although address is {address}, to which nobody can connect");
            section.wrong::<()>(
                "advertise",
                origin,
                &message,
                "give the HOST:PORT by which workers reach this server",
            );
        }
        Self { address, advertise, insecure_plaintext }
    }

    pub(super) fn table(&self) -> toml::Table {
        let mut table = toml::Table::new();
        table.insert("address".into(), self.address.to_string().into());
        if let Some(advertise) = &self.advertise {
            table.insert("advertise".into(), advertise.clone().into());
        }
        table.insert("insecure_plaintext".into(), self.insecure_plaintext.into());
        table
    }
}

fn advertise(section: &mut Section<'_>) -> Option<String> {
    let origin = section.origin("advertise");
    let text = section.text("advertise")?;
    let port = text
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty())
        .and_then(|(_, port)| port.parse::<u16>().ok());
    let plain = text.chars().all(|char| char.is_ascii_alphanumeric() || ".-_:[]".contains(char));
    if text.len() <= Rpc::MAX_ADVERTISE && plain && port.is_some_and(|port| port > 0) {
        return Some(text);
    }
    section.wrong(
        "advertise",
        origin,
        &format!("{text:?} is not an address"),
        "give HOST:PORT, as 10.0.0.5:7180",
    )
}

/// Refuses a certificate rather than listening without it.
pub(super) fn refuse_tls(section: &mut Section<'_>, key: &str) {
    let origin = section.origin(key);
    if section.text(key).is_some() {
        let message = "listeners of this version do not speak TLS";
        section.wrong::<()>(key, origin, message, "remove it, and let a proxy on this machine speak TLS");
    }
}

/// Refuses a listener that others could read along.
pub(super) fn require_loopback(
    section: &mut Section<'_>,
    address: SocketAddr,
    origin: String,
    insecure_plaintext: bool,
) {
    if !insecure_plaintext && !address.ip().to_canonical().is_loopback() {
        let message = format!("{address} is beyond loopback, and the listener does not speak TLS");
        let remedy = "listen on 127.0.0.1 behind a proxy that speaks TLS, or set insecure_plaintext = true in this section";
        section.wrong::<()>("address", origin, &message, remedy);
    }
}
