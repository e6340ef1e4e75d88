//! The Kubernetes Events of Webhooks and WebhookApps.
//!
//! Events are derived from the old and the new status of an object, so that a replica that restarts
//! or takes over the lease does not repeat them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use strum::{IntoStaticStr, VariantNames};

use super::counted::{Counted, Died};
use super::{Key, Observed};
use crate::resources::conditions::{LISTENER_REACHABLE, READY, STALLED};
use crate::resources::reason::{ConditionReason, StalledReason};
use crate::resources::{WebhookAppStatus, WebhookStatus};

/// An Event for users. Contains neither secrets nor URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `Normal` or `Warning`.
    pub severity: Severity,
    /// The reason, for programs.
    pub reason: EventReason,
    /// One sentence.
    pub note: String,
}

/// The two Event types of Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Expected operation.
    Normal,
    /// A problem.
    Warning,
}

/// Reason of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantNames)]
pub enum EventReason {
    /// The object becomes ready.
    Ready,
    /// The object needs a change by a user. The text is that of the condition's reason.
    #[strum(transparent)]
    Stalled(StalledReason),
    /// `spec.suspend` is true.
    Suspended,
    /// The listener fails repeatedly.
    ListenerUnreachable,
    /// The listener answers again.
    ListenerReachable,
    /// The first successful delivery of a webhook.
    FirstDelivery,
    /// The app was deleted while events wait for its listener.
    UndeliveredEvents,
    /// Deliveries died.
    DeadLetters,
}

impl EventReason {
    /// The text in the Event.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Event {
    fn normal(reason: EventReason, note: impl Into<String>) -> Self {
        Self { severity: Severity::Normal, reason, note: note.into() }
    }

    fn warning(reason: EventReason, note: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, reason, note: note.into() }
    }
}

/// The Events of an app for a change of its status.
pub fn of_app(before: &Observed, after: &WebhookAppStatus) -> Vec<Event> {
    let ready = of_readiness(before, &after.conditions);
    let listener = of_listener(before, &after.conditions);
    ready.into_iter().chain(listener).collect()
}

/// The Events of a webhook for a change of its status; `died` describes the deliveries that died
/// since the last status.
pub fn of_webhook(key: &Key, before: &Observed, after: &WebhookStatus, died: &Died) -> Vec<Event> {
    let (counted_before, counted) = (before.counted(), Counted::of(after));
    let ready = of_readiness(before, &after.conditions);
    let first = of_first_delivery(&counted_before, &counted);
    let waiting = of_undelivered(key, before, &after.conditions, &counted);
    let dead = of_dead_letters(key, &counted_before, &counted, died);
    ready.into_iter().chain(first).chain(waiting).chain(dead).collect()
}

/// An Event for a change of `Ready`. `Reconciling` is transient and gets none.
fn of_readiness(before: &Observed, conditions: &[Condition]) -> Option<Event> {
    let ready = find(conditions, READY)?;
    if before.says(ready) {
        return None;
    }
    if ready.reason == ConditionReason::Suspended.as_str() {
        return Some(Event::normal(EventReason::Suspended, &*ready.message));
    }
    if is_true(ready) {
        return Some(Event::normal(EventReason::Ready, &*ready.message));
    }
    if find(conditions, STALLED).is_some_and(is_true) {
        let reason = ready.reason.parse().ok();
        debug_assert!(reason.is_some(), "a condition of the planner: {}", ready.reason);
        return Some(Event::warning(EventReason::Stalled(reason?), &*ready.message));
    }
    None
}

/// An Event when a listener stops answering, or answers again.
fn of_listener(before: &Observed, conditions: &[Condition]) -> Option<Event> {
    let found = find(conditions, LISTENER_REACHABLE)?;
    match (before.listener_status(), &*found.status) {
        (Some("False"), "True") => {
            Some(Event::normal(EventReason::ListenerReachable, &*found.message))
        }
        (before, "False") if before != Some("False") => {
            Some(Event::warning(EventReason::ListenerUnreachable, &*found.message))
        }
        _ => None,
    }
}

fn of_first_delivery(before: &Counted, after: &Counted) -> Option<Event> {
    let is_first = before.last_delivery().is_none() && after.last_delivery().is_some();
    is_first
        .then(|| Event::normal(EventReason::FirstDelivery, "The listener accepted its first event"))
}

/// The app was deleted while events wait for its listener.
fn of_undelivered(
    key: &Key,
    before: &Observed,
    conditions: &[Condition],
    counted: &Counted,
) -> Option<Event> {
    let ready = find(conditions, READY)
        .filter(|ready| ready.reason == StalledReason::AppNotFound.as_str())?;
    let is_known = before.says(ready) && before.counted().pending() > 0;
    let events = match counted.pending() {
        1 if !is_known => "1 undelivered event waits".to_owned(),
        pending if pending > 0 && !is_known => format!("{pending} undelivered events wait"),
        _ => return None,
    };
    Some(Event::warning(
        EventReason::UndeliveredEvents,
        format!(
            "{events} for the app; they end as dead after --app-deletion-grace unless it is created again in namespace {}",
            key.namespace
        ),
    ))
}

fn of_dead_letters(key: &Key, before: &Counted, after: &Counted, died: &Died) -> Option<Event> {
    let count = after.dead() - before.dead();
    if count <= 0 {
        return None;
    }
    let deliveries = if count == 1 { "delivery" } else { "deliveries" };
    let since = died.since.map(|since| format!(" since {since}")).unwrap_or_default();
    let why =
        died.why.as_deref().map(|why| format!(", the last because {why}")).unwrap_or_default();
    let Key { namespace, name } = key;
    Some(Event::warning(
        EventReason::DeadLetters,
        format!(
            "{count} {deliveries} died{since}{why}; see kubectl webhook deliveries list -n {namespace} --webhook {name} --state dead"
        ),
    ))
}

fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

fn is_true(condition: &Condition) -> bool {
    condition.status == "True"
}

#[cfg(test)]
mod tests;
