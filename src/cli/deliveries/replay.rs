//! `deliveries replay`: delivers events again.

use std::io::{self, IsTerminal, Write as _};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::list::{DeliveryFilter, latest};
use super::show::find;
use super::{Since, state_parser};
use crate::admin::deliveries::view::{Begun, ReplayedView, StateView};
use crate::cli::client::ask::{ask, ask_in_turn};
use crate::cli::client::reach::{Operator, ReachArgs, ScopeArgs};
use crate::cli::output;
use crate::moment::Moment;

/// Maximum number of deliveries that are counted for the confirmation.
const COUNTED: usize = 10_000;

/// Flags of `deliveries replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Ids of the deliveries; or select them with flags
    #[arg(value_name = "ID", conflicts_with_all = ["webhook", "state", "since", "until", "namespace", "all_namespaces"])]
    ids: Vec<Uuid>,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Only webhooks of this name
    #[arg(long, value_name = "NAME")]
    webhook: Option<String>,
    /// Only deliveries in this state [default: dead]
    #[arg(long, value_parser = state_parser(&[StateView::Dead, StateView::Succeeded]))]
    state: Option<StateView>,
    /// Only deliveries created at or after this time: RFC 3339, or an age such as 15m, 24h or 7d
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Only deliveries created before this time, in the same format as --since
    #[arg(long, value_name = "TIME")]
    until: Option<Since>,
    /// Print the selection without replaying it
    #[arg(long)]
    dry_run: bool,
    /// Skip the confirmation
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    reach: ReachArgs,
}

/// Replays deliveries.
pub async fn replay(args: ReplayArgs) -> anyhow::Result<()> {
    let flags = args.webhook.is_some()
        || args.state.is_some()
        || [&args.since, &args.until].into_iter().any(Option::is_some);
    if args.ids.is_empty() && !flags {
        bail!("select deliveries by id, or with --webhook, --state, --since or --until");
    }
    let operator = Operator::find(&args.reach).await?;
    if args.ids.is_empty() {
        by_filter(&operator, args).await
    } else {
        by_id(&operator, args).await
    }
}

async fn by_id(operator: &Operator, args: ReplayArgs) -> anyhow::Result<()> {
    for id in args.ids {
        if args.dry_run {
            let delivery = find(operator, id).await?.delivery;
            output::line(&format!("{id} would be replayed ({})", delivery.state.as_str()));
            continue;
        }
        let path = format!("/api/deliveries/{id}/replay");
        let path = &path;
        let begun = ask_in_turn(&operator.replicas, |replica| replica.post::<Begun>(path, ""));
        let begun = begun.await.of_one();
        let begun = begun.with_context(|| format!("{id} was not replayed"))?;
        let begun = begun.with_context(|| format!("delivery {id} does not exist"))?;
        output::line(&format!("{id} replayed as {}", begun.id));
    }
    Ok(())
}

async fn by_filter(operator: &Operator, args: ReplayArgs) -> anyhow::Result<()> {
    let filter = DeliveryFilter {
        namespace: operator.namespace(&args.scope),
        webhook: args.webhook,
        state: Some(args.state.unwrap_or(StateView::Dead)),
        since: args.since.map(|since| since.0),
        // Excludes deliveries that end during the confirmation.
        until: Some(args.until.map_or_else(|| Moment::now().to_string(), |until| until.0)),
    };
    if args.dry_run || !args.yes {
        let count = latest(operator, &filter, COUNTED).await?.items.len();
        let said = sentence(&filter, count);
        if args.dry_run || count == 0 {
            output::line(&said);
            return Ok(());
        }
        confirm(&said)?;
    }
    let body = body(&filter).to_string();
    let body = &body;
    let answers = ask(operator, |replica| {
        replica.post::<ReplayedView>("/api/deliveries/replay", body.clone())
    })
    .await;
    let replayed: u64 = answers.given.iter().map(|answer| answer.replayed).sum();
    if !answers.given.is_empty() {
        output::line(&format!("{replayed} replayed"));
    }
    let silent: Vec<String> =
        answers.given.iter().flat_map(|answer| answer.unavailable.clone()).collect();
    if !silent.is_empty() {
        bail!("no response from {}: other replicas cannot reach it", silent.join(", "));
    }
    if answers.failed.is_empty() { Ok(()) } else { Err(answers.failure()) }
}

fn body(filter: &DeliveryFilter) -> Value {
    let DeliveryFilter { namespace, webhook, state, since, until } = filter;
    let fields = [
        ("namespace", namespace.as_deref()),
        ("webhook", webhook.as_deref()),
        ("state", state.map(StateView::as_str)),
        ("since", since.as_deref()),
        ("until", until.as_deref()),
    ];
    let given = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Value::Object(given.map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<_, _>>())
}

fn sentence(filter: &DeliveryFilter, count: usize) -> String {
    let more = if count == COUNTED { " or more" } else { "" };
    let state = filter.state.map_or("", StateView::as_str);
    let (noun, verb) = if count == 1 { ("delivery", "is") } else { ("deliveries", "are") };
    let whose = match (&filter.webhook, &filter.namespace) {
        (Some(webhook), Some(namespace)) => format!("the webhook {namespace}/{webhook}"),
        (Some(webhook), None) => format!("webhooks {webhook} of all namespaces"),
        (None, Some(namespace)) => format!("the namespace {namespace}"),
        (None, None) => "all namespaces".into(),
    };
    format!("{count}{more} {state} {noun} of {whose} {verb} selected.")
}

/// Asks for confirmation on the terminal.
fn confirm(said: &str) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        bail!(
            "{said} stdin is not a terminal: use --yes to replay them, or --dry-run to count them"
        );
    }
    let mut stderr = io::stderr();
    write!(stderr, "{said} Replay? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!("nothing was replayed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_confirmation_names_the_selected_deliveries() {
        let mut filter =
            DeliveryFilter { state: Some(StateView::Dead), ..DeliveryFilter::default() };
        assert_eq!(sentence(&filter, 2), "2 dead deliveries of all namespaces are selected.");
        filter.namespace = Some("team-a".into());
        filter.webhook = Some("pay".into());
        assert_eq!(sentence(&filter, 1), "1 dead delivery of the webhook team-a/pay is selected.");
        let many = "10000 or more dead deliveries of the webhook team-a/pay are selected.";
        assert_eq!(sentence(&filter, COUNTED), many);
        let fields = serde_json::json!({"namespace": "team-a", "webhook": "pay", "state": "dead"});
        assert_eq!(body(&filter), fields);
    }
}
