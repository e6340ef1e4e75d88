//! `deliveries list`: the deliveries of all replicas in one list, by time.

use clap::Args;
use form_urlencoded::Serializer;
use strum::VariantArray as _;

use super::{Since, state_parser};
use crate::admin::deliveries::view::{DeliveryView, List, StateView};
use crate::cli::client::Format;
use crate::cli::client::ask::ask;
use crate::cli::client::reach::{Operator, ReachArgs, ScopeArgs};
use crate::cli::client::replica::{Replica, ReplicaError};
use crate::cli::client::table::{age, clean, or_none, table};
use crate::moment::Moment;

/// Page size of requests.
const PAGE: usize = 500;

/// Flags of `deliveries list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Only webhooks of this name
    #[arg(long, value_name = "NAME")]
    webhook: Option<String>,
    /// Only deliveries in this state
    #[arg(long, value_parser = state_parser(StateView::VARIANTS))]
    state: Option<StateView>,
    /// Only deliveries created at or after this time: RFC 3339, or an age such as 15m, 24h or 7d
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Only deliveries created before this time, in the same format as --since
    #[arg(long, value_name = "TIME")]
    until: Option<Since>,
    /// Maximum number of deliveries
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    limit: u32,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(flatten)]
    reach: ReachArgs,
}

/// Which deliveries to select.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Namespace; `None` for all.
    pub namespace: Option<String>,
    /// Name of the webhook.
    pub webhook: Option<String>,
    /// State.
    pub state: Option<StateView>,
    /// Created at or after this time.
    pub since: Option<String>,
    /// Created before this time.
    pub until: Option<String>,
}

impl DeliveryFilter {
    fn path(&self, limit: usize, cursor: Option<&str>) -> String {
        let mut query = Serializer::new(String::new());
        for (name, value) in [
            ("namespace", self.namespace.as_deref()),
            ("webhook", self.webhook.as_deref()),
            ("state", self.state.map(StateView::as_str)),
            ("since", self.since.as_deref()),
            ("until", self.until.as_deref()),
            ("cursor", cursor),
        ] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.append_pair("limit", &limit.to_string());
        format!("/api/deliveries?{}", query.finish())
    }
}

/// Prints deliveries.
pub async fn list(args: ListArgs) -> anyhow::Result<()> {
    let operator = Operator::find(&args.reach).await?;
    let namespace = operator.namespace(&args.scope);
    let shows_namespace = namespace.is_none();
    let filter = DeliveryFilter {
        namespace,
        webhook: args.webhook,
        state: args.state,
        since: args.since.map(|since| since.0),
        until: args.until.map(|until| until.0),
    };
    let list = latest(&operator, &filter, args.limit as usize).await?;
    if list.items.is_empty() && args.output == Format::Table {
        eprintln!("No deliveries found.");
        return Ok(());
    }
    args.output.print(&list, || as_table(&list.items, shows_namespace, Moment::now()))
}

/// The latest deliveries of all replicas, at most `limit`. Prints a warning for each missing
/// replica.
pub async fn latest(
    operator: &Operator,
    filter: &DeliveryFilter,
    limit: usize,
) -> anyhow::Result<List> {
    let answers = ask(operator, |replica| latest_of(replica, filter, limit)).await;
    let list = merged(answers.of_some()?, limit);
    for name in &list.unavailable {
        eprintln!("warning: no response from {}: other replicas cannot reach it", clean(name));
    }
    Ok(list)
}

/// Merges the lists of several replicas, latest first.
fn merged(lists: Vec<List>, limit: usize) -> List {
    let mut merged = List::default();
    for list in lists {
        merged.items.extend(list.items);
        merged.unavailable.extend(list.unavailable);
    }
    // Ids are time-ordered (UUIDv7).
    merged.items.sort_by_key(|item| std::cmp::Reverse(item.id));
    // Replicas that share their store list the same deliveries.
    merged.items.dedup_by_key(|item| item.id);
    merged.items.truncate(limit);
    // Each page names them again.
    merged.unavailable.sort();
    merged.unavailable.dedup();
    merged
}

