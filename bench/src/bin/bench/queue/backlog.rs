//! Memory and CPU of an operator with many undelivered events, whose listener is down.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bench_kit::procfs;
use tokio::time::sleep;

use super::subject::{Down, Home, Subject};
use super::{Options, SIZE, load};
use crate::measure;
use crate::{Programs, aim};

const CLIENTS: usize = 64;
/// How long it may take to fill the store.
const FILL_SECONDS: f64 = 1800.0;
/// The first probes and the first look at everything are not what an operator does all day.
const SETTLE: Duration = Duration::from_secs(10);
const WATCHED: Duration = Duration::from_secs(20);

const AIM_MIB: f64 = 100.0;
const AIM_CPU_PERCENT: f64 = 1.0;

pub async fn run(options: &Options, folder: &Path, programs: &Programs) -> Result<()> {
    let down = Down::new()?;
    let home = Home::new(folder, &down.url()?, options)?;
    let subject = home.start(programs).await?;
    let filled = fill(&subject, options.undelivered).await?;
    let (full_mib, full_cpu) = watched(&subject).await?;
    drop(subject);
    let started = Instant::now();
    let subject = home.start(programs).await?;
    let ready_after = started.elapsed();
    let (mib, cpu) = watched(&subject).await?;
    println!(
        "\nQueue, {} undelivered events of {SIZE} bytes, a listener that is down: {} accepted/s",
        options.undelivered, filled as u64
    );
    println!("  after they came:   {full_mib:.1} MiB, {full_cpu:.2} % of a core");
    println!(
        "  after a new start: {mib:.1} MiB, {cpu:.2} % of a core; ready after {ready_after:.2?}"
    );
    println!(
        "  the aims, under {AIM_MIB} MiB and under {AIM_CPU_PERCENT} %, are {} and {}",
        aim::word(full_mib.max(mib) < AIM_MIB),
        aim::word(full_cpu.max(cpu) < AIM_CPU_PERCENT)
    );
    Ok(())
}

/// Sends so many events, and says how many were accepted per second.
async fn fill(subject: &Subject, count: u64) -> Result<f64> {
    let mut load = load(CLIENTS, FILL_SECONDS, None);
    load.requests = Some(count);
    let report = measure::send(&subject.url, &load).await?;
    ensure!(
        report.requests == count && report.unexpected == 0,
        "{} of {count} events were accepted",
        report.requests - report.unexpected
    );
    Ok(report.requests_per_second)
}

/// Resident MiB, and CPU in percent of a core, once it has settled.
async fn watched(subject: &Subject) -> Result<(f64, f64)> {
    sleep(SETTLE).await;
    let (before, started) = (procfs::cpu_seconds(&[subject.pid()])?, Instant::now());
    sleep(WATCHED).await;
    let spent = procfs::cpu_seconds(&[subject.pid()])? - before;
    #[expect(clippy::cast_precision_loss, reason = "memory stays far below 2^52 bytes")]
    let bytes = procfs::resident_bytes(subject.pid())? as f64;
    Ok((bytes / (1024.0 * 1024.0), 100.0 * spent / started.elapsed().as_secs_f64()))
}
