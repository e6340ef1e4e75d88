//! The command line: one file per subcommand.

mod client;
mod completion;
mod crds;
mod deliveries;
mod demo;
mod eval;
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

/// Inbound webhooks for Kubernetes: declared as resources, delivered to your app.
#[derive(Debug, Parser)]
#[command(name = "webhook-operator", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub telemetry: telemetry::TelemetryArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// Inspect deliveries, diagnose problems and send test events to webhooks.
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

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run in a cluster: every replica accepts triggers, the lease holder writes statuses
    Run(Box<run::RunArgs>),
    /// Run without a cluster: read the same resources from a folder of YAML files
    Standalone(Box<standalone::StandaloneArgs>),
    /// Create an example webhook, trigger it and deliver the event to a built-in listener
    Demo(Box<demo::DemoArgs>),
    /// Run a development listener that prints each call
    Listen(listen::ListenArgs),
    #[command(flatten)]
    Client(ClientCommand),
    /// Print the CustomResourceDefinitions as YAML
    Crds(crds::CrdsArgs),
}

/// The subcommands of people who run webhooks; the kubectl plugin has the same ones.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// List, show and replay deliveries
    Deliveries(Box<deliveries::DeliveriesArgs>),
    /// Send a signed test event to a webhook and report its delivery
    Trigger(Box<trigger::TriggerArgs>),
    /// Report problems and how to fix them
    Status(Box<status::StatusArgs>),
    /// Evaluate a filter, a transform or a key of duplicates for an event
    Eval(Box<eval::EvalArgs>),
    /// Print a shell completion script
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

/// The result of a command that ran; a command that could not run returns an error instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Success {
    /// The command succeeded and found no problem.
    Yes,
    /// The command found a problem: the program exits with code 1.
    No,
}

/// Runs the command.
///
/// # Errors
/// A usage or environment error as one line; the program exits with code 2.
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
        ClientCommand::Eval(args) => return eval::eval(*args),
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