async fn latest_of(
    replica: &Replica,
    filter: &DeliveryFilter,
    limit: usize,
) -> Result<List, ReplicaError> {
    let mut read = List::default();
    loop {
        let limit_of_page = (limit - read.items.len()).min(PAGE);
        let page: List = replica.get(&filter.path(limit_of_page, read.cursor.as_deref())).await?;
        read.items.extend(page.items);
        read.unavailable.extend(page.unavailable);
        read.cursor = page.cursor;
        if read.cursor.is_none() || read.items.len() >= limit {
            return Ok(read);
        }
    }
}

fn as_table(items: &[DeliveryView], shows_namespace: bool, now: Moment) -> String {
    let mut header = vec!["ID", "WEBHOOK", "STATE", "REASON", "ATTEMPTS", "STATUS", "NEXT", "AGE"];
    if shows_namespace {
        header.insert(0, "NAMESPACE");
    }
    let rows = items.iter().map(|item| {
        let mut row = vec![
            item.id.to_string(),
            clean(&item.webhook),
            item.state.as_str().to_owned(),
            or_none(item.reason.as_deref().map(clean)),
            item.attempt_count.to_string(),
            or_none(item.last_status),
            next(item, now),
            age(now.since(item.created_at)),
        ];
        if shows_namespace {
            row.insert(0, clean(&item.namespace));
        }
        row
    });
    table(&header, &rows.collect::<Vec<_>>())
}

/// Time until the next attempt.
fn next(item: &DeliveryView, now: Moment) -> String {
    match item.due_at {
        _ if item.waiting => "waiting".into(),
        Some(due) if due > now => age(due.since(now)),
        Some(_) => "now".into(),
        None => or_none::<&str>(None),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;

    fn delivery(id: u128) -> DeliveryView {
        let text = Arc::from("x");
        DeliveryView {
            id: Uuid::from_u128(id),
            event_id: Uuid::from_u128(id),
            generation: 1,
            namespace: Arc::clone(&text),
            app: Arc::clone(&text),
            webhook: Arc::clone(&text),
            action: text,
            state: StateView::Pending,
            waiting: false,
            reason: None,
            attempt_count: 0,
            last_status: None,
            created_at: Moment(0),
            due_at: Some(Moment(90_000)),
            finished_at: None,
        }
    }

    #[test]
    fn lists_of_several_replicas_are_one_list_by_time_as_long_as_was_asked_for() {
        let lists = || {
            [vec![6, 3, 2], vec![], vec![5, 4, 3, 1]].map(|ids| List {
                items: ids.into_iter().map(delivery).collect(),
                ..List::default()
            })
        };
        let ids = |limit| -> Vec<u128> {
            merged(lists().into(), limit).items.iter().map(|item| item.id.as_u128()).collect()
        };
        assert_eq!(ids(4), [6, 5, 4, 3]);
        assert_eq!(ids(9), [6, 5, 4, 3, 2, 1]);
    }

    #[test]
    fn the_next_attempt_is_in_a_while_or_now_or_none() {
        let mut item = delivery(1);
        assert_eq!(
            (next(&item, Moment(0)), next(&item, Moment(90_000))),
            ("90s".into(), "now".into())
        );
        item.waiting = true;
        assert_eq!(next(&item, Moment(0)), "waiting");
        (item.waiting, item.due_at) = (false, None);
        assert_eq!(next(&item, Moment(0)), "<none>");
    }

    #[test]
    fn a_question_carries_what_is_meant_and_escapes_it() {
        let filter = DeliveryFilter {
            since: Some("2026-11-24T15:00:00+01:00".into()),
            webhook: Some("a&b".into()),
            ..DeliveryFilter::default()
        };
        assert_eq!(
            filter.path(7, Some("c")),
            "/api/deliveries?webhook=a%26b&since=2026-11-24T15%3A00%3A00%2B01%3A00&cursor=c&limit=7"
        );
    }
}
