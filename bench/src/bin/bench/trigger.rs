//! The cost of a trigger: operator, bare forwarder, nginx and the listener itself, in turn.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bench_kit::child::sibling;
use bench_kit::load::Report;
use bench_kit::procfs;
use bench_kit::stats::Spread;
use clap::Args;
use tokio::process::Command;
use tokio::time::timeout;

use crate::Programs;
use crate::subject::{Kind, Listener, Subject};
use crate::table::{self, row};

/// Before the first round, for connections, caches and buffers.
const WARM_UP_SECONDS: f64 = 1.0;
/// What the load may take beyond its time: answers under way, and its start.
const LOAD_GRACE: Duration = Duration::from_secs(20);
/// The aim: the operator's CPU time per request, as a share of nginx's.
const AIM: f64 = 1.0;

#[derive(Args, Clone)]
pub struct Options {
    /// How often each subject is loaded.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each time.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Connections of the load.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Bytes of the bodies.
    #[arg(long, value_delimiter = ',', default_value = "1024,10240")]
    sizes: Vec<usize>,
    /// What to load.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "operator,forwarder,nginx,listener"
    )]
    subjects: Vec<Kind>,
}

/// What one run of the load on one subject cost.
struct Run {
    report: Report,
    /// CPU microseconds per request of the subject.
    cpu_us: f64,
    /// CPU microseconds per request of the listener behind it.
    listener_us: f64,
    /// CPU time of whatever else ran, as a share of all cores.
    others: f64,
}

/// The runs of one subject, one a round.
struct Series {
    kind: Kind,
    runs: Vec<Run>,
}

pub async fn run(options: &Options, programs: &Programs) -> Result<()> {
    let listener = Listener::start().await?;
    let mut subjects = Vec::new();
    for &kind in &options.subjects {
        let started = Subject::start(kind, &listener, programs).await;
        subjects.push(started.with_context(|| format!("subject {}", kind.name()))?);
    }
    for &size in &options.sizes {
        let series = all_rounds(&subjects, &listener, size, options).await?;
        print(&series, size, options);
    }
    Ok(())
}

async fn all_rounds(
    subjects: &[Subject],
    listener: &Listener,
    size: usize,
    options: &Options,
) -> Result<Vec<Series>> {
    for subject in subjects {
        measure(subject, listener, size, WARM_UP_SECONDS, options).await?;
    }
    let mut series: Vec<_> =
        subjects.iter().map(|subject| Series { kind: subject.kind, runs: Vec::new() }).collect();
    for round in 0..options.rounds {
        // Each round begins with another subject, so that none always follows the same one.
        for index in (0..subjects.len()).map(|offset| (round + offset) % subjects.len()) {
            let run = measure(&subjects[index], listener, size, options.seconds, options).await?;
            series[index].runs.push(run);
        }
    }
    Ok(series)
}

/// Readings from `/proc`, in seconds.
struct Clocks {
    wall: Instant,
    subject: f64,
    listener: f64,
    machine: f64,
}

impl Clocks {
    fn read(subject: &Subject, listener: &Listener) -> Result<Self> {
        Ok(Self {
            wall: Instant::now(),
            subject: procfs::cpu_seconds(&subject.pids)?,
            listener: procfs::cpu_seconds(&[listener.pid()])?,
            machine: procfs::busy_seconds()?,
        })
    }
}

async fn measure(
    subject: &Subject,
    listener: &Listener,
    size: usize,
    seconds: f64,
    options: &Options,
) -> Result<Run> {
    let before = Clocks::read(subject, listener)?;
    let report = load(&subject.url, size, seconds, options.clients).await?;
    let after = Clocks::read(subject, listener)?;
    ensure!(
        report.requests > 0 && report.non_200 == 0 && report.errors == 0,
        "{}: of {} requests, {} were not answered 200 and {} not at all",
        subject.kind.name(),
        report.requests + report.errors,
        report.non_200,
        report.errors
    );
    Ok(Run::new(subject.kind, &before, &after, report))
}

