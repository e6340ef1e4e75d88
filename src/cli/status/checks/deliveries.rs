//! What is wrong with deliveries. Pure.

use std::time::Duration;

use crate::admin::deliveries::view::Delivery;
use crate::cli::client::called::command;
use crate::cli::status::finding::Finding;
use crate::cli::status::observed::Observed;

/// How late a delivery may be that was not attempted yet: others of its app may be before it.
const LATE: Duration = Duration::from_secs(5 * 60);

pub fn dead(observed: &Observed) -> Vec<Finding> {
    let Some(deliveries) = &observed.deliveries else { return Vec::new() };
    let dead = deliveries.dead_by_webhook().into_iter().filter_map(|(key, dead)| {
        let (last, flags) =
            (*dead.first()?, format!("-n {} --webhook {}", key.namespace, key.name));
        let what = format!(
            "has {} of the last 24 h",
            count(dead.len(), "dead delivery", "dead deliveries")
        );
        Some(
            Finding::problem(format!("Webhook {key}"), what)
                .because(format!("The last one: {}", ended(last)))
                .so(
                    "See what the listener said, mend it, and replay them",
                    [
                        command(&format!("deliveries show {}", last.id)),
                        command(&format!("deliveries replay {flags} --state dead --since 24h")),
                    ],
                ),
        )
    });
    dead.collect()
}

fn ended(delivery: &Delivery) -> String {
    let reason = delivery.reason.as_deref().unwrap_or("it ended");
    let attempts = count(delivery.attempt_count as usize, "attempt", "attempts");
    let status = delivery.last_status.map(|status| format!(", last answered {status}"));
    format!("{reason}, after {attempts}{}", status.unwrap_or_default())
}

pub fn pending(observed: &Observed) -> Vec<Finding> {
    let Some(deliveries) = &observed.deliveries else { return Vec::new() };
    let found = deliveries.pending_by_webhook().into_iter().filter_map(|(key, pending)| {
        let is_late = |delivery: &&&Delivery| {
            delivery.attempt_count > 0 || observed.now.since(delivery.created_at) > LATE
        };
        let late: Vec<_> = pending.iter().filter(is_late).collect();
        let oldest = late.iter().min_by_key(|delivery| delivery.created_at)?;
        let status = oldest.last_status.map(|status| format!(", and was last answered {status}"));
        let attempts = count(oldest.attempt_count as usize, "attempt", "attempts");
        let what = count(late.len(), "delivery that waits", "deliveries that wait");
        Some(
            Finding::problem(
                format!("Webhook {key}"),
                format!("has {what} for a listener to take it"),
            )
            .since(oldest.created_at)
            .because(format!("The oldest had {attempts}{}", status.unwrap_or_default()))
            .so(
                "They are tried again by themselves. What was said to the attempts is in each",
                [command(&format!("deliveries show {}", oldest.id))],
            ),
        )
    });
    found.collect()
}

/// How many of something there are.
fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}
