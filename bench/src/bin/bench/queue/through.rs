//! Accepted and delivered per second, to a listener that answers at once: first at a given rate, to see
//! whether a backlog grows; then as fast as events are accepted, until all are delivered.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bench_kit::body::json_of;
use bench_kit::load::Report;
use bench_kit::procfs;
use bench_kit::stats::Spread;
use tokio::time::sleep;

use super::subject::{Home, Subject};
use super::{Options, SIZE, load, raw};
use crate::measure::{self, Load};
use crate::subject::Listener;
use crate::{Programs, aim};
use bench_kit::http::Client;
use bench_kit::table::{self, row};

const CLIENTS: usize = 64;
const WARM_UP_SECONDS: f64 = 1.0;
/// How long bare group commit is measured, before and after.
const RAW_SECONDS: f64 = 3.0;
/// Between two looks at how many events have come.
const POLL: Duration = Duration::from_millis(10);
/// Delivered per second must not stand still for so long.
const PATIENCE: Duration = Duration::from_secs(60);

const AIM_CPU_US: f64 = 100.0;
const AIM_RATIO: f64 = 0.1;
/// A backlog that does not grow: so many seconds of the rate are on their way.
const BACKLOG_SECONDS: f64 = 0.5;

/// What one load came to.
struct Run {
    name: &'static str,
    report: Report,
    /// Undelivered when half of the time was over, and at its end.
    backlog: [u64; 2],
    /// From the first request to the last delivery.
    seconds: f64,
    /// CPU microseconds per event, of the operator and of each kind of its threads.
    cpu_us: f64,
    by_thread: BTreeMap<String, f64>,
    /// CPU time of whatever else ran, as a share of all cores.
    others: f64,
}

/// The listener's count of events.
struct Count {
    client: Client,
}

impl Count {
    async fn get(&mut self) -> Result<u64> {
        let (_, body) = self.client.get("/").await?;
        Ok(std::str::from_utf8(&body)?.parse()?)
    }
}

pub async fn run(options: &Options, folder: &Path, programs: &Programs) -> Result<()> {
    let listener = Listener::start().await?;
    let home = Home::new(folder, &listener.url(), options)?;
    let subject = home.start(programs).await?;
    let count = &mut Count { client: Client::new(&listener.address) };
    let (seconds, rate) = (options.through_seconds, Some(options.rate));
    let body = json_of(SIZE);
    measured("", &subject, &listener, count, &load(CLIENTS, WARM_UP_SECONDS, None)).await?;
    let before = raw::per_second(home.path(), CLIENTS, &body, RAW_SECONDS).await?;
    let runs = [
        measured("at a rate", &subject, &listener, count, &load(CLIENTS, seconds, rate)).await?,
        measured("at most", &subject, &listener, count, &load(CLIENTS, seconds, None)).await?,
    ];
    let after = raw::per_second(home.path(), CLIENTS, &body, RAW_SECONDS).await?;
    print(&runs, Spread::of([before, after]).context("there are two")?, options);
    Ok(())
}

/// Loads the subject, and waits until the listener has all of it.
async fn measured(
    name: &'static str,
    subject: &Subject,
    listener: &Listener,
    count: &mut Count,
    load: &Load,
) -> Result<Run> {
    let (pid, first) = (subject.pid(), count.get().await?);
    let (cpu, machine) = (procfs::cpu_seconds_by_thread(pid)?, procfs::busy_seconds()?);
    let listening = procfs::cpu_seconds(&[listener.pid()])?;
    let started = Instant::now();
    let (report, at_half) = tokio::try_join!(measure::send(&subject.url, load), async {
        sleep(Duration::from_secs_f64(load.seconds / 2.0)).await;
        count.get().await
    })?;
    ensure!(
        report.requests > 0 && report.unexpected == 0 && report.errors == 0,
        "of {} triggers, {} were not stored",
        report.requests + report.errors,
        report.unexpected + report.errors
    );
    let backlog = (first + report.requests).saturating_sub(count.get().await?);
    until(count, first + report.requests).await?;
    let seconds = started.elapsed().as_secs_f64();
    let by_thread = per_event(&cpu, &procfs::cpu_seconds_by_thread(pid)?, &report);
    let cpu_us: f64 = by_thread.values().sum();
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    let ours = report.cpu_seconds + procfs::cpu_seconds(&[listener.pid()])? - listening
        + cpu_us * report.requests as f64 / 1e6;
    let capacity = seconds * procfs::cores()?;
    let others = ((procfs::busy_seconds()? - machine - ours) / capacity).max(0.0);
    let half = half(&report).saturating_sub(at_half - first);
    Ok(Run { name, report, backlog: [half, backlog], seconds, cpu_us, by_thread, others })
}

