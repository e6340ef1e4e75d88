//! What is at a peer's address and is no replica never sees a token, and who is no replica is not answered at the
//! peer port.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use webhook_operator::admin::Guard;
use webhook_operator::peers::{Credentials, Peers};
use webhook_operator::source::Verb;

use super::access::Cluster;
use super::replicas::{Replica, credentials};
use crate::support::https::provider;

/// The token of the caller, which is nowhere else in what a replica sends.
const TOKEN: &str = "admin";

/// The name in the certificates of replicas.
const REPLICA_NAME: &str = "replica.webhook-operator.internal";

/// What answers at a peer's address, and is no replica.
struct Impostor {
    address: SocketAddr,
    /// Of each connection, what it could read: with its key where it speaks TLS.
    read: UnboundedReceiver<Vec<u8>>,
}

impl Impostor {
    /// One that speaks TLS, or none.
    async fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = port.local_addr().unwrap();
        let (sender, read) = unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = port.accept().await {
                let seen = match &tls {
                    None => answer(stream).await,
                    Some(tls) => match TlsAcceptor::from(tls.clone()).accept(stream).await {
                        Ok(stream) => answer(stream).await,
                        Err(_) => Vec::new(),
                    },
                };
                let _ = sender.send(seen);
            }
        });
        Self { address, read }
    }

    /// One with a certificate that vouches for itself.
    async fn self_signed(name: &str) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([name.to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        Self::start(Some(Arc::new(config))).await
    }
}

/// Reads what comes first, and says what a replica would say.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Vec<u8> {
    let mut seen = vec![0; 64 << 10];
    let count = stream.read(&mut seen).await.unwrap_or_default();
    seen.truncate(count);
    let list = json!({"items": [], "cursor": null, "unavailable": []}).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nwebhook-operator-replica: thief_1\r\ncontent-length: {}\r\n\r\n{list}",
        list.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    // What it sends after the answer.
    let _ = stream.read_to_end(&mut seen).await;
    seen
}

/// A replica of the identity key 7 that is told of these peers.
async fn replica(peers: &[SocketAddr], credentials: Credentials) -> Replica {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cluster = Arc::new(Cluster::default());
    cluster.grant(TOKEN, Verb::List, None, None);
    let names = peers.iter().map(|peer| peer.to_string().parse().unwrap()).collect();
    let peers = Peers::new(names, HeaderValue::from_static("one_1"), credentials);
    Replica::start(port, Guard::Cluster(cluster), peers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_at_a_peers_address_and_is_no_replica_sees_nothing_of_the_token_and_is_named() {
    let other = credentials(8).server();
    let impostors = [
        ("plain HTTP", Impostor::start(None).await),
        ("a certificate of its own", Impostor::self_signed("localhost").await),
        ("the right name", Impostor::self_signed(REPLICA_NAME).await),
        ("another identity key", Impostor::start(Some(other)).await),
    ];
    for (what, mut impostor) in impostors {
        let replica = replica(&[impostor.address], credentials(7)).await;
        let list = replica.call(TOKEN, "GET", "/api/deliveries", "").await;
        let unavailable = [impostor.address.to_string()];
        let expected = json!({"items": [], "cursor": null, "unavailable": unavailable});
        assert_eq!(list.json(), expected, "{what}");
        let seen = impostor.read.recv().await.unwrap();
        let has = |word: &str| seen.windows(word.len()).any(|bytes| bytes == word.as_bytes());
        assert!(!has(TOKEN) && !has("Bearer") && !has("/api"), "{what}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_of_different_identity_keys_do_not_answer_each_other() {
    let other = replica(&[], credentials(8)).await;
    let one = replica(&[other.peer], credentials(7)).await;
    let list = one.call(TOKEN, "GET", "/api/deliveries", "").await;
    assert_eq!(list.json()["unavailable"], json!([other.peer.to_string()]));
    assert_eq!(other.requests(), 0);
}

/// Asks at the peer port with these credentials; empty where no answer comes.
async fn ask(
    peer: SocketAddr,
    client: Arc<rustls::ClientConfig>,
    token: &str,
    headers: &str,
) -> String {
    let stream = TcpStream::connect(peer).await.unwrap();
    let name = ServerName::try_from(REPLICA_NAME).unwrap();
    let Ok(mut stream) = TlsConnector::from(client).connect(name, stream).await else {
        return String::new();
    };
    let request = format!(
        "GET /api/deliveries HTTP/1.1\r\nhost: peer\r\nconnection: close\r\n\
         authorization: Bearer {token}\r\n{headers}\r\n"
    );
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// A client that takes any server and shows no certificate.
fn nobody() -> Arc<rustls::ClientConfig> {
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer))
        .with_no_client_auth();
    Arc::new(config)
}

/// Accepts each certificate.
#[derive(Debug)]
struct AnyServer;

impl rustls::client::danger::ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ED25519]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_peer_port_answers_replicas_alone_and_those_by_the_rights_of_the_caller() {
    let replica = replica(&[], credentials(7)).await;
    let as_replica = "webhook-operator-replica: two_2\r\n";
    assert_eq!(ask(replica.peer, nobody(), TOKEN, as_replica).await, "");
    assert_eq!(replica.requests(), 0);
    let client = credentials(7).client();
    let answer = ask(replica.peer, client.clone(), TOKEN, as_replica).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("one_1"), "{answer}");
    // To be a replica gives no right.
    let answer = ask(replica.peer, client.clone(), "stranger", as_replica).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    // It is for questions of replicas, and no second way to the delivery API of all.
    let answer = ask(replica.peer, client, TOKEN, "").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}
