//! The accept loop: bounded, patient when the system is out of files, and able to drain.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::clients::{self, Clients};
use super::connection;
use super::drain::Drain;
use super::limits::Limits;
use super::opening::{self, Protocol};
use super::proxy_protocol::{self, Source};
use super::replay::Replay;
use super::service::{Answer, Peer, Serve};
use crate::guard::Networks;

/// How long to wait when the system has no file descriptor left for a connection.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

/// Accepts connections of one port and serves each in a task of its own.
#[derive(Clone)]
pub struct Acceptor {
    limits: Arc<Limits>,
    places: Arc<Semaphore>,
    tls: Option<TlsAcceptor>,
    balancers: Option<Arc<Networks>>,
    clients: Arc<Clients>,
    /// Proxies: their connections carry the requests of many clients.
    trusted: Arc<Networks>,
}

impl Acceptor {
    /// An acceptor; its clones share the number of connections.
    pub fn new(limits: Arc<Limits>, tls: Option<Arc<ServerConfig>>) -> Self {
        let places = Arc::new(Semaphore::new(limits.connections));
        let clients = Clients::new(limits.share_of_connections());
        let tls = tls.map(TlsAcceptor::from);
        Self { limits, places, tls, balancers: None, clients, trusted: Arc::default() }
    }

    /// From now on connections of these proxies are not counted as those of one client.
    pub fn trusting(self, proxies: Networks) -> Self {
        Self { trusted: Arc::new(proxies), ..self }
    }

    /// From now on each connection has to begin with a PROXY protocol header; where `balancers` are
    /// given, it has to come from them too.
    pub fn behind(self, balancers: Networks) -> Self {
        Self { balancers: Some(Arc::new(balancers)), ..self }
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
            self.make_room();
            let (this, service, drain) = (self.clone(), service.clone(), connections.clone());
            let (close, closed_by) = oneshot::channel();
            let task = tokio::spawn(async move {
                let Ok(close) = closed_by.await else { return };
                // A connection that breaks is its peer's business.
                let _ = this.serve(stream, peer, service, &drain, close).await;
                drop((place, drain));
            });
            let _ = close.send(task.abort_handle());
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
                    tokio::time::sleep(OUT_OF_FILES).await;
                }
            }
        }
    }

    /// Closes a connection that has not sent a request, when less than a quarter of the places is free.
    fn make_room(&self) {
        if self.places.available_permits() < self.limits.connections / 4 {
            self.clients.evict();
        }
    }

    /// Counts a connection of a client that is no proxy.
    fn count(&self, peer: Peer, close: AbortHandle) -> io::Result<Option<clients::Connection>> {
        let client = peer.filter(|peer| !self.trusted.contains(*peer));
        let Some(client) = client else { return Ok(None) };
        let counted = self.clients.enter(client.into(), close);
        counted.map(Some).ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }

    async fn serve<B: Answer>(
        &self,
        mut stream: TcpStream,
        peer: IpAddr,
        service: impl Serve<B>,
        drain: &Drain,
        close: AbortHandle,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let limits = &self.limits;
        let peer = match &self.balancers {
            None => Some(peer),
            Some(balancers) => {
                timeout(limits.header_read, client(&mut stream, peer, balancers)).await??
            }
        };
        let counted = self.count(peer, close)?;
        let counted = counted.as_ref();
        let Some(tls) = &self.tls else {
            return self.serve_http(stream, None, peer, service, drain, counted).await;
        };
        // The state of a handshake is large: it is made when one begins, and apart from the waiting task.
        timeout(limits.header_read, stream.readable()).await??;
        let stream = timeout(limits.header_read, Box::pin(tls.accept(stream))).await??;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Box::pin(self.serve_http(stream, Some(protocol), peer, service, drain, counted)).await
    }

    /// Serves what a connection carries; where no protocol was negotiated, its first bytes tell.
    async fn serve_http<B: Answer>(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        negotiated: Option<Protocol>,
        peer: Peer,
        service: impl Serve<B>,
        drain: &Drain,
        counted: Option<&clients::Connection>,
    ) -> io::Result<()> {
        let limits = &self.limits;
        let opening = opening::read(&mut stream, limits.header_bytes);
        let (seen, bytes) = timeout(limits.header_read, opening).await??;
        let (protocol, stream) = (negotiated.unwrap_or(seen), Replay::new(bytes, stream));
        // Apart from this task, which is small while it waits for a request.
        Box::pin(connection::serve(stream, peer, protocol, service, limits, drain, counted)).await;
        Ok(())
    }
}

/// Whom a connection is from that a balancer passes on.
async fn client(stream: &mut TcpStream, peer: IpAddr, balancers: &Networks) -> io::Result<Peer> {
    let peer = peer.to_canonical();
    if !(balancers.is_empty() || balancers.contains(peer)) {
        tracing::debug!(%peer, "a connection came past the trusted proxies");
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    match proxy_protocol::read(stream).await {
        Ok(Source::Address(client)) => Ok(Some(client.to_canonical())),
        Ok(Source::Balancer) => Ok(Some(peer)),
        Ok(Source::Unknown) => Ok(None),
        Err(error) => {
            tracing::debug!(%peer, %error, "a connection was refused");
            Err(io::ErrorKind::InvalidData.into())
        }
    }
}

/// Errors of accept(2) that concern the one connection that was about to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
