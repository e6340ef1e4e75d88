//! `webhook-operator deliveries`: lists, shows and replays deliveries.

mod list;
mod replay;
mod show;

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use self::list::ListArgs;
pub use self::list::{DeliveryFilter, latest};
use self::replay::ReplayArgs;
use self::show::ShowArgs;
pub use self::show::find;
use crate::admin::deliveries::since;
use crate::admin::deliveries::view::StateView;
use crate::moment::Moment;

/// Arguments of `deliveries`.
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
    /// Deliver events again, by id or by filter
    Replay(ReplayArgs),
}

/// Runs the subcommand.
///
/// # Errors
/// One line for the user.
pub async fn deliveries(args: DeliveriesArgs) -> anyhow::Result<()> {
    match args.command {
        DeliveriesCommand::List(args) => list::list(args).await,
        DeliveriesCommand::Show(args) => show::show(args).await,
        DeliveriesCommand::Replay(args) => replay::replay(args).await,
    }
}

/// Parser of `--state`, which takes one of these states.
fn state_parser(states: &'static [StateView]) -> impl TypedValueParser<Value = StateView> {
    let words = states.iter().map(|state| state.as_str());
    PossibleValuesParser::new(words).try_map(|word| word.parse::<StateView>())
}

/// A time or age from a flag. Sent to the server unchanged: an age is relative to the replica's clock.
#[derive(Clone, Debug)]
struct Since(String);

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        since(text, Moment::now()).map(|_| Self(text.to_owned()))
    }
}
