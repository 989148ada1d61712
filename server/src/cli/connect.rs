//! Where a command connects to, and as whom: flags, else the environment, else the file of `fastjob dev`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use fastjob_core::client::{Client, Options};

use super::Failure;
use super::print::Printer;
use crate::ready::{DEV_FILE, Ready};

/// Options of every command that speaks to a server.
#[derive(Args, Debug, Clone, Default)]
pub(super) struct Connect {
    /// A server's gRPC address, HOST:PORT; may be repeated [env: FASTJOB_SERVERS, with commas; else ./.fastjob/dev.json].
    #[arg(long = "server", value_name = "ADDR", global = true, value_delimiter = ',')]
    servers: Vec<String>,
    /// The app [env: FASTJOB_APP; else that of ./.fastjob/dev.json].
    #[arg(long, value_name = "NAME", global = true)]
    app: Option<String>,
    /// A file with the access token [env: FASTJOB_TOKEN, the token itself, or FASTJOB_TOKEN_FILE].
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
    /// How to print: a table (default on a terminal), or one JSON object a line (default elsewhere).
    #[arg(short, long, value_name = "FORMAT", global = true)]
    output: Option<Output>,
}

/// How data is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Output {
    Table,
    Json,
}

/// Where to connect, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// At least one, as `HOST:PORT`.
    pub(super) servers: Vec<String>,
    pub(super) app: Option<String>,
    pub(super) token: String,
}

impl Connect {
    /// The same, for an app that was named otherwise than by `--app`.
    pub(super) fn of_app(mut self, name: Option<String>) -> Self {
        self.app = name.or(self.app);
        self
    }

    /// What a command about one app needs: the client, and the printer.
    pub(super) async fn open_app(&self) -> Result<(Client, Printer), Failure> {
        let (client, printer) = self.open().await?;
        if client.app().is_empty() {
            return Err(Failure::usage("--app", "is missing", "give --app NAME, or set FASTJOB_APP"));
        }
        Ok((client, printer))
    }

    /// What a command needs that speaks to no server this time.
    pub(super) fn printer(&self) -> Printer {
        Printer::new(self.output)
    }

    /// What any other command needs.
    pub(super) async fn open(&self) -> Result<(Client, Printer), Failure> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Target { servers, app, token } = self.target(variable, Path::new(DEV_FILE))?;
        let client = Client::connect(Options::new(servers, app.unwrap_or_default(), token)).await?;
        Ok((client, Printer::new(self.output)))
    }

    pub(super) fn target(
        &self,
        variable: impl Fn(&str) -> Option<String>,
        dev: &Path,
    ) -> Result<Target, Failure> {
        let mut servers = self.servers.clone();
        if servers.is_empty() {
            let listed = variable("FASTJOB_SERVERS").unwrap_or_default();
            servers = listed
                .split(',')
                .map(|server| server.trim().to_owned())
                .filter(|server| !server.is_empty())
                .collect();
        }
        // The file's token is for the file's server only: no other ever gets to see it.
        let dev = if servers.is_empty() { Some(read_dev(dev)?) } else { None };
        servers.extend(dev.iter().map(|dev| dev.rpc.clone()));
        let app = self.app.clone().or_else(|| variable("FASTJOB_APP"));
        let app = app.or_else(|| dev.as_ref().and_then(|dev| dev.app.clone()));
        let token = self.token(variable)?.or_else(|| dev.and_then(|dev| dev.token)).ok_or_else(|| {
            Failure::usage(
                "--token-file",
                "there is no access token",
                "give --token-file FILE, or set FASTJOB_TOKEN",
            )
        })?;
        Ok(Target { servers, app, token })
    }

    fn token(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Option<String>, Failure> {
        let (path, field) = match (&self.token_file, variable("FASTJOB_TOKEN")) {
            (Some(path), _) => (path.clone(), "--token-file"),
            (None, Some(token)) => return Ok(Some(token.trim().to_owned())),
            (None, None) => match variable("FASTJOB_TOKEN_FILE") {
                Some(path) => (path.into(), "FASTJOB_TOKEN_FILE"),
                None => return Ok(None),
            },
        };
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let message = format!("cannot read {}: {error}", path.display());
            Failure::usage(field, message, "give a readable file that holds the token alone")
        })?;
        let token = text.trim();
        if token.is_empty() {
            return Err(Failure::usage(
                field,
                format!("{} is empty", path.display()),
                "write the token into it",
            ));
        }
        Ok(Some(token.to_owned()))
    }
}

fn read_dev(path: &Path) -> Result<Ready, Failure> {
    let remedy = "give --server HOST:PORT or set FASTJOB_SERVERS; or start `fastjob dev` in this directory";
    let wrong = |what: String| Failure::usage("--server", what, remedy);
    let text = std::fs::read_to_string(path)
        .map_err(|_| wrong(format!("no server is given, and there is no ./{}", path.display())))?;
    serde_json::from_str(&text)
        .map_err(|error| wrong(format!("{} is not of this version: {error}", path.display())))
}
