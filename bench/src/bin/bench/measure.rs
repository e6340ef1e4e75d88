//! One run of the load, and what it cost each process that had a part in it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bench_kit::child::sibling;
use bench_kit::load::Report;
use bench_kit::procfs;
use bench_kit::stats::Spread;
use hyper::StatusCode;
use tokio::process::Command;
use tokio::time::timeout;

use crate::subject::Listener;
use bench_kit::http::Headers;

/// What the load may take beyond its time: answers under way, and its start.
const LOAD_GRACE: Duration = Duration::from_secs(20);

/// What is loaded.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub name: &'a str,
    pub url: &'a str,
    /// The processes whose CPU time is taken.
    pub pids: &'a [u32],
}

/// How it is loaded.
#[derive(Clone)]
pub struct Load {
    /// Bytes of the bodies.
    pub size: usize,
    pub seconds: f64,
    /// Connections, each with one request under way.
    pub clients: usize,
    /// Of each request, beside those that every request has.
    pub headers: Headers,
    /// With which each is to be answered.
    pub status: StatusCode,
    /// Requests per second at most.
    pub rate: Option<f64>,
    /// Requests at most.
    pub requests: Option<u64>,
}

/// What one run of the load on one target cost.
pub struct Run {
    pub report: Report,
    /// CPU microseconds per request of the target.
    pub cpu_us: f64,
    /// CPU microseconds per request of the listener behind it.
    pub listener_us: f64,
    /// CPU time of whatever else ran, as a share of all cores.
    pub others: f64,
}

/// Readings from `/proc`, in seconds.
struct Clocks {
    wall: Instant,
    target: f64,
    listener: f64,
    machine: f64,
}

impl Clocks {
    fn read(target: &Target<'_>, listener: &Listener) -> Result<Self> {
        Ok(Self {
            wall: Instant::now(),
            target: procfs::cpu_seconds(target.pids)?,
            listener: procfs::cpu_seconds(&[listener.pid()])?,
            machine: procfs::busy_seconds()?,
        })
    }
}

/// Loads a target once. The listener behind it may be the target itself.
///
/// # Errors
/// When one request failed or was answered another status: its cost would be that of something else.
pub async fn measure(target: &Target<'_>, listener: &Listener, load: &Load) -> Result<Run> {
    let before = Clocks::read(target, listener)?;
    let report = send(target.url, load).await?;
    let after = Clocks::read(target, listener)?;
    ensure!(
        report.requests > 0 && report.unexpected == 0 && report.errors == 0,
        "{}: of {} requests, {} were not answered {} and {} not at all",
        target.name,
        report.requests + report.errors,
        report.unexpected,
        load.status,
        report.errors
    );
    let is_listener = target.pids.contains(&listener.pid());
    Run::new(is_listener, &before, &after, report)
}

impl Run {
    fn new(is_listener: bool, before: &Clocks, after: &Clocks, report: Report) -> Result<Self> {
        let target = after.target - before.target;
        let listener = after.listener - before.listener;
        let ours = report.cpu_seconds + listener + if is_listener { 0.0 } else { target };
        let capacity = after.wall.duration_since(before.wall).as_secs_f64() * procfs::cores()?;
        Ok(Self {
            cpu_us: report.per_request_us(target),
            listener_us: report.per_request_us(listener),
            others: ((after.machine - before.machine - ours) / capacity).max(0.0),
            report,
        })
    }
}

/// Loads a URL once.
///
/// # Errors
/// When the load fails as a program; what its requests came to is in the report.
pub async fn send(url: &str, load: &Load) -> Result<Report> {
    let mut command = Command::new(sibling("bench-load")?);
    command.arg(url).args(["--size", &load.size.to_string()]);
    command.args(["--seconds", &load.seconds.to_string()]);
    command.args(["--clients", &load.clients.to_string()]);
    command.args(["--status", load.status.as_str()]);
    command.args(load.rate.iter().flat_map(|rate| ["--rate".to_owned(), rate.to_string()]));
    command.args(load.requests.iter().flat_map(|most| ["--requests".to_owned(), most.to_string()]));
    for (name, value) in &load.headers {
        command.args(["--header", &format!("{name}: {value}")]);
    }
    let deadline = Duration::from_secs_f64(load.seconds) + LOAD_GRACE;
    let output = timeout(deadline, command.kill_on_drop(true).output())
        .await
        .with_context(|| format!("the load has not ended in {deadline:?}"))??;
    if !output.status.success() {
        bail!("the load failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("what the load printed")
}

/// The spread of one figure of some runs, with so many digits; nothing of no runs.
pub fn spread(runs: &[Run], digits: usize, figure: impl Fn(&Run) -> f64) -> String {
    Spread::of(runs.iter().map(figure))
        .map_or_else(String::new, |spread| format!("{spread:.digits$}"))
}

/// Says how busy the machine was with other things while these runs were made.
pub fn print_others<'a>(runs: impl IntoIterator<Item = &'a Run>) {
    if let Some(others) = Spread::of(runs.into_iter().map(|run| 100.0 * run.others)) {
        println!("  other processes took {others:.0} % of the machine meanwhile");
    }
}
