//! Kills the operator again and again under load, and looks whether anything that it accepted is lost.
#![forbid(unsafe_code)]

mod churn;
mod ledger;
mod listener;
mod load;
mod operator;
mod report;
mod run;
mod scenario;
mod sender;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bench_kit::child::sibling;
use clap::Parser;
use tempfile::TempDir;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};

use crate::operator::Setup;
use crate::scenario::Scenario;

/// Kills the operator again and again under load, and looks whether anything that it accepted is lost.
#[derive(Parser)]
#[command(max_term_width = 100)]
struct Options {
    /// The operator; by default the one beside this program.
    #[arg(long, env = "WEBHOOK_OPERATOR_BIN")]
    operator: Option<PathBuf>,
    /// For how long it is killed; what is left is delivered afterwards.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// What happens.
    #[arg(long, value_enum, default_value_t = Scenario::All)]
    scenario: Scenario,
    /// How many webhooks come and go in the scenario `churn`, which takes no notice of --seconds.
    #[arg(long, default_value_t = 100_000)]
    webhooks: u64,
    /// Of the moments of the kills; by default another one each time.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    match try_main(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crash: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every promise was kept. What a run left is kept when none was.
fn try_main(options: &Options) -> Result<bool> {
    let dir = TempDir::with_prefix("webhook-crash-")?;
    let program = match &options.operator {
        Some(path) => path.canonicalize().with_context(|| format!("no {}", path.display()))?,
        None => sibling("webhook-operator")?,
    };
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let setup = Setup { program, dir: dir.path().to_owned() };
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let is_good = runtime.block_on(async {
        // The loser is dropped, and with it every process of the run.
        tokio::select! {
            is_good = run_scenario(options, setup, seed) => is_good,
            signal = told_to_end() => bail!("ended by {}", signal?),
        }
    });
    if !is_good.as_ref().is_ok_and(|is_good| *is_good) {
        eprintln!("crash: what the run left is in {}", dir.keep().display());
    }
    is_good
}

async fn run_scenario(options: &Options, setup: Setup, seed: u64) -> Result<bool> {
    if options.scenario == Scenario::Churn {
        println!("crash: Churn, {} webhooks", options.webhooks);
        let report = churn::run(&setup, options.webhooks).await?;
        report.print();
        return Ok(report.is_good());
    }
    println!("crash: {:?}, {} s, seed {seed}", options.scenario, options.seconds);
    let time = Duration::from_secs(options.seconds);
    let report = run::run(setup, options.scenario, time, seed).await?;
    report.print();
    Ok(report.is_good())
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