impl Run {
    fn new(kind: Kind, before: &Clocks, after: &Clocks, report: Report) -> Self {
        let subject = after.subject - before.subject;
        let listener = after.listener - before.listener;
        let ours =
            report.cpu_seconds + listener + if kind == Kind::Listener { 0.0 } else { subject };
        let capacity = after.wall.duration_since(before.wall).as_secs_f64() * cores();
        Self {
            cpu_us: report.per_request_us(subject),
            listener_us: report.per_request_us(listener),
            others: ((after.machine - before.machine - ours) / capacity).max(0.0),
            report,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a machine has few cores")]
fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
}

async fn load(url: &str, size: usize, seconds: f64, clients: usize) -> Result<Report> {
    let mut command = Command::new(sibling("bench-load")?);
    command.arg(url).args(["--size", &size.to_string()]);
    command.args(["--seconds", &seconds.to_string(), "--clients", &clients.to_string()]);
    let deadline = Duration::from_secs_f64(seconds) + LOAD_GRACE;
    let output = timeout(deadline, command.kill_on_drop(true).output())
        .await
        .with_context(|| format!("the load has not ended in {deadline:?}"))??;
    if !output.status.success() {
        bail!("the load failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("what the load printed")
}

fn print(all: &[Series], size: usize, options: &Options) {
    println!(
        "\nTrigger: body of {size} bytes, {} clients, {} rounds of {} s; median (min..max)",
        options.clients, options.rounds, options.seconds
    );
    let header =
        row(["", "CPU us/request", "requests/s", "p50 ms", "p99 ms", "listener's CPU us/request"]);
    let rows: Vec<_> = std::iter::once(header).chain(all.iter().map(Series::row)).collect();
    table::print(&rows);
    print_ratios(all);
    let others = all.iter().flat_map(|series| &series.runs).map(|run| 100.0 * run.others);
    if let Some(others) = Spread::of(others) {
        println!("  other processes took {others:.0} % of the machine meanwhile");
    }
}

impl Series {
    fn row(&self) -> Vec<String> {
        vec![
            self.kind.name().to_owned(),
            self.spread(2, |run| run.cpu_us),
            self.spread(0, |run| run.report.requests_per_second),
            self.spread(2, |run| run.report.p50_ms()),
            self.spread(2, |run| run.report.p99_ms()),
            self.spread(2, |run| run.listener_us),
        ]
    }

    fn spread(&self, digits: usize, figure: impl Fn(&Run) -> f64) -> String {
        Spread::of(self.runs.iter().map(figure))
            .map_or_else(String::new, |spread| format!("{spread:.digits$}"))
    }
}

fn print_ratios(all: &[Series]) {
    let find = |kind| all.iter().find(|series| series.kind == kind);
    for (above, below) in [
        (Kind::Operator, Kind::Nginx),
        (Kind::Operator, Kind::Forwarder),
        (Kind::Forwarder, Kind::Nginx),
    ] {
        let (Some(upper), Some(lower)) = (find(above), find(below)) else { continue };
        if let Some(ratio) = ratio(upper, lower) {
            let verdict = if (above, below) == (Kind::Operator, Kind::Nginx) {
                verdict(ratio)
            } else {
                String::new()
            };
            println!("  CPU {} / {}: {ratio:.3}{verdict}", above.name(), below.name());
        }
    }
}

/// The ratio of CPU per request, round by round: what disturbs a round disturbs both.
fn ratio(above: &Series, below: &Series) -> Option<Spread> {
    Spread::of(above.runs.iter().zip(&below.runs).map(|(above, below)| above.cpu_us / below.cpu_us))
}

fn verdict(ratio: Spread) -> String {
    let word = if ratio.median <= AIM { "met" } else { "missed" };
    format!("; the aim, at most {AIM:.3} at the median, is {word}")
}
