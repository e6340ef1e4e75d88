use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{ClientConnection, ConnectionCommon, ServerConnection, SideData};

use super::super::authority::REPLICA_NAME;
use super::super::tls_error::PeerTlsError;
use super::*;

const HOUR: u64 = 60 * 60;

/// 2026-01-01, in seconds since 1970.
const START: u64 = 1_767_225_600;

/// A clock under the control of a test.
#[derive(Debug)]
struct Clock(AtomicU64);

impl Clock {
    fn at(now: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(now)))
    }

    fn set(&self, now: u64) {
        self.0.store(now, Ordering::Relaxed);
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let now = Duration::from_secs(self.0.load(Ordering::Relaxed));
        Some(UnixTime::since_unix_epoch(now))
    }
}

fn credentials(identity: u8, clock: &Arc<Clock>) -> Credentials {
    let identity = IdentityKey::new(&[identity; 32]).unwrap();
    Credentials::with_clock(&identity, clock.clone()).unwrap()
}

/// The error, and the side on which it occurred.
#[derive(Debug)]
enum Failed {
    Client(PeerTlsError),
    Server(PeerTlsError),
}

/// Transfers the pending TLS records of one side to the other.
fn pass<A: SideData, B: SideData>(
    from: &mut ConnectionCommon<A>,
    to: &mut ConnectionCommon<B>,
) -> Result<(), rustls::Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        to.read_tls(&mut rest).unwrap();
        to.process_new_packets()?;
    }
    Ok(())
}

/// Performs a handshake in memory. Returns the connections of the client and the server.
fn handshake(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
) -> Result<(ClientConnection, ServerConnection), Failed> {
    let name = ServerName::try_from(REPLICA_NAME).unwrap();
    let mut client = ClientConnection::new(client, name).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        pass(&mut client, &mut server).map_err(|error| Failed::Server(error.into()))?;
        pass(&mut server, &mut client).map_err(|error| Failed::Client(error.into()))?;
    }
    Ok((client, server))
}

/// The certificates of the server and of the client.
fn certificates(client: &Credentials, server: &Credentials) -> [Vec<u8>; 2] {
    let (client, server) = handshake(client.client(), server.server()).unwrap();
    [client.peer_certificates().unwrap(), server.peer_certificates().unwrap()]
        .map(|chain| chain[0].to_vec())
}

#[test]
fn replicas_with_the_same_identity_key_accept_each_other_in_tls_1_3() {
    let clock = Clock::at(START);
    let (one, two) = (credentials(7, &clock), credentials(7, &clock));
    for _ in 0..2 {
        let (client, server) = handshake(one.client(), two.server()).unwrap();
        assert_eq!(client.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        assert_eq!(server.alpn_protocol(), Some(ALPN));
        // The second handshake is a full one too, with certificates on both sides.
        assert_eq!(client.handshake_kind(), Some(rustls::HandshakeKind::Full));
    }
    let [of_two, of_one] = certificates(&one, &two);
    assert_ne!(of_two, of_one, "each has its own key");
}

#[test]
fn replicas_with_different_identity_keys_refuse_each_other() {
    let clock = Clock::at(START);
    let (one, other) = (credentials(7, &clock), credentials(8, &clock));
    for (client, server) in [(&one, &other), (&other, &one)] {
        let failed = handshake(client.client(), server.server()).unwrap_err();
        assert!(matches!(failed, Failed::Client(PeerTlsError::Untrusted)), "{failed:?}");
    }
}

/// A client that trusts the server and presents the given certificate.
fn client_of(
    server: &IdentityKey,
    build: impl FnOnce(
        rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>,
    ) -> ClientConfig,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(Authority::derive(server).unwrap().certificate()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_details(provider, Clock::at(START))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = build(builder);
    config.alpn_protocols = vec![ALPN.to_vec()];
    Arc::new(config)
}

#[test]
fn a_client_without_a_certificate_of_the_operator_is_refused_by_the_server_in_the_handshake() {
    let clock = Clock::at(START);
    let server = credentials(7, &clock);
    let identity = IdentityKey::new(&[7; 32]).unwrap();
    let none = client_of(&identity, |builder| builder.with_no_client_auth());
    let failed = handshake(none, server.server()).unwrap_err();
    let expected = rustls::Error::NoCertificatesPresented;
    assert!(
        matches!(&failed, Failed::Server(PeerTlsError::Other(error)) if *error == expected),
        "{failed:?}"
    );

    let other = Authority::derive(&IdentityKey::new(&[8; 32]).unwrap()).unwrap();
    let other = Arc::new(CurrentCertificate::new(other, clock).unwrap());
    let foreign = client_of(&identity, |builder| builder.with_client_cert_resolver(other));
    let failed = handshake(foreign, server.server()).unwrap_err();
    assert!(matches!(failed, Failed::Server(PeerTlsError::Untrusted)), "{failed:?}");
}

#[test]
fn tls_1_2_is_refused() {
    let server = credentials(7, &Clock::at(START));
    let roots = RootCertStore::empty();
    let old = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let failed = handshake(Arc::new(old), server.server()).unwrap_err();
    assert!(matches!(failed, Failed::Server(PeerTlsError::Other(_))), "{failed:?}");
}

#[test]
fn a_certificate_is_renewed_at_half_of_its_lifetime_on_both_sides() {
    let (clock, other) = (Clock::at(START), Clock::at(START));
    let (renewed, peer) = (credentials(7, &clock), credentials(7, &other));
    let now = |hours: u64, seconds: u64| {
        for clock in [&clock, &other] {
            clock.set(START + hours * HOUR + seconds);
        }
    };
    let as_server = |of: &Credentials| certificates(&peer, of)[0].clone();
    let as_client = |of: &Credentials| certificates(of, &peer)[1].clone();
    let first = as_server(&renewed);
    assert_eq!(first, as_client(&renewed));
    now(11, 3599);
    assert_eq!(first, as_server(&renewed));
    now(12, 0);
    let second = as_client(&renewed);
    assert_ne!(first, second);
    assert_eq!(second, as_server(&renewed));
    // Long after the end of the first certificate, and after days without a connection.
    now(100, 0);
    assert_ne!(second, as_server(&renewed));
}

#[test]
fn a_certificate_is_refused_outside_of_its_validity_with_an_hour_of_clock_skew() {
    let (ours, theirs) = (Clock::at(START), Clock::at(START));
    let (one, two) = (credentials(7, &ours), credentials(7, &theirs));
    let try_at = |offset: i64| {
        ours.set(START.checked_add_signed(offset).unwrap());
        handshake(one.client(), two.server())
    };
    assert!(try_at(-(HOUR as i64)).is_ok());
    assert!(try_at(24 * HOUR as i64 - 1).is_err(), "the server does not take one of the future");
    for offset in [-(HOUR as i64) - 1, 24 * HOUR as i64 + 1] {
        let failed = try_at(offset).unwrap_err();
        assert!(matches!(failed, Failed::Client(PeerTlsError::OutOfDate)), "{offset}: {failed:?}");
    }
}

#[test]
fn the_tls_error_is_found_in_the_source_chain() {
    let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, unknown));
    let found = PeerTlsError::of(&error).unwrap();
    assert_eq!(found.to_string(), "the certificate is not from this operator");
    assert!(PeerTlsError::of(&io::Error::other("reset")).is_none());
}
