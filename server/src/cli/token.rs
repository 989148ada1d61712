//! `fastjob token`: access tokens of an app. Needs the administrator's token.

use clap::{Args, Subcommand};
use fastjob_core::clock::Millis;
use fastjob_core::id::TokenId;

use super::connect::Connect;
use super::{Exit, Failure, args, shape};

/// `fastjob token`.
#[derive(Args, Debug)]
pub(super) struct TokenCommand {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Create a token; printed this once. An app has at most two that are valid.
    Create {
        /// For people; at most 128 characters.
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// When it expires [default: never].
        #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true)]
        expires_at: Option<i64>,
    },
    /// List tokens, without their secrets.
    List,
    /// Revoke a token; streams that use it end.
    Revoke {
        #[arg(value_parser = token_id)]
        id: TokenId,
    },
}

impl TokenCommand {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let (client, printer) = self.connect.open_app().await?;
        let app = client.app();
        match self.verb {
            Verb::Create { note, expires_at } => {
                let created = client.token_create(app, &note, expires_at.map(Millis::new)).await?;
                let token = created.token.ok_or_else(|| Failure::incomplete("token"))?;
                let mut shape = shape::token(&token);
                shape["token"] = created.secret.into();
                printer.one(&shape)?;
            }
            Verb::List => {
                let tokens: Vec<_> = client.token_list(app).await?.iter().map(shape::token).collect();
                printer.list(&["id", "note", "created_at", "expires_at", "revoked_at"], &tokens)?;
            }
            Verb::Revoke { id } => client.token_revoke(app, id).await?,
        }
        Ok(Exit::Done)
    }
}

fn token_id(text: &str) -> Result<TokenId, String> {
    text.parse().map_err(|_| "not a token's id: give a UUID, as `fastjob token list` shows it".into())
}
