//! What an administrator may ask of servers and of the places of shards, over a real connection.

mod bench;

use bench::{Bench, CALM, authorized, detail};
use fastjob_core::clock::{Clock, SystemClock};
use fastjob_core::id::ServerId;
use fastjob_core::protocol::v1;
use fastjob_server::store::{Desired, NewServer, ServerPhase};
use tonic::{Code, Status};

/// A server of these bytes and a port of the same number.
async fn join(bench: &Bench, number: u8) -> ServerId {
    let id = ServerId::from_bytes([number; 16]);
    let server = NewServer {
        id,
        rpc_address: format!("10.0.0.1:{number}"),
        http_address: "10.0.0.1:80".into(),
        version: "0".into(),
        at: SystemClock.now(),
    };
    bench.store.server_join(&server).await.expect("it is new");
    id
}

async fn drain(bench: &Bench, token: &str, server: &str) -> Result<(), Status> {
    let request = v1::ServerDrainRequest { server: server.into() };
    bench.admins().server_drain(authorized(request, token)).await.map(drop)
}

async fn move_app(bench: &Bench, token: &str, shard: Option<u32>, to: &str) -> Result<u32, Status> {
    let request = v1::AppMoveRequest { app: "demo".into(), shard, to: to.into() };
    Ok(bench.admins().app_move(authorized(request, token)).await?.into_inner().shards)
}

async fn phase(bench: &Bench, server: ServerId) -> ServerPhase {
    let servers = bench.store.server_list().await.expect("the store works");
    servers.into_iter().find(|row| row.id == server).expect("it joined").phase
}

async fn desired(bench: &Bench) -> Option<Desired> {
    bench.store.owner_list().await.expect("the store works")[0].desired
}

fn code_of(refused: Result<impl std::fmt::Debug, Status>) -> (Code, String) {
    let status = refused.expect_err("it is to be refused");
    let detail = detail(&status);
    assert!(!detail.remedy.is_empty(), "{detail:?}");
    (status.code(), detail.code)
}

#[tokio::test]
async fn only_the_administrator_drains_servers_and_moves_apps() {
    let bench = Bench::start(CALM).await;
    let server = join(&bench, 1).await.to_string();
    join(&bench, 2).await;
    let refused = (Code::PermissionDenied, "admin_only".to_owned());
    assert_eq!(code_of(drain(&bench, &bench.token, &server).await), refused);
    assert_eq!(code_of(move_app(&bench, &bench.token, None, &server).await), refused);
    assert_eq!(desired(&bench).await, None);
}

#[tokio::test]
async fn a_server_is_drained_by_its_id_or_address_and_once_more_is_the_same() {
    let bench = Bench::start(CALM).await;
    let (first, second) = (join(&bench, 1).await, join(&bench, 2).await);
    join(&bench, 3).await;
    drain(&bench, &bench.admin, &first.to_string()).await.expect("it is up");
    drain(&bench, &bench.admin, "10.0.0.1:2").await.expect("it is up");
    drain(&bench, &bench.admin, "10.0.0.1:2").await.expect("it is draining");
    assert_eq!(phase(&bench, first).await, ServerPhase::Draining);
    assert_eq!(phase(&bench, second).await, ServerPhase::Draining);
}

#[tokio::test]
async fn the_last_server_that_is_up_is_not_drained() {
    let bench = Bench::start(CALM).await;
    let (first, second) = (join(&bench, 1).await, join(&bench, 2).await);
    bench.store.server_mark(second, 0, ServerPhase::Dead).await.expect("the store works");
    let refused = code_of(drain(&bench, &bench.admin, &first.to_string()).await);
    assert_eq!(refused, (Code::FailedPrecondition, "last_server".into()));
    assert_eq!(phase(&bench, first).await, ServerPhase::Up);
    let refused = code_of(drain(&bench, &bench.admin, &second.to_string()).await);
    assert_eq!(refused, (Code::FailedPrecondition, "server_dead".into()));
}

#[tokio::test]
async fn a_server_that_does_not_exist_is_named_as_such() {
    let bench = Bench::start(CALM).await;
    for name in ["10.0.0.9:1", "0190b2c4-0000-7000-8000-000000000001", "é", "1' OR 1=1"] {
        assert_eq!(code_of(drain(&bench, &bench.admin, name).await).0, Code::NotFound, "{name}");
        assert_eq!(code_of(move_app(&bench, &bench.admin, None, name).await).0, Code::NotFound, "{name}");
    }
    let long = "x".repeat(100_000);
    for name in ["", &long] {
        assert_eq!(code_of(drain(&bench, &bench.admin, name).await).1, "server_unnamed");
        assert_eq!(code_of(move_app(&bench, &bench.admin, None, name).await).1, "server_unnamed");
    }
}

#[tokio::test]
async fn an_app_moves_only_to_a_server_that_is_up() {
    let bench = Bench::start(CALM).await;
    let (draining, dead, up) = (join(&bench, 1).await, join(&bench, 2).await, join(&bench, 3).await);
    bench.store.server_mark(draining, 0, ServerPhase::Draining).await.expect("the store works");
    bench.store.server_mark(dead, 0, ServerPhase::Dead).await.expect("the store works");
    for server in [draining, dead] {
        let refused = code_of(move_app(&bench, &bench.admin, None, &server.to_string()).await);
        assert_eq!(refused, (Code::FailedPrecondition, "server_not_up".into()));
    }
    assert_eq!(desired(&bench).await, None);
    assert_eq!(move_app(&bench, &bench.admin, Some(0), &up.to_string()).await.expect("it is up"), 1);
    assert_eq!(desired(&bench).await.map(|desired| desired.server), Some(up));
}

#[tokio::test]
async fn a_shard_that_the_app_has_not_is_refused_by_field_and_one_that_is_there_already_stays() {
    let bench = Bench::start(CALM).await;
    let up = join(&bench, 1).await;
    for shard in [1, 65_536, u32::MAX] {
        let status =
            move_app(&bench, &bench.admin, Some(shard), &up.to_string()).await.expect_err("no such shard");
        assert_eq!((status.code(), &*detail(&status).field), (Code::InvalidArgument, "shard"));
    }
    let seen = bench.store.owner_list().await.expect("the store works");
    bench.store.shards_claim(&seen, up, SystemClock.now()).await.expect("the store works");
    assert_eq!(move_app(&bench, &bench.admin, None, &up.to_string()).await.expect("it is up"), 0);
    assert_eq!(desired(&bench).await, None);
}
