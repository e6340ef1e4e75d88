//! Resident memory of the operator, without and with many webhooks.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use bench_kit::procfs;
use clap::Args;
use hyper::StatusCode;
use tokio::time::sleep;

use crate::operator::{self, Operator};
use crate::subject::Listener;
use crate::{Programs, aim};
use bench_kit::http::{self, Client};

/// For the ready line: so many files are read, checked and written.
const START_DEADLINE: Duration = Duration::from_secs(600);
/// Memory is settled when it has not moved by more than `SETTLED_WITHIN` for `SETTLED_FOR`.
const SETTLED_FOR: Duration = Duration::from_secs(5);
const SETTLED_WITHIN: u64 = 256 * 1024;
const SETTLE_DEADLINE: Duration = Duration::from_secs(120);
const SETTLE_POLL: Duration = Duration::from_millis(250);

const AIM_EMPTY_MIB: f64 = 20.0;
const AIM_BYTES_PER_WEBHOOK: f64 = 1024.0;

#[derive(Args, Clone)]
#[group(skip)]
pub struct Options {
    /// Webhooks of the full operator.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    webhooks: u32,
}

pub async fn run(options: &Options, programs: &Programs) -> Result<()> {
    let webhooks = options.webhooks as usize;
    let listener = Listener::start().await?;
    let empty = resident(programs, &listener, 0).await?;
    let full = resident(programs, &listener, webhooks).await?;
    print(webhooks, &empty, &full);
    Ok(())
}

/// What an operator with some webhooks took.
struct Resident {
    bytes: f64,
    ready_after: Duration,
}

async fn resident(programs: &Programs, listener: &Listener, webhooks: usize) -> Result<Resident> {
    let dir = operator::standalone_dir(&listener.url(), webhooks)?;
    let started = Instant::now();
    let operator = Operator::standalone(programs, dir.path(), START_DEADLINE).await?;
    let ready_after = started.elapsed();
    let bytes = settled(operator.pid()).await?;
    see_them_served(&operator, webhooks).await?;
    Ok(Resident { bytes, ready_after })
}

/// Waits until resident memory no longer moves, and returns it.
async fn settled(pid: u32) -> Result<f64> {
    let deadline = Instant::now() + SETTLE_DEADLINE;
    let mut reference = procfs::resident_bytes(pid)?;
    let mut since = Instant::now();
    while since.elapsed() < SETTLED_FOR {
        if Instant::now() > deadline {
            bail!("memory still moves after {SETTLE_DEADLINE:?}");
        }
        sleep(SETTLE_POLL).await;
        let now = procfs::resident_bytes(pid)?;
        if now.abs_diff(reference) > SETTLED_WITHIN {
            (reference, since) = (now, Instant::now());
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "memory stays far below 2^52 bytes")]
    let bytes = procfs::resident_bytes(pid)? as f64;
    Ok(bytes)
}

/// The first and the last webhook answer: memory of webhooks that are not served would say nothing.
async fn see_them_served(operator: &Operator, webhooks: usize) -> Result<()> {
    let mut client = Client::new(http::authority(&operator.trigger)?);
    for index in [0, webhooks.saturating_sub(1)].into_iter().filter(|&index| index < webhooks) {
        let (status, body) = client.post(&operator::trigger_path(index), "{}").await?;
        ensure!(
            status == StatusCode::OK,
            "webhook {index} answers {status}: {}",
            String::from_utf8_lossy(&body)
        );
    }
    Ok(())
}

fn print(webhooks: usize, empty: &Resident, full: &Resident) {
    #[expect(clippy::cast_precision_loss, reason = "few enough webhooks")]
    let count = webhooks as f64;
    let props: usize = (0..webhooks).map(|index| operator::props(index).to_string().len()).sum();
    #[expect(clippy::cast_precision_loss, reason = "few enough bytes")]
    let props = props as f64 / count;
    let each = (full.bytes - empty.bytes) / count - props;
    println!("\nMemory: resident in standalone, once it no longer moves");
    println!(
        "  0 webhooks: {:.1} MiB; the aim, under {AIM_EMPTY_MIB} MiB, is {}",
        mib(empty.bytes),
        aim::word(mib(empty.bytes) < AIM_EMPTY_MIB)
    );
    println!(
        "  {webhooks} webhooks: {:.1} MiB, ready {:.1?} after the start",
        mib(full.bytes),
        full.ready_after
    );
    println!(
        "  each webhook: {each:.0} bytes beside its {props:.0} bytes of props; \
         the aim, under {AIM_BYTES_PER_WEBHOOK} bytes, is {}",
        aim::word(each < AIM_BYTES_PER_WEBHOOK)
    );
}

fn mib(bytes: f64) -> f64 {
    bytes / (1024.0 * 1024.0)
}
