//! The command line: one file a subcommand.

mod client;
mod completion;
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

use clap::{CommandFactory, Parser, Subcommand};

use self::client::called::Called;

/// Inbound webhooks for Kubernetes: declared as resources, carried to your app.
#[derive(Debug, Parser)]
#[command(name = "webhook-operator", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub telemetry: telemetry::TelemetryArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// Inbound webhooks: what happened to each event, what is wrong, and a test event.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-webhook",
    bin_name = "kubectl webhook",
    version,
    propagate_version = true,
    max_term_width = 100
)]
struct Plugin {
    #[command(flatten)]
    telemetry: telemetry::TelemetryArgs,
    #[command(subcommand)]
    command: ClientCommand,
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
    #[command(flatten)]
    Client(ClientCommand),
    /// Print the CustomResourceDefinitions as YAML
    Crds(crds::CrdsArgs),
}

/// What it can do to an operator that runs elsewhere: kubectl has these as a plugin.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Show what happened to each event, and replay it
    Deliveries(Box<deliveries::DeliveriesArgs>),
    /// Send a test event to a webhook, signed as its provider would, and say what becomes of it
    Trigger(Box<trigger::TriggerArgs>),
    /// Say what is wrong, and what to do
    Status(Box<status::StatusArgs>),
    /// Print what a shell needs to complete the words of a command line
    Completion(completion::CompletionArgs),
}

impl Cli {
    /// Reads the command line, by the name that the program was called by; ends the process where it is
    /// wrong, or asks for help or for completions.
    pub fn of_call() -> Self {
        let mut words = std::env::args_os();
        let called = words.next().map_or(Called::Program, |first| Called::of(&first));
        called.remember();
        match called {
            Called::Program => Self::parse(),
            Called::Plugin => {
                let Plugin { telemetry, command } = Plugin::parse();
                Self { telemetry, command: Command::Client(command) }
            }
            Called::Completer => completion::answer_kubectl(Plugin::command(), words.collect()),
        }
    }
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
        Command::Client(command) => return serve::control_runtime()?.block_on(ask(command)),
    }
    Ok(Success::Yes)
}

async fn ask(command: ClientCommand) -> anyhow::Result<Success> {
    match command {
        ClientCommand::Deliveries(args) => deliveries::deliveries(*args).await?,
        ClientCommand::Trigger(args) => return trigger::trigger(*args).await,
        ClientCommand::Status(args) => return status::status(*args).await,
        ClientCommand::Completion(args) => {
            let program = match Called::now() {
                Called::Program => Cli::command(),
                Called::Plugin | Called::Completer => Plugin::command(),
            };
            completion::print(&args, program);
        }
    }
    Ok(Success::Yes)
}
