//! The accept loop: limits connections, waits when the system is out of file descriptors, and
//! drains.

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
use super::connections::{Admitted, ConnectionCounts, ConnectionOwner, Connections};
use super::drain::Drain;
use super::limits::Limits;
use super::opening::{self, Protocol};
use super::proxy_protocol::{self, Source};
use super::replay::Replay;
use super::service::{Peer, ResponseBody, Serve};
use crate::http::Networks;

/// The pause before accepting again when the system has no file descriptor left.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

/// The number of connections without a request to evict when the system has no file descriptor
/// left.
const EVICTED_FOR_FILES: usize = 64;

/// Accepts the connections of one port and serves each in its own task.
#[derive(Clone)]
pub struct Acceptor {
    limits: Arc<Limits>,
    permits: Arc<Semaphore>,
    connections: Arc<Connections>,
    tls: Option<TlsAcceptor>,
    proxies: Arc<Networks>,
    has_proxy_protocol: bool,
}

impl Acceptor {
    /// Creates an acceptor; its clones share the connection limits.
    pub fn new(
        limits: Arc<Limits>,
        tls: Option<Arc<ServerConfig>>,
        counts: Arc<ConnectionCounts>,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(limits.connections));
        let connections =
            Connections::new(limits.connections, limits.connections_per_client, counts);
        let (tls, proxies) = (tls.map(TlsAcceptor::from), Arc::default());
        Self { limits, permits, connections, tls, proxies, has_proxy_protocol: false }
    }

    /// Trusts these proxies: their connections carry the requests of many clients, so the limit per
    /// client does not apply to them.
    pub fn trusting(self, proxies: Networks) -> Self {
        Self { proxies: Arc::new(proxies), ..self }
    }

    /// Requires a PROXY protocol header at the start of each connection; if there are trusted
    /// proxies, the connection must also come from one of them.
    pub fn behind_proxy_protocol(self) -> Self {
        Self { has_proxy_protocol: true, ..self }
    }

    /// Accepts connections until the drain begins. Open connections continue in their tasks.
    pub async fn run<B: ResponseBody>(
        self,
        listener: TcpListener,
        service: impl Serve<B>,
        mut drain: Drain,
    ) {
        let connections = drain.clone();
        loop {
            let (stream, peer, permit) = tokio::select! {
                () = drain.begun() => return,
                accepted = self.accept(&listener) => accepted,
            };
            let owner = match self.has_proxy_protocol {
                true => ConnectionOwner::Proxy(None),
                false => self.owner(peer),
            };
            let Some(admitted) = self.connections.admit(owner) else { continue };
            let id = admitted.id;
            let (this, service, drain) = (self.clone(), service.clone(), connections.clone());
            let task = tokio::spawn(async move {
                // A broken connection is not an error of the server.
                let _ = this.serve(stream, peer, admitted, service, &drain).await;
                drop((permit, drain));
            });
            self.connections.set_task(id, owner, task.abort_handle());
        }
    }

    fn owner(&self, peer: IpAddr) -> ConnectionOwner {
        match self.proxies.contains(peer) {
            true => ConnectionOwner::Proxy(Some(peer.to_canonical())),
            false => ConnectionOwner::client(peer),
        }
    }

    async fn accept(&self, listener: &TcpListener) -> (TcpStream, IpAddr, OwnedSemaphorePermit) {
        // Take a permit before accepting: connections beyond the limit wait in the kernel's
        // backlog.
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return (stream, peer.ip(), permit),
                Err(error) if is_connection_error(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    self.connections.evict(EVICTED_FOR_FILES);
                    tokio::time::sleep(OUT_OF_FILES).await;
                }
            }
        }
    }

    async fn serve<B: ResponseBody>(
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
        if is_known.is_some_and(|peer| !admitted.identify(self.owner(peer))) {
            return Ok(());
        }
        let Some(tls) = &self.tls else {
            return self.serve_http(stream, None, peer, admitted, service, drain).await;
        };
        // The handshake state is large: allocate it only once bytes arrive, and outside of the
        // waiting task.
        timeout(limits.header_read, stream.readable()).await??;
        let stream = timeout(limits.header_read, Box::pin(tls.accept(stream))).await??;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Box::pin(self.serve_http(stream, Some(protocol), peer, admitted, service, drain)).await
    }

    /// Serves a connection. If ALPN negotiated no protocol, the first bytes determine it.
    async fn serve_http<B: ResponseBody>(
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
        // Boxed, so that the task stays small while it waits for a request.
        let connection =
            connection::serve(stream, peer, protocol, &admitted, service, limits, drain);
        Box::pin(connection).await;
        Ok(())
    }
}

/// The client of a connection, as the PROXY protocol header of its load balancer names it.
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

/// Whether an error of accept(2) concerns only the connection that was being accepted.
fn is_connection_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
