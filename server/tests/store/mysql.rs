//! What belongs to MariaDB and MySQL alone.

use crate::mariadb::MariaDb;

#[test]
fn a_mariadb_of_the_tests_outlives_its_kills_and_keeps_what_was_written() {
    let server = MariaDb::start().unwrap();
    let url = server.fresh_database().unwrap();
    assert!(url.ends_with("/fastjob_0"), "{url}");
    server.execute("CREATE TABLE fastjob_0.t (a INT) SELECT 7 AS a").unwrap();
    server.kill_9().unwrap();
    assert!(server.execute("SELECT 1").is_err());
    server.start_again().unwrap();
    server.stop().unwrap();
    server.start_again().unwrap();
    assert_eq!(server.execute("SELECT a FROM fastjob_0.t").unwrap(), "7\n");
}
