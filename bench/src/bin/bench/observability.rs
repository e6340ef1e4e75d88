//! What it costs to be seen: the same requests to an operator that counts nothing, to one with metrics,
//! and to one with metrics and traces of which one in a hundred is sampled, in turn on one core.

use std::time::Duration;

use anyhow::Result;
use bench_kit::affinity::Pinned;
use bench_kit::stats::Spread;
use bench_kit::table::{self, row};
use clap::Args;
use hyper::StatusCode;
use tempfile::TempDir;

use crate::measure::{self, Load, Run, Target, measure};
use crate::operator::{self, Operator};
use crate::subject::Listener;
use crate::{Programs, aim};

const START_DEADLINE: Duration = Duration::from_secs(30);
/// Before the first round, for connections, caches and buffers.
const WARM_UP_SECONDS: f64 = 1.0;
/// The share of requests whose traces are sampled.
const SAMPLED: &str = "0.01";
/// The aims: CPU time per request, as a share of that of an operator that counts nothing.
const METRICS_AIM: f64 = 1.03;
const TRACES_AIM: f64 = 1.05;

#[derive(Args, Clone)]
#[group(skip)]
pub struct Options {
    /// How often each is measured.
    #[arg(long, default_value_t = Options::default().rounds)]
    rounds: usize,
    /// How long each operator is loaded each time.
    #[arg(long, default_value_t = Options::default().seconds)]
    seconds: f64,
    /// Connections of the load.
    #[arg(long, default_value_t = Options::default().clients)]
    clients: usize,
    /// Bytes of the bodies.
    #[arg(long, default_value_t = Options::default().size)]
    size: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { rounds: 15, seconds: 2.0, clients: 16, size: 1024 }
    }
}

/// How much of an operator is seen.
#[derive(Clone, Copy)]
enum Seen {
    Nothing,
    Metrics,
    Traces,
}

const ALL: [Seen; 3] = [Seen::Nothing, Seen::Metrics, Seen::Traces];

impl Seen {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Metrics => "metrics",
            Self::Traces => "metrics, traces at 1 %",
        }
    }
}

/// An operator, and what was measured of it.
struct Subject {
    seen: Seen,
    url: String,
    pids: [u32; 1],
    runs: Vec<Run>,
    _operator: Operator,
    _dir: TempDir,
}

pub async fn run(options: &Options, programs: &Programs) -> Result<()> {
    let pinned = Pinned::to_last_core()?;
    let (listener, collector) = (Listener::start().await?, Listener::start().await?);
    let mut subjects = Vec::new();
    for seen in ALL {
        subjects.push(Subject::start(seen, &listener, &collector, programs).await?);
    }
    let load = Load {
        size: options.size,
        seconds: options.seconds,
        clients: options.clients,
        headers: Vec::new(),
        status: StatusCode::OK,
        rate: None,
        requests: None,
    };
    let warm_up = Load { seconds: WARM_UP_SECONDS, ..load.clone() };
    for subject in &subjects {
        measure(&subject.target(), &listener, &warm_up).await?;
    }
    for round in 0..options.rounds {
        // Each round begins with another one, so that none always follows the same one.
        for step in 0..subjects.len() {
            let index = (round + step) % subjects.len();
            let run = measure(&subjects[index].target(), &listener, &load).await?;
            subjects[index].runs.push(run);
        }
    }
    print(&subjects, options, &pinned);
    Ok(())
}

impl Subject {
    async fn start(
        seen: Seen,
        listener: &Listener,
        collector: &Listener,
        programs: &Programs,
    ) -> Result<Self> {
        let dir = operator::standalone_dir(&listener.url(), 1)?;
        let mut command = operator::standalone(programs, dir.path())?;
        match seen {
            Seen::Nothing => drop(command.args(["--metrics", "false"])),
            Seen::Metrics => {}
            Seen::Traces => {
                command
                    .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url())
                    .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
                    .env("OTEL_TRACES_SAMPLER", "traceidratio")
                    .env("OTEL_TRACES_SAMPLER_ARG", SAMPLED);
            }
        }
        let operator = Operator::start(&mut command, dir.path(), START_DEADLINE).await?;
        let url = format!("{}{}", operator.trigger, operator::trigger_path(0));
        let pids = [operator.pid()];
        Ok(Self { seen, url, pids, runs: Vec::new(), _operator: operator, _dir: dir })
    }

    fn target(&self) -> Target<'_> {
        Target { name: self.seen.name(), url: &self.url, pids: &self.pids }
    }
}

fn print(subjects: &[Subject], options: &Options, pinned: &Pinned) {
    println!(
        "\nObservability: Sync webhook, body of {} bytes, {} clients, {} rounds of {} s, all on core \
         {}; median (min..max)",
        options.size,
        options.clients,
        options.rounds,
        options.seconds,
        pinned.core()
    );
    let mut rows = vec![row(["seen", "CPU us/request", "requests/s"]).to_vec()];
    for Subject { seen, runs, .. } in subjects {
        let cpu_us = measure::spread(runs, 2, |run| run.cpu_us);
        let per_second = measure::spread(runs, 0, |run| run.report.requests_per_second);
        rows.push(vec![seen.name().to_owned(), cpu_us, per_second]);
    }
    table::print(&rows);
    let [nothing, metrics, traces] = subjects else { return };
    for (subject, aim) in [(metrics, METRICS_AIM), (traces, TRACES_AIM)] {
        if let Some(ratio) = ratio(subject, nothing) {
            let name = subject.seen.name();
            println!("  CPU {name} / nothing: {ratio:.3}; {}", aim::at_most(aim, ratio));
        }
    }
    measure::print_others(subjects.iter().flat_map(|subject| &subject.runs));
}

/// Round by round: what disturbs a round disturbs both.
fn ratio(subject: &Subject, base: &Subject) -> Option<Spread> {
    let rounds = subject.runs.iter().zip(&base.runs);
    Spread::of(rounds.map(|(subject, base)| subject.cpu_us / base.cpu_us))
}
