//! The accept loop: bounded, patient when the system is out of files, and able to drain.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::clients::Clients;
use super::connection;
use super::drain::Drain;
use super::limits::Limits;
use super::proxy_protocol::{self, Source};
use super::service::{Answer, Peer, Serve};
use super::sniff::{self, Prefix, Protocol};
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
        let counted = match peer.filter(|peer| !self.trusted.contains(*peer)) {
            Some(client) => {
                let entered = self.clients.enter(client.into(), close);
                Some(entered.ok_or(io::ErrorKind::ConnectionRefused)?)
            }
            None => None,
        };
        let Some(tls) = &self.tls else {
            let begun = timeout(limits.header_read, sniff::protocol(&mut stream)).await??;
            // Boxed: a connection that has sent nothing does not take the memory of one that is served.
            let serving =
                connection::serve(stream, peer, begun, service, limits, drain, counted.as_ref());
            Box::pin(serving).await;
            return Ok(());
        };
        let stream = timeout(limits.header_read, tls.accept(stream)).await??;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        let begun = (protocol, Prefix::default());
        let serving =
            connection::serve(stream, peer, begun, service, limits, drain, counted.as_ref());
        Box::pin(serving).await;
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
