//! An https server on loopback, with a certificate that a test can trust or not.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::http::read_head;

/// A connection of a client.
pub type Connection = StreamOwned<ServerConnection, TcpStream>;

/// A certificate that vouches for itself.
pub struct Certificate {
    pub pem: String,
    pub key: String,
    pub der: CertificateDer<'static>,
}

impl Certificate {
    pub fn of(name: &str) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([name.to_owned()]).unwrap();
        Self { pem: cert.pem(), key: signing_key.serialize_pem(), der: cert.der().clone() }
    }
}

pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Serves at `localhost`, on a port that it returns: each connection is read up to the end of a
/// request's head, answered, and closed.
pub fn serve(
    certificate: &Certificate,
    answer: impl Fn(&str, &mut Connection) -> io::Result<()> + Send + Sync + 'static,
) -> u16 {
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der.clone()], key)
        .unwrap();
    let (config, answer) = (Arc::new(config), Arc::new(answer));
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in socket.incoming().flatten() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let (mut stream, answer) = (StreamOwned::new(connection, stream), answer.clone());
            // A client may refuse the certificate or leave: the test sees it on the other side.
            thread::spawn(move || {
                let (head, _) = read_head(&mut stream)?;
                answer(&head, &mut stream)?;
                stream.conn.send_close_notify();
                io::Write::flush(&mut stream)
            });
        }
    });
    port
}
