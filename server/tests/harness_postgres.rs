//! The PostgreSQL server of the tests is what they take it for.

#[path = "harness/postgres.rs"]
mod postgres;

use postgres::{Postgres, Stop};

#[test]
fn what_was_committed_outlives_a_stop_and_a_kill_and_the_server_goes_with_its_owner() {
    let server = Postgres::start().unwrap();
    server.fresh_database().unwrap();
    server.execute("fresh_0", "CREATE TABLE t (n int)").unwrap();
    for n in 1..=3 {
        server.execute("fresh_0", &format!("INSERT INTO t VALUES ({n})")).unwrap();
        match n {
            1 => server.stop(Stop::Fast).unwrap(),
            2 => server.stop(Stop::Immediate).unwrap(),
            _ => server.kill_9().unwrap(),
        }
        server.start_again().unwrap();
    }
    assert_eq!(server.execute("fresh_0", "SELECT count(*) FROM t").unwrap(), "3\n");
    let port = server.port();
    drop(server);
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}
