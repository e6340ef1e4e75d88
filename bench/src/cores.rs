//! One single-threaded runtime per core, each with its own listening socket (`SO_REUSEPORT`).
//!
//! The kernel spreads connections over the sockets, so that a request never crosses cores and
//! nothing on its way takes a lock.

use std::future::Future;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;

/// Connections that may wait to be accepted, per core.
const BACKLOG: i32 = 1024;

/// Serves `address` on every core until the process ends; prints `ready ADDRESS` when it does.
///
/// `worker` is called once on each core's thread, and what it returns once per connection.
///
/// # Errors
/// When a socket cannot be bound or a runtime cannot start.
pub fn serve<W, C, F>(address: SocketAddr, worker: W) -> io::Result<()>
where
    W: Fn() -> C + Clone + Send + 'static,
    C: Fn(TcpStream) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let sockets = bind_per_core(address)?;
    let bound = sockets[0].local_addr()?;
    let threads: Vec<_> = sockets
        .into_iter()
        .map(|socket| {
            let worker = worker.clone();
            thread::spawn(move || run_core(socket, worker()))
        })
        .collect();
    writeln!(io::stdout(), "ready {bound}")?;
    for thread in threads {
        thread.join().unwrap_or_else(|_| Err(io::Error::other("a core's thread panicked")))?;
    }
    Ok(())
}

/// One socket per core, all on the port that the first one got.
fn bind_per_core(mut address: SocketAddr) -> io::Result<Vec<std::net::TcpListener>> {
    let cores = thread::available_parallelism()?.get();
    let mut sockets = Vec::with_capacity(cores);
    for _ in 0..cores {
        let socket = bind_shared(address)?;
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn bind_shared(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn run_core<C, F>(socket: std::net::TcpListener, connection: C) -> io::Result<()>
where
    C: Fn(TcpStream) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async move {
        let listener = TcpListener::from_std(socket)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            spawn_local(connection(stream));
        }
    })
}

/// A loopback address of which the system picks the port.
#[must_use]
pub fn any_loopback_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}
