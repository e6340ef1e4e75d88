//! Runs the whole-program benchmark: starts every subject, loads them in turn and prints what
//! each costs, side by side.
#![forbid(unsafe_code)]

mod aim;
mod alone;
mod decoding;
mod filter;
mod github;
mod hmac;
mod measure;
mod memory;
mod nginx;
mod observability;
mod operator;
mod pair;
mod propagation;
mod queue;
mod subject;
mod trigger;
mod verification;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// The whole-program benchmark of webhook-operator, side by side with its limit.
#[derive(Parser)]
#[command(max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    programs: Programs,
    #[command(subcommand)]
    command: Command,
}

/// Programs that are not built with this one.
#[derive(Args, Clone)]
struct Programs {
    /// The operator; by default the one beside this program.
    #[arg(long, global = true, env = "WEBHOOK_OPERATOR_BIN")]
    operator: Option<PathBuf>,
    /// The API server for `propagation`.
    #[arg(
        long,
        global = true,
        env = "WEBHOOK_CLUSTER_BIN",
        default_value = "target/cluster/webhook-cluster"
    )]
    cluster: PathBuf,
    /// nginx, as the reverse proxy to compare with.
    #[arg(long, global = true, env = "NGINX_BIN", default_value = "nginx")]
    nginx: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// CPU, throughput and latency of a trigger: operator, bare forwarder and nginx in turn.
    Trigger(trigger::Options),
    /// Resident memory without and with many webhooks.
    Memory(memory::Options),
    /// From a webhook's creation in the API server to the first 200 of its URL.
    Propagation(propagation::Options),
    /// CPU of a trigger that is verified beside one that is not, and HMAC-SHA256 alone.
    Verification(verification::Options),
    /// CPU of a filter of three comparisons beside a walk over the same JSON.
    Filter(filter::Options),
    /// CPU of a trigger with metrics and with traces beside one of which nothing is seen.
    Observability(observability::Options),
    /// The durable queue: accepted and delivered per second beside bare group commit, latency, memory.
    Queue(queue::Options),
    /// All seven; `verification`, `filter`, `observability` and `queue` with their defaults.
    All {
        #[command(flatten)]
        trigger: trigger::Options,
        #[command(flatten)]
        memory: memory::Options,
        #[command(flatten)]
        propagation: propagation::Options,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // The loser is dropped, and with it every process and directory of the run.
        tokio::select! {
            result = dispatch(cli) => result,
            signal = told_to_end() => Err(anyhow::anyhow!("ended by {}", signal?)),
        }
    })
}

async fn dispatch(cli: Cli) -> Result<()> {
    let programs = &cli.programs;
    match cli.command {
        Command::Trigger(options) => trigger::run(&options, programs).await,
        Command::Memory(options) => memory::run(&options, programs).await,
        Command::Propagation(options) => propagation::run(&options, programs).await,
        Command::Verification(options) => verification::run(&options, programs).await,
        Command::Filter(options) => filter::run(&options),
        Command::Observability(options) => observability::run(&options, programs).await,
        Command::Queue(options) => queue::run(&options, programs).await,
        Command::All { trigger, memory, propagation } => {
            trigger::run(&trigger, programs).await?;
            memory::run(&memory, programs).await?;
            propagation::run(&propagation, programs).await?;
            verification::run(&verification::Options::default(), programs).await?;
            filter::run(&filter::Options::default())?;
            observability::run(&observability::Options::default(), programs).await?;
            queue::run(&queue::Options::default(), programs).await
        }
    }
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
    use super::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn the_parts_and_all_of_them_have_a_command_line_without_contradictions() {
        Cli::command().debug_assert();
    }
}
