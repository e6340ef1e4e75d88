//! The command line: one file a subcommand.

mod client;
mod crds;
mod deliveries;
mod demo;
pub mod listen;
mod options;
mod output;
mod queue;
mod run;
mod serve;
mod signals;
mod standalone;
mod status;
pub mod telemetry;
mod trigger;

use clap::{Parser, Subcommand};

/// Inbound webhooks for Kubernetes: declared as resources, carried to your app.
#[derive(Debug, Parser)]
#[command(name = "webhook-operator", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub telemetry: telemetry::TelemetryArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve in a cluster: every replica takes triggers, the lease holder writes statuses
    Run(Box<run::RunArgs>),
    /// Serve without a cluster: the same resources from a folder of YAML
    Standalone(Box<standalone::StandaloneArgs>),
    /// Show the main job: one webhook made, triggered and delivered to a built-in listener
    Demo(Box<demo::DemoArgs>),
    /// Listen as an app would, and print each call (for development)
    Listen(listen::ListenArgs),
    /// Show what happened to each event, and replay it
    Deliveries(Box<deliveries::DeliveriesArgs>),
    /// Send a test event to a webhook, signed as its provider would, and say what becomes of it
    Trigger(Box<trigger::TriggerArgs>),
    /// Say what is wrong, and what to do
    Status(Box<status::StatusArgs>),
    /// Print the CustomResourceDefinitions as YAML
    Crds(crds::CrdsArgs),
}

/// Whether what was asked about is good; where it could not be found out, there is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Success {
    /// It is, or was done.
    Yes,
    /// It is not: the program then exits with code 1.
    No,
}

/// Does what the command line says.
///
/// # Errors
/// With one line for a person; the program then exits with code 2.
pub fn execute(command: Command) -> anyhow::Result<Success> {
    match command {
        Command::Run(args) => run::run(*args)?,
        Command::Standalone(args) => standalone::standalone(*args)?,
        Command::Demo(args) => demo::demo(*args)?,
        Command::Listen(args) => {
            let runtime = serve::control_runtime()?;
            runtime.block_on(async { listen::listen(args, signals::stop()?).await })?;
        }
        Command::Crds(args) => crds::print(&args),
        Command::Deliveries(args) => {
            serve::control_runtime()?.block_on(deliveries::deliveries(*args))?;
        }
        Command::Status(args) => {
            return serve::control_runtime()?.block_on(status::status(*args));
        }
        Command::Trigger(args) => {
            return serve::control_runtime()?.block_on(trigger::trigger(*args));
        }
    }
    Ok(Success::Yes)
}
