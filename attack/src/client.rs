//! The well-behaved client: 100 requests a second, half of them on new connections, half on one that is kept.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::setting::{SERVER_NAME, Target};

/// Not that of the attackers.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Of each half.
const PERIOD: Duration = Duration::from_millis(20);
const DEADLINE: Duration = Duration::from_secs(10);

/// A connection, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}
type Connection = Box<dyn Stream>;

/// What the client has seen.
#[derive(Default)]
pub struct Served {
    /// How long each request took from the moment it was due.
    pub times: Vec<Duration>,
    pub errors: Vec<String>,
}

impl Served {
    fn add(&mut self, due: Instant, result: Result<()>) {
        self.times.push(due.elapsed());
        self.errors.extend(result.err().map(|error| format!("{error:#}")));
    }
}

/// Sends for so long.
pub async fn run(target: Target, time: Duration) -> Served {
    let end = Instant::now() + time;
    let kept = tokio::spawn(on_one_connection(target.clone(), end));
    let mut served = on_new_connections(target, end).await;
    let other = kept.await.unwrap_or_default();
    served.times.extend(other.times);
    served.errors.extend(other.errors);
    served
}

async fn on_new_connections(target: Target, end: Instant) -> Served {
    let (mut requests, mut served) = (JoinSet::new(), Served::default());
    let mut due = interval(PERIOD);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while Instant::now() < end {
        let (due, target) = (due.tick().await, target.clone());
        requests.spawn(async move {
            let sent =
                timeout(DEADLINE, async { trigger(&mut connect(&target).await?, &target).await });
            (due, sent.await.context("no answer in time").flatten(), due.elapsed())
        });
    }
    while let Some(Ok((_, result, took))) = requests.join_next().await {
        served.times.push(took);
        served.errors.extend(result.err().map(|error| format!("new connection: {error:#}")));
    }
    served
}

async fn on_one_connection(target: Target, end: Instant) -> Served {
    let (mut kept, mut served) = (None, Served::default());
    let mut due = interval(PERIOD);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while Instant::now() < end {
        let due = due.tick().await;
        let sent = timeout(DEADLINE, on(&mut kept, &target)).await;
        let result = sent.context("no answer in time").flatten();
        if result.is_err() {
            kept = None;
        }
        served.add(due, result.context("kept connection"));
    }
    served
}

async fn on(kept: &mut Option<Connection>, target: &Target) -> Result<()> {
    let stream = match kept {
        Some(stream) => stream,
        None => kept.insert(connect(target).await?),
    };
    trigger(stream, target).await
}

async fn connect(target: &Target) -> Result<Connection> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((SOURCE, 0)))?;
    socket.set_nodelay(true)?;
    let stream = socket.connect(target.address).await?;
    match &target.tls {
        Some(tls) => Ok(Box::new(tls.connect(SERVER_NAME.try_into()?, stream).await?)),
        None => Ok(Box::new(stream)),
    }
}

async fn trigger(stream: &mut Connection, target: &Target) -> Result<()> {
    let Target { address, path, .. } = target;
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !is_whole(&answer)? {
        if stream.read_buf(&mut answer).await? == 0 {
            bail!("the connection was closed");
        }
    }
    let status = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    ensure!(status.starts_with(b"HTTP/1.1 200"), "{}", status.escape_ascii());
    Ok(())
}

/// Whether an answer has come to its end.
fn is_whole(answer: &[u8]) -> Result<bool> {
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(false);
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("no length")?.parse()?;
    Ok(answer.len() >= end + 4 + length)
}
