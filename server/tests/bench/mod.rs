//! A server on a loopback port whose owners the test plays, and a worker that the test plays too.
#![expect(dead_code, unreachable_pub, reason = "each test program uses a part")]

use std::sync::Arc;
use std::time::Duration;

use fastjob_core::clock::{Clock, SystemClock};
use fastjob_core::domain::Name;
use fastjob_core::id::{AppId, Chance, Epoch, ServerId, ShardKey, TokenId};
use fastjob_core::protocol::v1;
use fastjob_core::protocol::v1::admin_client::AdminClient;
use fastjob_core::protocol::v1::client_client::ClientClient;
use fastjob_core::protocol::v1::worker_client::WorkerClient;
use fastjob_core::shard::Message;
use fastjob_server::api::auth::{Auth, Secret};
use fastjob_server::api::{Api, Parts};
use fastjob_server::cluster::directory::{Directory, Owner};
use fastjob_server::cluster::peers::Peers;
use fastjob_server::owner::door::{Door, Doors, Knock};
use fastjob_server::owner::waiters::Waiters;
use fastjob_server::rpc::{self, Pace};
use fastjob_server::store::{App, NewApp, NewToken, Store, StoreOptions};
use fastjob_server::trust::Trust;
use fastjob_server::trust::time::DatabaseTime;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use v1::server_message::Message as ServerWord;
use v1::worker_message::Message as WorkerWord;

/// Longer than anything that is waited for here; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A lease that outlasts every test.
const LONG: Duration = Duration::from_secs(3_600);

/// A pace at which nothing times out.
pub const CALM: Pace = Pace { ping_ms: 20, silence_ms: 60_000, lost_after_ms: 60_000 };

/// A server with one app, `demo`.
pub struct Bench {
    pub api: Api,
    pub store: Store,
    pub doors: Doors,
    pub directory: Directory,
    pub trust: Trust,
    pub waiters: Waiters,
    pub app: App,
    /// Of the app.
    pub token: String,
    pub admin: String,
    pub stop: CancellationToken,
    channel: Channel,
    server: JoinSet<()>,
    _data: tempfile::TempDir,
}

impl Bench {
    pub async fn start(pace: Pace) -> Self {
        Self::with_shards(1, pace).await
    }

