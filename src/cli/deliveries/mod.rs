//! `webhook-operator deliveries`: what happened to each event, for people and for scripts.

mod list;
mod replay;
mod show;

use std::str::FromStr;

use clap::{Args, Subcommand};

use self::list::ListArgs;
pub use self::list::{Meant, latest};
use self::replay::ReplayArgs;
use self::show::ShowArgs;
pub use self::show::find;
use crate::admin::deliveries::since;
use crate::moment::Moment;

/// What `deliveries` can do.
#[derive(Debug, Args)]
pub struct DeliveriesArgs {
    #[command(subcommand)]
    command: DeliveriesCommand,
}

#[derive(Debug, Subcommand)]
enum DeliveriesCommand {
    /// List deliveries, the latest first
    List(ListArgs),
    /// Show one delivery: its attempts, its headers and its body
    Show(ShowArgs),
    /// Deliver events again, by id or by what they have in common
    Replay(ReplayArgs),
}

/// Does what the command line says.
///
/// # Errors
/// With one line for a person.
pub async fn deliveries(args: DeliveriesArgs) -> anyhow::Result<()> {
    match args.command {
        DeliveriesCommand::List(args) => list::list(args).await,
        DeliveriesCommand::Show(args) => show::show(args).await,
        DeliveriesCommand::Replay(args) => replay::replay(args).await,
    }
}

/// A moment as a flag gives it. It goes to the server as it is: every replica has its own clock.
#[derive(Clone, Debug)]
struct Since(String);

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        since(text, Moment::now()).map(|_| Self(text.to_owned()))
    }
}
