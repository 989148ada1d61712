//! Where the servers are and who calls. Reads the environment only when asked to.

use std::fmt;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};

use super::Error;

/// How a client reaches its servers.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// "host:port" of some servers of the cluster, at least one; the others are learned from it.
    pub servers: Vec<String>,
    /// The app. May be empty for the administrator's calls.
    pub app: String,
    /// What proves who calls: an app's token, or the administrator's.
    pub token: String,
    /// How long a call is tried before it ends in [`super::ErrorKind::Unavailable`]. Default 10 s.
    pub call_timeout: Duration,
}

impl Options {
    /// Default of [`Options::call_timeout`].
    pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

    /// Options with the defaults for all else.
    pub fn new(
        servers: impl IntoIterator<Item = impl Into<String>>,
        app: impl Into<String>,
        token: impl Into<String>,
    ) -> Self {
        Self {
            servers: servers.into_iter().map(Into::into).collect(),
            app: app.into(),
            token: token.into(),
            call_timeout: Self::CALL_TIMEOUT,
        }
    }

    /// From `FASTJOB_SERVERS` (with commas between several), `FASTJOB_APP`, and `FASTJOB_TOKEN` or the file that
    /// `FASTJOB_TOKEN_FILE` names.
    ///
    /// # Errors
    /// [`super::ErrorKind::Invalid`] names the variable that is missing or wrong.
    pub fn from_env() -> Result<Self, Error> {
        let servers = required("FASTJOB_SERVERS")?;
        let servers = servers.split(',').map(str::trim).filter(|server| !server.is_empty());
        let servers = servers.map(str::to_owned).collect::<Vec<_>>();
        Ok(Self::new(servers, required("FASTJOB_APP")?, token_from_env()?))
    }

    /// Every option within its bounds, and the token as it is sent.
    pub(super) fn check(&self) -> Result<MetadataValue<Ascii>, Error> {
        if self.servers.is_empty() {
            let error = Error::invalid("no_servers", "servers", "no server is given");
            return Err(error.with_remedy("set FASTJOB_SERVERS or Options::servers, as \"127.0.0.1:7180\""));
        }
        let bearer = format!("Bearer {}", self.token);
        let mut bearer = MetadataValue::try_from(bearer).map_err(|_| {
            Error::invalid("bad_token", "token", "the token has characters that no token has")
                .with_remedy("give it as it was shown, without line ends")
        })?;
        bearer.set_sensitive(true);
        Ok(bearer)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Options");
        shown.field("servers", &self.servers).field("app", &self.app);
        shown.field("token", &"(not shown)").field("call_timeout", &self.call_timeout).finish()
    }
}

fn token_from_env() -> Result<String, Error> {
    if let Some(token) = read("FASTJOB_TOKEN")? {
        return Ok(token.trim().to_owned());
    }
    let Some(path) = read("FASTJOB_TOKEN_FILE")? else {
        return Err(
            missing("FASTJOB_TOKEN").with_remedy("set FASTJOB_TOKEN, or FASTJOB_TOKEN_FILE to its file")
        );
    };
    match std::fs::read_to_string(&path) {
        Ok(token) => Ok(token.trim().to_owned()),
        Err(error) => {
            let message = format!("failed to read the token from {path}: {error}");
            Err(Error::invalid("bad_token_file", "FASTJOB_TOKEN_FILE", message))
        }
    }
}

fn required(variable: &'static str) -> Result<String, Error> {
    read(variable)?.ok_or_else(|| missing(variable).with_remedy(format!("set {variable}")))
}

fn read(variable: &'static str) -> Result<Option<String>, Error> {
    match std::env::var(variable) {
        Ok(value) if value.trim().is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Error::invalid("bad_environment", variable, format!("{variable} is not UTF-8")))
        }
    }
}

fn missing(variable: &'static str) -> Error {
    Error::invalid("missing_environment", variable, format!("the environment has no {variable}"))
}
