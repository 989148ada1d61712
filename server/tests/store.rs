//! What the sentences of the store mean, on every backend: each case is written once and runs on a fresh database.
//! What belongs to one database alone, as its file and its lock, is in a module of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it stopped")]

#[path = "store/apps.rs"]
mod apps;
#[path = "store/bundle.rs"]
mod bundle;
#[path = "store/commits.rs"]
mod commits;
#[path = "store/facts.rs"]
mod facts;
#[path = "store/inbox.rs"]
mod inbox;
#[path = "store/invariants.rs"]
mod invariants;
#[path = "store/links.rs"]
mod links;
#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "harness/mariadb.rs"]
mod mariadb;
#[path = "store/model.rs"]
mod model;
#[path = "store/mysql.rs"]
mod mysql;
#[path = "store/ownership.rs"]
mod ownership;
#[path = "store/postgres.rs"]
mod postgres;
#[path = "harness/postgres.rs"]
mod postgres_harness;
#[path = "store/queries.rs"]
mod queries;
#[path = "store/races.rs"]
mod races;
#[path = "store/rate.rs"]
mod rate;
#[path = "store/sqlite.rs"]
mod sqlite;
#[path = "harness/supervised.rs"]
mod supervised;

/// Runs each of these cases of a module on each backend.
#[macro_export]
macro_rules! on_every_backend {
    ($($case:ident)+) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case($crate::bundle::Bundle::sqlite().await).await;
                }
            )+
        }

        $crate::on_every_server_backend! { $($case)+ }
    };
}

/// As [`on_every_backend`], on those that several servers share.
#[macro_export]
macro_rules! on_every_server_backend {
    ($($case:ident)+) => {
        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case($crate::bundle::Bundle::postgres().await).await;
                }
            )+
        }

        mod on_mariadb {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case($crate::bundle::Bundle::mariadb().await).await;
                }
            )+
        }

        mod on_mysql {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs what scripts/mysql.sh downloads"]
                async fn $case() {
                    super::$case($crate::bundle::Bundle::mysql().await).await;
                }
            )+
        }
    };
}
