//! The load: clients that each send one request after the other over a connection of their own.
//!
//! It is bounded by time and by a number of requests, and prints one line of JSON at the end.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use bench_kit::body::{gzip, json_of};
use bench_kit::load::Report;
use bench_kit::procfs;
use bytes::Bytes;
use clap::Parser;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::{JoinSet, spawn_local};
use tokio::time::{sleep, sleep_until, timeout};

/// A request that takes longer counts as an error, and its connection is given up.
const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// The top of the histogram; no answered request takes longer than its deadline.
const HIGHEST_MICROS: u64 = 60_000_000;
/// Between two attempts to connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// Sends POSTs of a JSON body to one URL and prints what came back as one line of JSON.
#[derive(Parser, Clone)]
struct Args {
    /// Where to POST, e.g. <http://127.0.0.1:8080/path>.
    url: Uri,
    /// Connections, each with one request under way at a time.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// How long to send, at most.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How many requests to send, at most.
    #[arg(long, default_value_t = 10_000_000)]
    requests: u64,
    /// Bytes of the JSON body, at least 64.
    #[arg(long, default_value_t = 1024)]
    size: usize,
    /// A header of every request, as `Name: value`; may be given several times. With
    /// `Content-Encoding: gzip`, the body is compressed.
    #[arg(long = "header", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Threads that share the clients.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// The status that is expected.
    #[arg(long, default_value_t = StatusCode::OK)]
    status: StatusCode,
    /// Requests per second at most, of all clients together; as many as there can be, by default.
    #[arg(long)]
    rate: Option<f64>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let started = Instant::now();
    let threads: Vec<_> =
        shares(&args).into_iter().map(|share| thread::spawn(move || run_thread(&share))).collect();
    let mut all = Tally::new();
    for thread in threads {
        all.add(&thread.join().map_err(|_| anyhow!("a thread panicked"))??);
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = procfs::cpu_seconds(&[std::process::id()])?;
    let report = Report::new(&all.latencies, all.unexpected, all.errors, seconds, cpu_seconds);
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':').context("a header is written `Name: value`")?;
    Ok((name.parse()?, value.trim().parse()?))
}

/// The clients and requests of each thread.
fn shares(args: &Args) -> Vec<Args> {
    let threads = args.threads.clamp(1, args.clients.max(1));
    (0..threads)
        .map(|index| Args {
            clients: share_of(args.clients, threads, index),
            requests: share_of(args.requests, threads as u64, index as u64),
            #[expect(clippy::cast_precision_loss, reason = "few threads")]
            rate: args.rate.map(|rate| rate / threads as f64),
            ..args.clone()
        })
        .collect()
}

/// The `index`th of `parts` nearly equal parts of `whole`.
fn share_of<N>(whole: N, parts: N, index: N) -> N
where
    N: Copy + std::ops::Div<Output = N> + std::ops::Rem<Output = N> + PartialOrd + From<bool>,
    N: std::ops::Add<Output = N>,
{
    whole / parts + N::from(index < whole % parts)
}

struct Tally {
    latencies: Histogram<u64>,
    unexpected: u64,
    errors: u64,
}

impl Tally {
    fn new() -> Self {
        Self {
            latencies: Histogram::new_with_max(HIGHEST_MICROS, 3).expect("the bounds are valid"),
            unexpected: 0,
            errors: 0,
        }
    }

    fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies).expect("both have the same bounds");
        self.unexpected += other.unexpected;
        self.errors += other.errors;
    }
}

/// What the clients of one thread share.
struct Run {
    target: Target,
    status: StatusCode,
    until: Instant,
    left: Cell<u64>,
    pace: Option<Pace>,
    tally: RefCell<Tally>,
}

impl Run {
    /// Whether one more request may be sent; counts it.
    async fn take(&self) -> bool {
        if let Some(pace) = &self.pace {
            sleep_until(pace.turn().min(self.until).into()).await;
        }
        let left = self.left.get();
        let goes_on = left > 0 && Instant::now() < self.until;
        self.left.set(left - u64::from(goes_on));
        goes_on
    }

    fn record(&self, status: StatusCode, latency: Duration) {
        let mut tally = self.tally.borrow_mut();
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        tally.latencies.saturating_record(micros);
        tally.unexpected += u64::from(status != self.status);
    }

    fn record_error(&self) {
        self.tally.borrow_mut().errors += 1;
    }
}

/// Spreads requests evenly over time. A turn that nobody was free to take is taken later: the mean is kept.
struct Pace {
    every: Duration,
    next: Cell<Instant>,
}

impl Pace {
    fn turn(&self) -> Instant {
        let turn = self.next.get();
        self.next.set(turn + self.every);
        turn
    }
}

fn run_thread(args: &Args) -> Result<Tally> {
    let run = Rc::new(Run {
        target: Target::new(args)?,
        status: args.status,
        until: Instant::now() + Duration::from_secs_f64(args.seconds),
        left: Cell::new(args.requests),
        pace: args.rate.map(|rate| Pace {
            every: Duration::from_secs_f64(1.0 / rate),
            next: Cell::new(Instant::now()),
        }),
        tally: RefCell::new(Tally::new()),
    });
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..args.clients {
            clients.spawn_local(client(Rc::clone(&run)));
        }
        clients.join_all().await;
    });
    drop(runtime);
    let run = Rc::into_inner(run).context("a client outlived its runtime")?;
    Ok(run.tally.into_inner())
}

/// One client: connects, sends until the run is over, connects anew after an error.
async fn client(run: Rc<Run>) {
    while run.take().await {
        let sender = timeout(REQUEST_DEADLINE, run.target.connect()).await;
        if let Ok(Ok(sender)) = sender {
            send_all(&run, sender).await;
        } else {
            run.record_error();
            sleep(RECONNECT_PAUSE).await;
        }
    }
}

/// Sends until the run is over or an error; the caller has counted the first request.
async fn send_all(run: &Run, mut sender: SendRequest<Full<Bytes>>) {
    loop {
        let started = Instant::now();
        match timeout(REQUEST_DEADLINE, run.target.send(&mut sender)).await {
            Ok(Ok(status)) => run.record(status, started.elapsed()),
            _ => return run.record_error(),
        }
        if !run.take().await {
            return;
        }
    }
}

/// The URL, headers and body of every request.
struct Target {
    authority: String,
    path: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Target {
    fn new(args: &Args) -> Result<Self> {
        let authority = args.url.authority().context("the URL has no host")?.to_string();
        let path = args.url.path_and_query().map_or("/", |path| path.as_str());
        let mut headers = HeaderMap::new();
        headers.insert(HOST, authority.parse()?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(args.headers.iter().cloned());
        let plain = json_of(args.size);
        let is_gzip = headers.get(CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
        let body = if is_gzip { gzip(&plain) } else { plain };
        Ok(Self { path: path.parse()?, authority, headers, body: body.into() })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        spawn_local(connection);
        Ok(sender)
    }

    async fn send(&self, sender: &mut SendRequest<Full<Bytes>>) -> Result<StatusCode> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(status)
    }
}
