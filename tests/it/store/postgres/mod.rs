//! What is the own of the shared engine: its schema, several replicas on one database, and a
//! database that fails.

mod faults;
mod replicas;
mod roles;
mod space;
mod tls;
pub mod turns;

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{NoTls, Socket};
use webhook_operator::store::Store;
use webhook_operator::store::postgres::{Options, Password, Postgres};

use crate::store::engine::{Engine, Settings, TestClock};
use crate::support::postgres::{self, Server};

/// The shared engine on a database of its own.
pub struct PostgresEngine {
    url: String,
}

impl PostgresEngine {
    /// On the server that the tests share.
    pub async fn new() -> Self {
        Self::on(postgres::shared()).await
    }

    /// On this server.
    pub async fn on(server: &Server) -> Self {
        Self { url: server.database().await }
    }

    /// The settings of a replica on the database.
    pub fn options(&self, settings: &Settings) -> Options {
        let Settings { retention, max_bytes } = *settings;
        Options {
            url: self.url.parse().unwrap(),
            password: Password::None,
            requires_standby: false,
            retention,
            max_bytes,
            patience: Duration::ZERO,
        }
    }

    /// Another replica on the database.
    pub fn replica(&self, settings: &Settings, clock: &TestClock) -> Arc<dyn Store> {
        let clock = clock.clone();
        Arc::new(Postgres::open(self.options(settings), move || clock.now()).unwrap())
    }

    /// A connection to the database that the test drives.
    pub async fn connection(
        &self,
    ) -> (tokio_postgres::Client, tokio_postgres::Connection<Socket, NoTlsStream>) {
        tokio_postgres::connect(&self.url, NoTls).await.unwrap()
    }

    /// A connection to the database.
    pub async fn client(&self) -> tokio_postgres::Client {
        postgres::client(&self.url).await
    }
}

impl Engine for PostgresEngine {
    fn open(&mut self, settings: &Settings, clock: &TestClock) -> Arc<dyn Store> {
        self.replica(settings, clock)
    }

    fn stored_rows(&mut self) -> [i64; 3] {
        let url = self.url.clone();
        // Not on the thread of the test, which waits for the answer.
        let count = async move {
            let client = postgres::client(&url).await;
            let count = async |sql| client.query_one(sql, &[]).await.unwrap().get(0);
            // A webhook has a tally as long as one of its deliveries has succeeded.
            [
                count("SELECT count(*) FROM webhook").await,
                count("SELECT count(DISTINCT webhook) FROM tally WHERE succeeded > 0").await,
                count("SELECT count(*) FROM app").await,
            ]
        };
        std::thread::spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(count)
        })
        .join()
        .unwrap()
    }
}
