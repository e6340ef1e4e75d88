//! Encrypted connections, and passwords.

use std::fs;
use std::path::Path;

use webhook_operator::store::postgres::{OpenError, Options, Password, Postgres};

use super::PostgresEngine;
use crate::store::engine::Settings;
use crate::store::world::NOW;
use crate::support::https::Certificate;
use crate::support::postgres::Server;

/// A server that accepts encrypted connections of a user with a password, and those of the tests.
fn server(certificate: &Certificate) -> Server {
    let configuration =
        ["ssl = on", "ssl_cert_file = 'tls.crt'", "ssl_key_file = 'tls.key'", "ssl_ca_file = ''"];
    let rules = "local all tests trust\nhost all tests 127.0.0.1/32 trust\n\
        hostssl all hooks 127.0.0.1/32 scram-sha-256\n";
    Server::start_with(
        &configuration,
        &[("tls.crt", &certificate.pem), ("tls.key", &certificate.key), ("pg_hba.conf", rules)],
    )
}

async fn open(
    engine: &PostgresEngine,
    url: String,
    password: Password,
) -> Result<Postgres, OpenError> {
    let options = engine.options(&Settings::default());
    let options = Options { url: url.parse().unwrap(), password, ..options };
    tokio::task::spawn_blocking(move || Postgres::open(options, || NOW)).await.unwrap()
}

#[tokio::test]
async fn a_server_is_trusted_by_its_certificate_and_a_password_is_read_again_when_it_changes() {
    let certificate = Certificate::of("localhost");
    let server = server(&certificate);
    let engine = PostgresEngine::on(&server).await;
    let admin = engine.client().await;
    admin.batch_execute("CREATE ROLE hooks LOGIN PASSWORD 'first'").await.unwrap();
    admin.batch_execute("CREATE SCHEMA hooks AUTHORIZATION hooks").await.unwrap();
    admin.batch_execute("ALTER ROLE hooks SET search_path = hooks").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let trusted = write("ca.crt", &certificate.pem);
    let other = write("other.crt", &Certificate::of("localhost").pem);
    let file = write("password", "first\n");
    let url = |host: &str, mode: &str, trusted: &Path| {
        let (port, trusted) = (server.port(), trusted.display());
        format!("postgres://hooks@{host}:{port}/test_0?sslmode={mode}&sslrootcert={trusted}")
    };
    let password = || Password::File(file.clone());
    for refused in [
        url("localhost", "verify-full", &other),
        url("127.0.0.1", "verify-full", &trusted),
        url("localhost", "disable", &trusted),
    ] {
        let opened = open(&engine, refused.clone(), password()).await;
        assert!(matches!(opened, Err(OpenError::Unavailable(_))), "{refused}");
    }
    open(&engine, url("127.0.0.1", "require", &other), password()).await.unwrap();
    let trusted = url("localhost", "verify-full", &trusted);
    open(&engine, trusted.clone(), password()).await.unwrap();

    admin.batch_execute("ALTER ROLE hooks PASSWORD 'second'").await.unwrap();
    let refused = open(&engine, trusted.clone(), password()).await.unwrap_err().to_string();
    assert!(refused.contains("password") && !refused.contains("first"), "{refused}");
    write("password", "second");
    open(&engine, trusted.clone(), password()).await.unwrap();
    open(&engine, trusted, Password::Value("second".into())).await.unwrap();
    // Its tables are in its own schema, and it is no superuser.
    let tables = "SELECT count(*) FROM hooks.delivery";
    assert_eq!(admin.query_one(tables, &[]).await.unwrap().get::<_, i64>(0), 0);
}
