//! One connection per server address, made when it is first used.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tonic::transport::{Channel, Endpoint};

use super::Error;

/// The connections of a client and of its workers.
#[derive(Default)]
pub(super) struct Channels {
    by_address: Mutex<HashMap<String, Channel>>,
}

/// Addresses kept at most; a cluster that hands out more in its life starts the cache anew.
const MAX_CHANNELS: usize = 256;
/// Bytes that may be under way to this side, of a stream and of a connection: with less, a full frame waits for its
/// receiver's leave half way.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

impl Channels {
    /// The connection to this "host:port".
    pub(super) fn get(&self, address: &str) -> Result<Channel, Error> {
        let mut channels = self.by_address.lock();
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let channel = endpoint(address)?.connect_lazy();
        if channels.len() >= MAX_CHANNELS {
            channels.clear();
        }
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    /// The next one to this address is a new one. A link that went silent looks alive until a keepalive fails: 15 s.
    pub(super) fn leave(&self, address: &str) {
        self.by_address.lock().remove(address);
    }
}

/// How an address is connected to.
pub(super) fn endpoint(address: &str) -> Result<Endpoint, Error> {
    let wrong = || {
        Error::invalid("bad_address", "servers", format!("{address:?} is not an address"))
            .with_remedy("give host:port, as \"127.0.0.1:7180\"")
    };
    let authority: tonic::codegen::http::uri::Authority = address.parse().map_err(|_| wrong())?;
    if authority.port_u16().is_none() || authority.as_str().contains('@') {
        return Err(wrong());
    }
    let endpoint = Endpoint::from_shared(format!("http://{authority}")).map_err(|_| wrong())?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true))
}
