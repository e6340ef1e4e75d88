//! The listening sockets: bound before anything is served, so that a taken port fails the start.

use std::io;
use std::net::{SocketAddr, TcpListener};

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};

use crate::cli::options::Addresses;

/// Backlog of each listening socket.
const BACKLOG: i32 = 1024;

/// Send buffer of a connection, in bytes. By default the kernel keeps some megabytes of unread responses per
/// connection, which a client that never reads could fill with thousands of responses.
const SEND_BUFFER: usize = 64 * 1024;

/// Bound sockets, not served yet.
pub struct Bound {
    pub(super) trigger: Vec<TcpListener>,
    pub(super) app_api: TcpListener,
    pub(super) admin: TcpListener,
    pub(super) peer: Option<TcpListener>,
    /// The bound addresses; port 0 is replaced by the port that the kernel chose.
    pub addresses: Addresses,
}

/// Binds all ports.
///
/// # Errors
/// A port cannot be bound.
pub fn bind(wanted: Addresses, trigger_threads: usize) -> anyhow::Result<Bound> {
    let trigger = bind_shared(wanted.trigger, trigger_threads)
        .with_context(|| format!("cannot listen on {} (--trigger-addr)", wanted.trigger))?;
    let app_api = bind_one(wanted.app_api)
        .with_context(|| format!("cannot listen on {} (--app-api-addr)", wanted.app_api))?;
    let admin = bind_one(wanted.admin)
        .with_context(|| format!("cannot listen on {} (--admin-addr)", wanted.admin))?;
    let peer = wanted.peer.map(bind_peer).transpose()?;
    let addresses = Addresses {
        trigger: trigger[0].local_addr()?,
        app_api: app_api.local_addr()?,
        admin: admin.local_addr()?,
        peer: peer.as_ref().map(TcpListener::local_addr).transpose()?,
    };
    Ok(Bound { trigger, app_api, admin, peer, addresses })
}

fn bind_peer(address: SocketAddr) -> anyhow::Result<TcpListener> {
    bind_one(address).with_context(|| format!("cannot listen on {address} (--peer-addr)"))
}

/// One listening socket per thread on the same port (SO_REUSEPORT): the kernel distributes connections.
fn bind_shared(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    // Bind once without SO_REUSEPORT: a second server on this port must fail, not get half of the connections.
    drop(bind_one(address)?);
    let first = bind_socket(address, true)?;
    let address = first.local_addr()?;
    let rest = (1..count).map(|_| bind_socket(address, true));
    std::iter::once(Ok(first)).chain(rest).collect()
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    bind_socket(address, false)
}

fn bind_socket(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    // Accepted connections inherit the size.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
