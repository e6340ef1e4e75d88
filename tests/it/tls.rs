//! TLS on both sides: the trigger port with a certificate that is renewed, and https listeners.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::http::{post, read_response};
use crate::support::https::{self, Certificate, provider};
use crate::support::listener::Listener;
use crate::support::operator::{APP, Folders, Operator, WEBHOOK, eventually, manifest};

fn write_pair(folder: &Path, certificate: &str, key: &str) {
    fs::write(folder.join("tls.key"), key).unwrap();
    fs::write(folder.join("tls.crt"), certificate).unwrap();
}

/// A POST over TLS; fails when the server's certificate is not `trusted`.
fn post_tls(address: &str, trusted: &CertificateDer<'static>) -> std::io::Result<(u16, Vec<u8>)> {
    post_tls_over(TcpStream::connect(address)?, trusted)
}

fn post_tls_over(
    connection: TcpStream,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<(u16, Vec<u8>)> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from("hooks.example.com").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(client, connection);
    let head = format!(
        "POST /apps/{APP}/webhooks/{WEBHOOK} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    stream.write_all(head.as_bytes())?;
    let status = read_response(&mut stream)?.status;
    Ok((status, stream.conn.alpn_protocol().unwrap_or_default().to_vec()))
}

/// An operator whose trigger port has a certificate, with the files of the certificate.
struct Setting {
    operator: Operator,
    files: tempfile::TempDir,
    _folders: Folders,
    _listener: Listener,
}

impl Setting {
    fn new(certificate: &Certificate, flags: &[&str]) -> Self {
        let (folders, listener) = (Folders::new(), Listener::start());
        folders.write("shop.yaml", &manifest(&listener.url, "", ""));
        let files = tempfile::TempDir::new().unwrap();
        write_pair(files.path(), &certificate.pem, &certificate.key);
        let [certificate, key] = ["tls.crt", "tls.key"].map(|name| files.path().join(name));
        let [certificate, key] = [&certificate, &key].map(|path| path.to_str().unwrap());
        let of_tls = ["--tls-cert-file", certificate, "--tls-key-file", key];
        let operator = Operator::standalone(&folders, &[flags, &of_tls].concat());
        Self { operator, files, _folders: folders, _listener: listener }
    }

    /// Where triggers are taken.
    fn address(&self) -> &str {
        self.operator.trigger.strip_prefix("https://").expect("https in the ready line")
    }
}

#[test]
fn the_trigger_port_speaks_tls_and_takes_a_renewed_certificate() {
    let old = Certificate::of("hooks.example.com");
    let setting = Setting::new(&old, &[]);
    let Setting { operator, files, .. } = &setting;
    let address = setting.address();
    assert!(operator.line().contains("https://"), "URLs say https too");
    assert_eq!(post_tls(address, &old.der).unwrap(), (200, b"http/1.1".to_vec()));
    let new = Certificate::of("hooks.example.com");
    assert!(post_tls(address, &new.der).is_err(), "it is not in force yet");
    write_pair(files.path(), &new.pem, &new.key);
    eventually("the new certificate", || post_tls(address, &new.der).ok());
    // Rubbish leaves the good one in force.
    fs::write(files.path().join("tls.crt"), "rubbish").unwrap();
    operator.await_log(&["cannot reload the TLS certificate"]);
    assert_eq!(post_tls(address, &new.der).unwrap().0, 200);
}

#[test]
fn tls_begins_after_what_a_balancer_says() {
    let certificate = Certificate::of("hooks.example.com");
    let setting = Setting::new(&certificate, &["--proxy-protocol"]);
    let address = setting.address();
    let mut connection = TcpStream::connect(address).unwrap();
    let header = b"PROXY TCP4 192.0.2.7 198.51.100.1 54321 443\r\n";
    connection.write_all(header).unwrap();
    assert_eq!(post_tls_over(connection, &certificate.der).unwrap().0, 200);
    assert!(post_tls(address, &certificate.der).is_err(), "without it there is no TLS either");
}

#[test]
fn a_certificate_that_cannot_be_used_is_one_line_and_exit_code_2() {
    let (folders, files) = (Folders::new(), tempfile::TempDir::new().unwrap());
    let one = Certificate::of("hooks.example.com");
    let other = Certificate::of("hooks.example.com");
    write_pair(files.path(), &one.pem, &other.key);
    let (manifests, data) = (folders.manifests(), folders.data());
    let (certificate_file, key_file) = (files.path().join("tls.crt"), files.path().join("tls.key"));
    let ended = crate::support::operator::output(&[
        "standalone",
        "--manifests",
        manifests.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
        "--trigger-addr",
        "127.0.0.1:0",
        "--app-api-addr",
        "127.0.0.1:0",
        "--admin-addr",
        "127.0.0.1:0",
        "--tls-cert-file",
        certificate_file.to_str().unwrap(),
        "--tls-key-file",
        key_file.to_str().unwrap(),
    ]);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.starts_with("error: TLS of the trigger port"), "{said}");
}

#[test]
fn an_https_listener_must_show_a_certificate_of_a_trusted_authority() {
    let certificate = Certificate::of("localhost");
    let port = https::serve(&certificate, |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    });
    let url = format!("https://localhost:{port}/");
    let folders = Folders::new();
    folders.write("shop.yaml", &manifest(&url, "", ""));
    let stranger = Operator::standalone(&folders, &[]);
    assert_eq!(post(&stranger.url(), "{}").status, 502);
    stranger.await_log(&["no connection to the listener: TLS failed"]);
    drop(stranger);
    let authority = folders.manifests().join("../ca.pem");
    fs::write(&authority, certificate.pem).unwrap();
    let trusting =
        Operator::standalone(&folders, &["--listener-ca-file", authority.to_str().unwrap()]);
    assert_eq!(post(&trusting.url(), "{}").status, 200);
}
