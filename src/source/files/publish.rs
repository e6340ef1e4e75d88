//! Writes objects with their statuses to the status files that differ.

use std::fs;
use std::io;

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use super::core::{Core, State};
use super::ledger::FileId;
use super::manifest::{Declared, Id};
use super::parallel;
use super::status_files::{split, to_yaml};
use crate::plan::{Event, Kind, ObjectRef, Observed, Planner, Severity};
use crate::resources::{WebhookAppStatus, WebhookStatus};

/// Files written in one batch, before other tasks can lock the state.
const BATCH: usize = 512;

/// The log target of events, to distinguish them from other lines.
const EVENTS: &str = "webhook_operator::events";

/// A status to write, and the resulting events.
struct Due {
    status: Status,
    events: Vec<Event>,
}

enum Status {
    App(WebhookAppStatus),
    Webhook(WebhookStatus),
}

/// The result of writing a status file.
enum Outcome {
    /// The file is up to date.
    Nothing,
    /// The file was written.
    Written,
    /// The file was removed, for example by a user. Its object must be read again.
    Lost,
}

impl Core {
    /// Writes the statuses of these objects that differ. Returns the objects whose files could not
    /// be written, to be retried.
    pub fn publish(&self, objects: &[ObjectRef]) -> Vec<ObjectRef> {
        objects.chunks(BATCH).flat_map(|batch| self.publish_batch(batch)).collect()
    }

    fn publish_batch(&self, objects: &[ObjectRef]) -> Vec<ObjectRef> {
        // The state stays locked, so that the planner's result is still current when it is written.
        let mut state = self.state();
        let dues: Vec<_> = objects.iter().zip(self.dues(objects)).collect();
        let outcomes =
            parallel::each(&dues, |(object, due)| self.publish_one(&state, object, due.as_ref()));
        let (mut failed, mut written) = (Vec::new(), Vec::new());
        for ((object, due), outcome) in dues.into_iter().zip(outcomes) {
            match outcome {
                Ok(Outcome::Nothing) => {}
                Ok(Outcome::Written) => {
                    state.drafts.remove(object);
                    state.unwritten = false;
                    written.extend(due.map(|due| (object, due)));
                }
                Ok(Outcome::Lost) => state.ledger.distrust(object),
                Err(error) => {
                    tell_unwritten(&mut state, object, &error);
                    failed.push(object.clone());
                }
            }
        }
        let mut planner = self.brain.planner();
        for (object, due) in &written {
            planner.observe(object, due.status.observed());
        }
        drop(planner);
        for (object, due) in written {
            due.events.iter().for_each(|event| tell(object, event));
        }
        failed
    }

    fn dues(&self, objects: &[ObjectRef]) -> Vec<Option<Due>> {
        let now = Timestamp::now();
        let planner = self.brain.planner();
        objects.iter().map(|object| Due::of(object, &planner, now)).collect()
    }

    fn publish_one(
        &self,
        state: &State,
        object: &ObjectRef,
        due: Option<&Due>,
    ) -> io::Result<Outcome> {
        let draft = state.drafts.get(object).map(AsRef::as_ref);
        let id = Id { kind: Declared::Ours(object.kind), key: object.key.clone() };
        let claim = match state.ledger.claim(&id) {
            Some(claim) if draft.is_some() || due.is_some() => claim,
            _ => return Ok(Outcome::Nothing),
        };
        let files = &self.reader.statuses;
        // With a new object and a new status, the previous file is not needed.
        let mut before = match (draft, due) {
            (Some(_), Some(_)) => String::new(),
            _ => files.read(object.kind, &object.key).unwrap_or_default(),
        };
        if draft.is_none() && split(&before).0.is_empty() {
            if claim.file != FileId::CREATED {
                return Ok(Outcome::Lost);
            }
            before = fs::read_to_string(self.created_path(&object.key))?;
        }
        let status = due.map(|due| due.status.text());
        files.write(object, &compose(draft, status.as_deref(), &before))?;
        Ok(Outcome::Written)
    }
}

fn tell_unwritten(state: &mut State, object: &ObjectRef, error: &io::Error) {
    // One line instead of one for each object while a disk is full.
    if !std::mem::replace(&mut state.unwritten, true) {
        let kind = object.kind.as_str();
        tracing::warn!("cannot write the status file of {kind} {}: {error}", object.key);
    }
}

/// Logs an event. In a cluster it would be a Kubernetes Event.
fn tell(object: &ObjectRef, event: &Event) {
    let (kind, key) = (object.kind.as_str(), &object.key);
    let Event { severity, reason, note } = event;
    match severity {
        Severity::Normal => tracing::info!(target: EVENTS, kind, %key, %reason, "{note}"),
        Severity::Warning => tracing::warn!(target: EVENTS, kind, %key, %reason, "{note}"),
    }
}

impl Due {
    fn of(object: &ObjectRef, planner: &Planner, now: Timestamp) -> Option<Self> {
        let key = &object.key;
        Some(match object.kind {
            Kind::WebhookApp => {
                let status = planner.app_status(key, now)?;
                Self { events: planner.app_events(key, &status), status: Status::App(status) }
            }
            Kind::Webhook => {
                let status = planner.webhook_status(key, now)?;
                let events = planner.webhook_events(key, &status);
                Self { events, status: Status::Webhook(status) }
            }
        })
    }
}

impl Status {
    fn observed(&self) -> Observed {
        match self {
            Self::App(status) => Observed::of_app(status),
            Self::Webhook(status) => Observed::of_webhook(status),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::App(status) => status_text(status),
            Self::Webhook(status) => status_text(status),
        }
    }
}

/// The text of a status file. Parts that are not new are taken from the previous file.
pub fn compose(draft: Option<&str>, status: Option<&str>, before: &str) -> String {
    let (head_before, status_before) = split(before);
    let (head, status) = (draft.unwrap_or(head_before), status.unwrap_or(status_before));
    let newline = if head.ends_with('\n') { "" } else { "\n" };
    format!("{head}{newline}{status}")
}

fn status_text<S: Serialize>(status: &S) -> String {
    #[derive(Serialize)]
    struct Part<'a, S> {
        status: &'a S,
    }
    to_yaml(&Part { status })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_new_stays_as_it_was() {
        let before = "kind: A\nspec:\n  status: no\nstatus:\n  uuid: x\n";
        assert_eq!(compose(None, None, before), before);
        assert_eq!(compose(Some("kind: B\n"), None, before), "kind: B\nstatus:\n  uuid: x\n");
        assert_eq!(
            compose(None, Some("status:\n  uuid: y\n"), before),
            "kind: A\nspec:\n  status: no\nstatus:\n  uuid: y\n"
        );
        assert_eq!(compose(Some("kind: B"), None, ""), "kind: B\n");
    }
}
