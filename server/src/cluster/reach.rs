//! Whether an address that a server advertises is one that it can be reached at.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;

/// How long an address may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connects to the address, `HOST:PORT`, and hangs up. Errors: why not, for people.
pub async fn one(address: &str) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer in {} s", PATIENCE.as_secs())),
    }
}

/// As [`one`], of all at the same time.
pub async fn all<'a>(addresses: impl Iterator<Item = &'a str>) -> Vec<(String, Result<(), String>)> {
    join_all(addresses.map(async |address| (address.to_owned(), one(address).await))).await
}