    /// One whose app has so many shards.
    pub async fn with_shards(shards: u16, pace: Pace) -> Self {
        let data = tempfile::tempdir().expect("a place for the database");
        let url = format!("sqlite:{}", data.path().join("fastjob.db").display());
        let store = Store::open(&url, StoreOptions::default()).await.expect("a new database");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let auth = Auth::new(store.clone(), Arc::clone(&clock));
        let (admin, token) = (Secret::new(), Secret::new());
        store.admin_token_init(&new_token(&admin)).await.expect("the store works");
        let app =
            NewApp { name: name("demo"), shards, token: new_token(&token), created_at: SystemClock.now() };
        let app = store.app_create(&app).await.expect("the store works").expect("the name is free");
        auth.refresh().await.expect("the store works");
        let (doors, directory, waiters) = (Doors::default(), Directory::default(), Waiters::default());
        let trust = Trust::new(DatabaseTime::new(Arc::clone(&clock)));
        trust.extend(clock.elapsed(), LONG);
        let api = Api::new(Parts {
            store: store.clone(),
            doors: doors.clone(),
            directory: directory.clone(),
            trust: trust.clone(),
            waiters: waiters.clone(),
            auth,
            clock,
            server: ServerId::from_bytes([9; 16]),
            shards_changed: Arc::new(Notify::new()),
            peers: Peers::new(None, Arc::new(SystemClock)),
            inbox: Arc::new(Notify::new()),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let stop = CancellationToken::new();
        let mut server = JoinSet::new();
        let serving = rpc::serve(listener, api.clone(), pace, stop.clone());
        server.spawn(async move { serving.await.expect("the listener works") });
        let channel = Channel::from_shared(format!("http://{address}")).expect("an address");
        let channel = channel.connect().await.expect("the server listens");
        let (token, admin) = (token.reveal(), admin.reveal());
        Self {
            api,
            store,
            doors,
            directory,
            trust,
            waiters,
            app,
            token,
            admin,
            stop,
            channel,
            server,
            _data: data,
        }
    }

    pub fn shard(&self) -> ShardKey {
        ShardKey { app: self.app.id, shard: 0 }
    }

    /// Owns the app's shard from now on.
    pub fn own(&self) -> OwnerSide {
        self.directory_says(Some("127.0.0.1:7180"));
        self.own_shard(0)
    }

    /// Owns this shard from now on, whatever the directory says.
    pub fn own_shard(&self, shard: u16) -> OwnerSide {
        let (door, queue) = Door::new(ShardKey { shard, ..self.shard() }, Epoch(7));
        self.doors.insert(door.clone());
        OwnerSide { door, queue }
    }

    /// What the directory says of the app's shard.
    pub fn directory_says(&self, address: Option<&str>) {
        self.directory_says_all(&[address]);
    }

    /// What the directory says of the app's shards.
    pub fn directory_says_all(&self, addresses: &[Option<&str>]) {
        let owner = |(shard, address): (u16, &Option<&str>)| Owner {
            shard: ShardKey { shard, ..self.shard() },
            epoch: Epoch(7),
            address: address.map(Into::into),
            server: None,
        };
        let owners = (0..).zip(addresses).map(owner).collect();
        self.directory.fill(owners, vec!["127.0.0.1:7180".into()]);
    }

    /// A worker's stream with this token, on which nothing was said.
    pub async fn stream(&self, token: &str) -> Result<WorkerSide, Status> {
        let (out, frames) = mpsc::channel(64);
        let request = authorized(ReceiverStream::new(frames), token);
        let mut client = self.workers().max_encoding_message_size(usize::MAX);
        let inbound = patiently(client.session(request)).await?.into_inner();
        Ok(WorkerSide { out, inbound, heard: Vec::new() })
    }

    /// A worker's stream whose Hello was said and heard.
    pub async fn greeted(
        &self,
        owner: &mut OwnerSide,
    ) -> (WorkerSide, mpsc::Sender<Vec<fastjob_core::shard::Frame>>) {
        let worker = self.stream(&self.token).await.expect("the token is valid");
        worker.say(WorkerWord::Hello(hello())).await;
        let frames = owner.stream().await;
        assert!(matches!(owner.message().await, Message::Hello { .. }));
        (worker, frames)
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub fn workers(&self) -> WorkerClient<Channel> {
        WorkerClient::new(self.channel.clone())
    }

    pub fn clients(&self) -> ClientClient<Channel> {
        ClientClient::new(self.channel.clone())
    }

    pub fn admins(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel.clone())
    }

    /// Stops the server and waits for its end.
    pub async fn stopped(&mut self) {
        self.stop.cancel();
        patiently(self.server.join_next()).await.expect("it runs").expect("it does not panic");
    }
}

/// The owner that the test plays.
pub struct OwnerSide {
    pub door: Door,
    pub queue: mpsc::Receiver<Knock>,
}

impl OwnerSide {
    pub async fn knock(&mut self) -> Knock {
        patiently(self.queue.recv()).await.expect("the door is open")
    }

    pub async fn stream(&mut self) -> mpsc::Sender<Vec<fastjob_core::shard::Frame>> {
        match self.knock().await {
            Knock::Stream { frames, .. } => frames,
            other => panic!("not a stream: {other:?}"),
        }
    }

    pub async fn message(&mut self) -> Message {
        match self.knock().await {
            Knock::Message(message) => message,
            other => panic!("not a message: {other:?}"),
        }
    }
}

/// The worker that the test plays.
pub struct WorkerSide {
    pub out: mpsc::Sender<v1::WorkerFrame>,
    pub inbound: Streaming<v1::ServerFrame>,
    heard: Vec<ServerWord>,
}

impl WorkerSide {
    pub async fn say(&self, word: WorkerWord) {
        self.say_all(vec![word]).await;
    }

    pub async fn say_all(&self, words: Vec<WorkerWord>) {
        let messages = words.into_iter().map(|word| v1::WorkerMessage { message: Some(word) }).collect();
        self.out.send(v1::WorkerFrame { messages }).await.expect("the stream is open");
    }

    pub async fn frame(&mut self) -> Result<Option<v1::ServerFrame>, Status> {
        patiently(self.inbound.message()).await
    }

    /// The next word that is no ping.
    pub async fn hear(&mut self) -> Result<Option<ServerWord>, Status> {
        loop {
            if !self.heard.is_empty() {
                return Ok(Some(self.heard.remove(0)));
            }
            let Some(frame) = self.frame().await? else { return Ok(None) };
            let words = frame.messages.into_iter().filter_map(|message| message.message);
            self.heard.extend(words.filter(|word| !matches!(word, ServerWord::Ping(_))));
        }
    }

    pub async fn ping(&mut self) -> v1::Ping {
        loop {
            let frame = self.frame().await.expect("the stream lives").expect("the stream goes on");
            let mut words = frame.messages.into_iter().filter_map(|message| message.message);
            if let Some(ServerWord::Ping(ping)) = words.find(|word| matches!(word, ServerWord::Ping(_))) {
                return ping;
            }
        }
    }

    /// The status that ends the stream.
    pub async fn refused(&mut self) -> Status {
        loop {
            match self.hear().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without a status"),
                Err(status) => return status,
            }
        }
    }
}

pub async fn patiently<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it happens in time")
}

pub fn authorized<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let header = format!("Bearer {token}").parse().expect("a token is ASCII");
    request.metadata_mut().insert("authorization", header);
    request
}

pub fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

pub fn hello() -> v1::Hello {
    v1::Hello {
        app: "demo".into(),
        session: vec![1; 16].into(),
        ordinal: 1,
        worker: "host:1".into(),
        sdk: "test/1".into(),
        protocol: 1,
        handlers: vec![v1::Handler { name: "greet".into(), version: String::new() }],
        slots: 8,
        ..v1::Hello::default()
    }
}

pub fn detail(status: &Status) -> v1::ErrorDetail {
    fastjob_core::protocol::refusal::detail_of(status).expect("a refusal carries its detail")
}

pub fn new_token(secret: &Secret) -> NewToken {
    let now = SystemClock.now();
    NewToken {
        id: TokenId::new(
            now,
            &mut Chance::from_seed(u64::from_le_bytes(secret.hash()[..8].try_into().expect("8"))),
        ),
        app: None::<AppId>,
        hash: secret.hash(),
        note: String::new(),
        created_at: now,
        expires_at: None,
    }
}
