//! Attacks webhook-operator on loopback, and looks how a well-behaved client beside the attack is served.
//!
//! Each attack has an operator of its own, and lasts some seconds. The attackers have a thread, and so have the
//! client and the listener: what the client measures is the operator, as far as there are cores.
#![forbid(unsafe_code)]

mod attacks;
mod client;
mod http2;
mod setting;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bench_kit::child::sibling;
use bench_kit::listener;
use bench_kit::procfs::{cpu_seconds, resident_bytes};
use bench_kit::stats::quantile;
use bench_kit::table;
use clap::Parser;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::attacks::Attack;
use crate::client::Served;
use crate::setting::Setting;

/// What the client should see; it is printed whether it does.
const AIM: Duration = Duration::from_millis(100);

/// Attacks webhook-operator on loopback, and looks how a well-behaved client beside the attack is served.
#[derive(Parser)]
#[command(max_term_width = 100)]
struct Options {
    /// The operator; by default the one beside this program.
    #[arg(long, env = "WEBHOOK_OPERATOR_BIN")]
    operator: Option<PathBuf>,
    /// How long each attack lasts.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Only these attacks; by default all of them.
    #[arg(long, value_enum)]
    only: Vec<Attack>,
}

fn main() -> ExitCode {
    match try_main(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("attack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the client saw no error.
fn try_main(options: &Options) -> Result<bool> {
    let program = match &options.operator {
        Some(path) => path.canonicalize().with_context(|| format!("no {}", path.display()))?,
        None => sibling("webhook-operator")?,
    };
    allow_many_files()?;
    let attacks = if options.only.is_empty() { Attack::ALL } else { &options.only };
    let mut rows = vec![table::row([
        "attack", "requests", "errors", "p50 ms", "p99 ms", "max ms", "aim", "cores", "open",
        "KiB each",
    ])];
    let mut errors = 0;
    for attack in attacks {
        let run = run(&program, *attack, Duration::from_secs(options.seconds))?;
        errors += run.served.errors.len();
        rows.push(run.row(*attack));
        for error in run.served.errors.iter().take(3) {
            eprintln!("attack: {attack:?}: {error}");
        }
    }
    table::print(&rows);
    println!("aim: p99 below {AIM:?}. KiB each: memory of the operator for each open connection.");
    Ok(errors == 0)
}

/// What came of one attack.
struct Run {
    served: Served,
    /// CPU seconds of the operator, for each second.
    cores: f64,
    /// Connections of the attackers that were open at the end.
    open: usize,
    /// What the operator's memory has grown by.
    bytes: u64,
}

impl Run {
    fn row(&self, attack: Attack) -> Vec<String> {
        let Self { served, cores, open, bytes } = self;
        let millis: Vec<f64> =
            served.times.iter().map(|time| time.as_secs_f64() * 1000.0).collect();
        let at = |part| quantile(&millis, part).unwrap_or(f64::INFINITY);
        let is_met = at(0.99) < AIM.as_secs_f64() * 1000.0;
        #[expect(clippy::cast_precision_loss, reason = "both stay far below 2^52")]
        let each = *bytes as f64 / 1024.0 / (*open).max(1) as f64;
        table::row([
            &*format!("{attack:?}"),
            &served.times.len().to_string(),
            &served.errors.len().to_string(),
            &format!("{:.1}", at(0.5)),
            &format!("{:.1}", at(0.99)),
            &format!("{:.1}", at(1.0)),
            if is_met { "met" } else { "missed" },
            &format!("{cores:.2}"),
            &open.to_string(),
            &if *open < 100 { "-".to_owned() } else { format!("{each:.1}") },
        ])
    }
}

fn run(program: &std::path::Path, attack: Attack, time: Duration) -> Result<Run> {
    let listener = listener::start()?;
    let runtime = runtime()?;
    runtime.block_on(async {
        tokio::select! {
            run = measured(program, attack, time, listener) => run,
            signal = told_to_end() => bail!("ended by {}", signal?),
        }
    })
}

async fn measured(
    program: &std::path::Path,
    attack: Attack,
    time: Duration,
    listener: std::net::SocketAddr,
) -> Result<Run> {
    let mut setting = Setting::start(program, listener, attack.is_tls()).await?;
    let target = setting.target.clone();
    // What is set up at the first requests is not the attack's.
    client::run(target.clone(), Duration::from_millis(500)).await;
    let pid = setting.operator.pid();
    let (cpu, memory) = (cpu_seconds(&[pid])?, resident_bytes(pid)?);
    let open = Arc::new(AtomicUsize::new(0));
    let attackers = {
        let (target, open, runtime) = (target.clone(), open.clone(), runtime()?);
        let last = time + Duration::from_millis(500);
        thread::spawn(move || runtime.block_on(attacks::run(attack, target, open, last)))
    };
    let served = client::run(target, time).await;
    setting.operator.check_running()?;
    let run = Run {
        served,
        cores: (cpu_seconds(&[pid])? - cpu) / time.as_secs_f64(),
        open: open.load(Ordering::Relaxed),
        bytes: resident_bytes(pid)?.saturating_sub(memory),
    };
    // They end by themselves, half a second after the client.
    if attackers.join().is_err() {
        bail!("the attackers broke");
    }
    Ok(run)
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// The operator inherits it.
fn allow_many_files() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

async fn told_to_end() -> Result<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => Ok("SIGINT"),
        _ = terminate.recv() => Ok("SIGTERM"),
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_has_no_contradictions() {
        Options::command().debug_assert();
    }
}
