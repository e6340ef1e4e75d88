//! The accept loop: bounded, patient when the system is out of files, and able to drain.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::connection;
use super::connections::{Admitted, ConnectionCounts, Connections, Holder};
use super::drain::Drain;
use super::limits::Limits;
use super::opening::{self, Protocol};
use super::proxy_protocol::{self, Source};
use super::replay::Replay;
use super::service::{Answer, Peer, Serve};
use crate::http::Networks;

/// How long to wait when the system has no file descriptor left for a connection.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

/// Connections without a request that make room when the system has no file descriptor left.
const EVICTED_FOR_FILES: usize = 64;

/// Accepts connections of one port and serves each in a task of its own.
#[derive(Clone)]
pub struct Acceptor {
    limits: Arc<Limits>,
    places: Arc<Semaphore>,
    connections: Arc<Connections>,
    tls: Option<TlsAcceptor>,
    proxies: Arc<Networks>,
    has_proxy_protocol: bool,
}

impl Acceptor {
    /// An acceptor; its clones share the number of connections.
    pub fn new(
        limits: Arc<Limits>,
        tls: Option<Arc<ServerConfig>>,
        counts: Arc<ConnectionCounts>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(limits.connections));
        let connections =
            Connections::new(limits.connections, limits.connections_per_client, counts);
        let (tls, proxies) = (tls.map(TlsAcceptor::from), Arc::default());
        Self { limits, places, connections, tls, proxies, has_proxy_protocol: false }
    }

    /// Connections of these are not those of one client.
    pub fn trusting(self, proxies: Networks) -> Self {
        Self { proxies: Arc::new(proxies), ..self }
    }

    /// From now on each connection has to begin with a PROXY protocol header; where there are trusted proxies,
    /// it has to come from them too.
    pub fn behind_proxy_protocol(self) -> Self {
        Self { has_proxy_protocol: true, ..self }
    }

    /// Accepts until the drain begins. Connections that are open then go on by themselves.
    pub async fn run<B: Answer>(
        self,
        listener: TcpListener,
        service: impl Serve<B>,
        mut drain: Drain,
    ) {
        let connections = drain.clone();
        loop {
            let (stream, peer, place) = tokio::select! {
                () = drain.begun() => return,
                accepted = self.accept(&listener) => accepted,
            };
            let holder = match self.has_proxy_protocol {
                true => Holder::Proxy(None),
                false => self.holder(peer),
            };
            let Some(admitted) = self.connections.admit(holder) else { continue };
            let id = admitted.id;
            let (this, service, drain) = (self.clone(), service.clone(), connections.clone());
            let task = tokio::spawn(async move {
                // A connection that breaks is its peer's business.
                let _ = this.serve(stream, peer, admitted, service, &drain).await;
                drop((place, drain));
            });
            self.connections.served_by(id, holder, task.abort_handle());
        }
    }

    fn holder(&self, peer: IpAddr) -> Holder {
        match self.proxies.contains(peer) {
            true => Holder::Proxy(Some(peer.to_canonical())),
            false => Holder::client(peer),
        }
    }

    async fn accept(&self, listener: &TcpListener) -> (TcpStream, IpAddr, OwnedSemaphorePermit) {
        // First a place, then a connection: those that find none wait in the kernel's queue.
        let place = self.places.clone().acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return (stream, peer.ip(), place),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    self.connections.evict(EVICTED_FOR_FILES);
                    tokio::time::sleep(OUT_OF_FILES).await;
                }
            }
        }
    }

    async fn serve<B: Answer>(
        &self,
        mut stream: TcpStream,
        peer: IpAddr,
        mut admitted: Admitted,
        service: impl Serve<B>,
        drain: &Drain,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let limits = &self.limits;
        let peer = match self.has_proxy_protocol {
            false => Some(peer),
            true => timeout(limits.header_read, client(&mut stream, peer, &self.proxies)).await??,
        };
        let is_known = peer.filter(|_| self.has_proxy_protocol);
        if is_known.is_some_and(|peer| !admitted.identify(self.holder(peer))) {
            return Ok(());
        }
        let Some(tls) = &self.tls else {
            return self.serve_http(stream, None, peer, admitted, service, drain).await;
        };
        // The state of a handshake is large: it is made when one begins, and apart from the waiting task.
        timeout(limits.header_read, stream.readable()).await??;
        let stream = timeout(limits.header_read, Box::pin(tls.accept(stream))).await??;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Box::pin(self.serve_http(stream, Some(protocol), peer, admitted, service, drain)).await
    }

    /// Serves what a connection carries; where no protocol was negotiated, its first bytes tell.
    async fn serve_http<B: Answer>(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        negotiated: Option<Protocol>,
        peer: Peer,
        admitted: Admitted,
        service: impl Serve<B>,
        drain: &Drain,
    ) -> io::Result<()> {
        let limits = &self.limits;
        let opening = opening::read(&mut stream, limits.header_bytes);
        let (seen, bytes) = timeout(limits.header_read, opening).await??;
        let (protocol, stream) = (negotiated.unwrap_or(seen), Replay::new(bytes, stream));
        // Apart from this task, which is small while it waits for a request.
        let connection =
            connection::serve(stream, peer, protocol, &admitted, service, limits, drain);
        Box::pin(connection).await;
        Ok(())
    }
}

/// Whom a connection is from that a balancer passes on.
async fn client(stream: &mut TcpStream, peer: IpAddr, balancers: &Networks) -> io::Result<Peer> {
    let peer = peer.to_canonical();
    if !(balancers.is_empty() || balancers.contains(peer)) {
        tracing::debug!(%peer, "connection rejected: the peer is not a trusted proxy");
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    match proxy_protocol::read(stream).await {
        Ok(Source::Address(client)) => Ok(Some(client.to_canonical())),
        Ok(Source::Balancer) => Ok(Some(peer)),
        Ok(Source::Unknown) => Ok(None),
        Err(error) => {
            tracing::debug!(%peer, %error, "connection rejected: no valid PROXY protocol header");
            Err(io::ErrorKind::InvalidData.into())
        }
    }
}

/// Errors of accept(2) that concern the one connection that was about to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
