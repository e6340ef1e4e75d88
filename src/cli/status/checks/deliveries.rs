//! Problems of deliveries. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::ResourceExt;

use crate::admin::deliveries::view::DeliveryView;
use crate::cli::client::called::command;
use crate::cli::status::finding::Finding;
use crate::cli::status::observed::Observed;
use crate::plan::Key;
use crate::resources::WebhookApp;

/// Tolerated delay of a first attempt: other deliveries of the app may be ahead of it.
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
                    "Read the listener's response, fix the listener, and replay the deliveries",
                    [
                        command(&format!("deliveries show {}", last.id)),
                        command(&format!("deliveries replay {flags} --state dead --since 24h")),
                    ],
                ),
        )
    });
    dead.collect()
}

fn ended(delivery: &DeliveryView) -> String {
    let reason = delivery.reason.as_deref().unwrap_or("it ended");
    let attempts = count(delivery.attempt_count as usize, "attempt", "attempts");
    let status = delivery.last_status.map(|status| format!(", last status {status}"));
    format!("{reason}, after {attempts}{}", status.unwrap_or_default())
}

pub fn pending(observed: &Observed) -> Vec<Finding> {
    let Some(deliveries) = &observed.deliveries else { return Vec::new() };
    let apps = known_apps(observed);
    let found = deliveries.pending_by_webhook().into_iter().filter_map(|(key, mut pending)| {
        pending.retain(|delivery| !is_orphaned(delivery, apps.as_ref()));
        let is_late = |delivery: &&&DeliveryView| {
            delivery.attempt_count > 0 || observed.now.since(delivery.created_at) > LATE
        };
        let late: Vec<_> = pending.iter().filter(is_late).collect();
        let oldest = late.iter().min_by_key(|delivery| delivery.created_at)?;
        let status = oldest.last_status.map(|status| format!(", last status {status}"));
        let attempts = count(oldest.attempt_count as usize, "attempt", "attempts");
        let what = count(late.len(), "undelivered event", "undelivered events");
        Some(
            Finding::problem(format!("Webhook {key}"), format!("has {what}"))
                .since(oldest.created_at)
                .because(format!("The oldest had {attempts}{}", status.unwrap_or_default()))
                .so(
                    "The operator retries them automatically. Each delivery lists its attempts",
                    [command(&format!("deliveries show {}", oldest.id))],
                ),
        )
    });
    found.collect()
}

/// Undelivered events of deleted apps.
pub fn orphaned(observed: &Observed) -> Vec<Finding> {
    let Some(deliveries) = &observed.deliveries else { return Vec::new() };
    let apps = known_apps(observed);
    let mut counts = BTreeMap::<Key, usize>::new();
    for delivery in deliveries.pending_by_webhook().values().flatten() {
        if is_orphaned(delivery, apps.as_ref()) {
            *counts.entry(app_of(delivery)).or_default() += 1;
        }
    }
    let found = counts.into_iter().map(|(app, waiting)| {
        let waiting = count(waiting, "undelivered event waits", "undelivered events wait");
        Finding::problem(format!("WebhookApp {app}"), format!("was deleted, and {waiting} for it"))
            .because("They become dead after --app-deletion-grace (1 h by default)")
            .so(
                format!(
                    "If this was a mistake, create the app again in namespace {}",
                    app.namespace
                ),
                [command(&format!("deliveries list -n {} --state pending", app.namespace))],
            )
    });
    found.collect()
}

/// The apps that exist; `None` if they could not be read.
fn known_apps(observed: &Observed) -> Option<BTreeSet<Key>> {
    observed.apps.as_ref()?;
    let key = |app: &WebhookApp| Key::new(app.namespace().unwrap_or_default(), app.name_any());
    Some(observed.apps().iter().map(key).collect())
}

fn is_orphaned(delivery: &DeliveryView, apps: Option<&BTreeSet<Key>>) -> bool {
    apps.is_some_and(|apps| !apps.contains(&app_of(delivery)))
}

fn app_of(delivery: &DeliveryView) -> Key {
    Key::new(delivery.namespace.clone(), delivery.app.clone())
}

/// A number with its noun.
fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}
