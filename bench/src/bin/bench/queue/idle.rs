//! From the sender's 202 to the listener's call, one event at a time: what the queue adds when nothing
//! is in the way.

use std::convert::Infallible;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bench_kit::body::json_of;
use bench_kit::stats::quantile;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::subject::Home;
use super::{Options, SIZE};
use crate::operator;
use crate::{Programs, aim};
use bench_kit::http::{self, Client};

/// Between two events.
const PAUSE: Duration = Duration::from_millis(10);
/// The first ones make connections and fill caches.
const WARM_UP: usize = 20;
const DEADLINE: Duration = Duration::from_secs(10);
/// From the 202, at the median.
const AIM_MS: f64 = 2.0;

/// Milliseconds of one event.
struct Sample {
    /// From the request to the 202: the commit is in there.
    accepted: f64,
    /// From the 202 to the call; 0 where the call was first.
    called: f64,
}

pub async fn run(options: &Options, folder: &Path, programs: &Programs) -> Result<()> {
    let listener = TcpListener::bind(bench_kit::cores::any_loopback_port()).await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let (tell, mut calls) = mpsc::channel(16);
    let listening = tokio::spawn(listen(listener, tell));
    let home = Home::new(folder, &url, options)?;
    let subject = home.start(programs).await?;
    let mut client = Client::new(http::authority(&subject.operator.trigger)?);
    let mut samples = Vec::new();
    for index in 0..WARM_UP + options.samples {
        let sample = sample(&mut client, &mut calls).await?;
        if index >= WARM_UP {
            samples.push(sample);
        }
        sleep(PAUSE).await;
    }
    listening.abort();
    print(&samples);
    Ok(())
}

async fn sample(client: &mut Client, calls: &mut mpsc::Receiver<Instant>) -> Result<Sample> {
    let sent = Instant::now();
    let (status, _) = client.post(&operator::trigger_path(0), json_of(SIZE)).await?;
    ensure!(status == StatusCode::ACCEPTED, "a trigger is answered {status}");
    let accepted = Instant::now();
    let called =
        timeout(DEADLINE, calls.recv()).await.context("no call")?.context("no listener")?;
    Ok(Sample {
        accepted: milliseconds(accepted - sent),
        called: milliseconds(called.saturating_duration_since(accepted)),
    })
}

/// Answers 200, and tells when each call came.
async fn listen(listener: TcpListener, tell: mpsc::Sender<Instant>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let tell = tell.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (tell, came) = (tell.clone(), Instant::now());
            async move {
                let _ = request.into_body().collect().await;
                let _ = tell.send(came).await;
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }
        });
        // It ends with the operator's connection.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn print(samples: &[Sample]) {
    println!("\nQueue, idle: {} events of {SIZE} bytes, one at a time", samples.len());
    let figures = |figure: fn(&Sample) -> f64| -> [f64; 3] {
        let all: Vec<f64> = samples.iter().map(figure).collect();
        [0.5, 0.99, 1.0].map(|part| quantile(&all, part).unwrap_or_default())
    };
    let [p50, p99, max] = figures(|sample| sample.accepted);
    println!("  request to 202: p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms");
    let [p50, p99, max] = figures(|sample| sample.called);
    println!(
        "  202 to the listener's call: p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms; the aim, under \
         {AIM_MS} ms at the median, is {}",
        aim::word(p50 < AIM_MS)
    );
}