/// Accepted in the first half of the time: it is not counted, and taken as half of all.
fn half(report: &Report) -> u64 {
    report.requests / 2
}

/// Waits until so many events have come. More than that is no error: each comes at least once.
async fn until(count: &mut Count, expected: u64) -> Result<()> {
    let (mut last, mut since) = (count.get().await?, Instant::now());
    while last < expected {
        sleep(POLL).await;
        let now = count.get().await?;
        if now > last {
            (last, since) = (now, Instant::now());
        } else if since.elapsed() > PATIENCE {
            bail!("{} events were accepted and have not come in {PATIENCE:?}", expected - last);
        }
    }
    Ok(())
}

fn per_event(
    before: &BTreeMap<String, f64>,
    after: &BTreeMap<String, f64>,
    report: &Report,
) -> BTreeMap<String, f64> {
    let spent = |(name, after): (&String, &f64)| {
        let spent = after - before.get(name).copied().unwrap_or_default();
        (name.clone(), report.per_request_us(spent))
    };
    after.iter().map(spent).collect()
}

impl Run {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    fn delivered_per_second(&self) -> f64 {
        self.report.requests as f64 / self.seconds
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.name.to_owned(),
            format!("{:.0}", self.report.requests_per_second),
            format!("{:.0}", self.delivered_per_second()),
            format!("{} / {}", self.backlog[0], self.backlog[1]),
            format!("{:.1}", self.cpu_us),
            format!("{:.2}", self.report.p50_ms()),
            format!("{:.2}", self.report.p99_ms()),
        ]
    }

    fn threads(&self) -> String {
        let shares = self.by_thread.iter().filter(|(_, us)| **us >= 0.1);
        let shares: Vec<_> = shares.map(|(name, us)| format!("{name} {us:.1}")).collect();
        shares.join(", ")
    }
}

fn print(runs: &[Run], raw: Spread, options: &Options) {
    println!(
        "\nQueue, accepted and delivered: body of {SIZE} bytes, {CLIENTS} clients, {} s at {} events/s \
         and {} s without a limit, {} attempts at once",
        options.through_seconds, options.rate, options.through_seconds, options.concurrency
    );
    let header = [
        "",
        "accepted/s",
        "delivered/s",
        "backlog at half / end",
        "CPU us/event",
        "p50 ms",
        "p99 ms",
    ];
    let rows: Vec<_> = std::iter::once(row(header)).chain(runs.iter().map(Run::row)).collect();
    table::print(&rows);
    for run in runs {
        println!("  {}: CPU us/event by thread: {}", run.name, run.threads());
    }
    if let [paced, ..] = runs {
        print_aims(paced, raw, options);
    }
    if let Some(others) = Spread::of(runs.iter().map(|run| 100.0 * run.others)) {
        println!("  other processes took {others:.0} % of the machine meanwhile");
    }
}

fn print_aims(paced: &Run, raw: Spread, options: &Options) {
    let ratio = paced.delivered_per_second() / raw.median;
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    let is_sustained = paced.report.requests_per_second > 0.98 * options.rate
        && paced.backlog[1] as f64 <= BACKLOG_SECONDS * options.rate;
    println!(
        "  the aims: {} events/s without a growing backlog is {}; at most {AIM_CPU_US} us of CPU for \
         each is {}; {AIM_RATIO} of raw ({raw:.0}/s) is {}: {ratio:.3}",
        options.rate,
        aim::word(is_sustained),
        aim::word(paced.cpu_us <= AIM_CPU_US),
        aim::word(ratio >= AIM_RATIO)
    );
}
