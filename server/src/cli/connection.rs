//! Calls to whichever of the given servers answers. Only calls that may be repeated without harm go through here: a
//! trigger carries a request id, and all others lead to the same end when they are made twice.

use std::time::Duration;

use fastjob_core::clock::{Clock, SystemClock};
use fastjob_core::protocol::v1::admin_client::AdminClient;
use fastjob_core::protocol::v1::client_client::ClientClient;
use fastjob_core::protocol::v1::worker_client::WorkerClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use super::connect::Target;
use super::{Exit, Failure};

/// A call that no server takes is tried again for this long: longer than a takeover.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two rounds over the servers: doubled each time, from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest call is a wait of [`super::job_run::WAIT_CALL_MS`].
const CALL_TIMEOUT: Duration = Duration::from_secs(45);
/// The largest reply: a page of 500 runs with parameters, results and traces at their bounds.
const MAX_REPLY_BYTES: usize = 128 * 1024 * 1024;

/// The services of the servers.
pub(super) struct Connection {
    channels: Vec<(String, Channel)>,
    token: MetadataValue<Ascii>,
    app: Option<String>,
}

impl Connection {
    /// Connects lazily: the first call finds out whether a server is there.
    pub(super) fn new(target: Target) -> Result<Self, Failure> {
        let channels = target.servers.into_iter().map(channel).collect::<Result<_, _>>()?;
        let mut token: MetadataValue<Ascii> = format!("Bearer {}", target.token).parse().map_err(|_| {
            Failure::usage(
                "--token-file",
                "the token has characters that no token has",
                "give the token alone",
            )
        })?;
        token.set_sensitive(true);
        Ok(Self { channels, token, app: target.app })
    }

    /// The app that the command is about.
    pub(super) fn app(&self) -> Result<String, Failure> {
        self.app
            .clone()
            .ok_or_else(|| Failure::usage("--app", "is missing", "give --app NAME, or set FASTJOB_APP"))
    }

    /// Calls the client's service.
    pub(super) async fn client<Q: Clone, A>(
        &self,
        message: Q,
        call: impl AsyncFn(ClientClient<Channel>, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Failure> {
        self.call(async |channel| {
            let client = ClientClient::new(channel).max_decoding_message_size(MAX_REPLY_BYTES);
            call(client, self.request(message.clone())).await
        })
        .await
    }

    /// Calls the administrator's service.
    pub(super) async fn admin<Q: Clone, A>(
        &self,
        message: Q,
        call: impl AsyncFn(AdminClient<Channel>, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Failure> {
        self.call(async |channel| call(AdminClient::new(channel), self.request(message.clone())).await).await
    }

    /// Calls the workers' service.
    pub(super) async fn worker<Q: Clone, A>(
        &self,
        message: Q,
        call: impl AsyncFn(WorkerClient<Channel>, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Failure> {
        self.call(async |channel| call(WorkerClient::new(channel), self.request(message.clone())).await).await
    }

    fn request<Q>(&self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.token.clone());
        request.set_timeout(CALL_TIMEOUT);
        request
    }

    /// Asks one server after the other, in rounds, until one answers or patience is over.
    async fn call<A>(
        &self,
        call: impl AsyncFn(Channel) -> Result<Response<A>, Status>,
    ) -> Result<A, Failure> {
        let give_up = SystemClock.elapsed() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            let mut last = None;
            for (server, channel) in &self.channels {
                match call(channel.clone()).await {
                    Ok(response) => return Ok(response.into_inner()),
                    Err(status) if status.code() == Code::Unavailable => last = Some((server, status)),
                    Err(status) => return Err(status.into()),
                }
            }
            if SystemClock.elapsed() + pause >= give_up {
                let (server, status) = last.expect("there is at least one server");
                return Err(unreachable(server, status));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}

fn channel(server: String) -> Result<(String, Channel), Failure> {
    let wrong = || {
        Failure::usage(
            "--server",
            format!("{server:?} is not an address"),
            "give HOST:PORT, as 127.0.0.1:7180",
        )
    };
    let authority: tonic::codegen::http::uri::Authority = server.parse().map_err(|_| wrong())?;
    if authority.port_u16().is_none() || server.contains('@') {
        return Err(wrong());
    }
    let endpoint = Endpoint::from_shared(format!("http://{server}")).map_err(|_| wrong())?;
    Ok((server, endpoint.connect_timeout(CONNECT_TIMEOUT).connect_lazy()))
}

/// A refusal of a server keeps its own words; a connection that failed is named.
fn unreachable(server: &str, status: Status) -> Failure {
    let failure = Failure::from(status);
    if !failure.remedy.is_empty() || !failure.field.is_empty() {
        return failure;
    }
    Failure {
        exit: Exit::Unreachable,
        field: "--server".to_owned(),
        message: format!("no server answers; the last tried was {server}: {}", failure.message),
        remedy: "check that the server is up and the address is its gRPC address".to_owned(),
    }
}
