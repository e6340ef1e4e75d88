//! The cost of a trigger: operator, bare forwarder, nginx and the listener itself, in turn.

use anyhow::{Context as _, Result};
use bench_kit::stats::Spread;
use clap::Args;
use hyper::StatusCode;

use crate::measure::{self, Load, Run, measure};
use crate::subject::{Kind, Listener, Subject};
use crate::{Programs, aim};
use bench_kit::table::{self, row};

/// Before the first round, for connections, caches and buffers.
const WARM_UP_SECONDS: f64 = 1.0;
/// The aim: the operator's CPU time per request, as a share of nginx's.
const AIM: f64 = 1.0;

#[derive(Args, Clone)]
#[group(skip)]
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
    let load = Load {
        size,
        seconds: options.seconds,
        clients: options.clients,
        headers: Vec::new(),
        status: StatusCode::OK,
        rate: None,
        requests: None,
    };
    let warm_up = Load { seconds: WARM_UP_SECONDS, ..load.clone() };
    for subject in subjects {
        measure(&subject.target(), listener, &warm_up).await?;
    }
    let mut series: Vec<_> =
        subjects.iter().map(|subject| Series { kind: subject.kind, runs: Vec::new() }).collect();
    for round in 0..options.rounds {
        // Each round begins with another subject, so that none always follows the same one.
        for index in (0..subjects.len()).map(|offset| (round + offset) % subjects.len()) {
            let run = measure(&subjects[index].target(), listener, &load).await?;
            series[index].runs.push(run);
        }
    }
    Ok(series)
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
    measure::print_others(all.iter().flat_map(|series| &series.runs));
}

impl Series {
    fn row(&self) -> Vec<String> {
        vec![
            self.kind.name().to_owned(),
            measure::spread(&self.runs, 2, |run| run.cpu_us),
            measure::spread(&self.runs, 0, |run| run.report.requests_per_second),
            measure::spread(&self.runs, 2, |run| run.report.p50_ms()),
            measure::spread(&self.runs, 2, |run| run.report.p99_ms()),
            measure::spread(&self.runs, 2, |run| run.listener_us),
        ]
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
                format!("; {}", aim::at_most(AIM, ratio))
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
