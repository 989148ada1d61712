//! `fastjob token`: access tokens of an app. Needs the administrator's token.

use clap::{Args, Subcommand};
use fastjob_core::id::TokenId;
use fastjob_core::protocol::v1;

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
        let (connection, printer) = self.connect.open()?;
        let app = connection.app()?;
        match self.verb {
            Verb::Create { note, expires_at } => {
                let request = v1::TokenCreateRequest { app, note, expires_at };
                let reply =
                    connection.admin(request, async |mut admin, request| admin.token_create(request).await);
                let reply = reply.await?;
                let token = reply.token.ok_or_else(|| Failure::incomplete("token"))?;
                let mut shape = shape::token(&token);
                shape["token"] = reply.secret.into();
                printer.one(&shape)?;
            }
            Verb::List => {
                let request = v1::TokenListRequest { app };
                let reply =
                    connection.admin(request, async |mut admin, request| admin.token_list(request).await);
                let tokens: Vec<_> = reply.await?.tokens.iter().map(shape::token).collect();
                printer.list(&["id", "note", "created_at", "expires_at", "revoked_at"], &tokens)?;
            }
            Verb::Revoke { id } => {
                let request = v1::TokenRevokeRequest { app, id: id.as_bytes().to_vec().into() };
                connection
                    .admin(request, async |mut admin, request| admin.token_revoke(request).await)
                    .await?;
            }
        }
        Ok(Exit::Done)
    }
}

fn token_id(text: &str) -> Result<TokenId, String> {
    text.parse().map_err(|_| "not a token's id: give a UUID, as `fastjob token list` shows it".into())
}
