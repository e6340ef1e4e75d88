//! Writes objects with their statuses to the status files that differ.

use std::fs;
use std::io;

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use super::core::{Core, FilesState};
use super::index::FileId;
use super::manifest::{ManifestKind, ObjectId};
use super::parallel;
use super::status_files::{split_status, to_yaml};
use crate::plan::{Event, Kind, ObjectRef, Observed, Planner, Severity};
use crate::resources::{WebhookAppStatus, WebhookStatus};

/// Files written in one batch, before other tasks can lock the state.
const BATCH: usize = 512;

/// The log target of events, to distinguish them from other lines.
const EVENTS: &str = "webhook_operator::events";

/// A status to write, and the resulting events.
struct StatusWrite {
    status: NewStatus,
    events: Vec<Event>,
}

enum NewStatus {
    App(WebhookAppStatus),
    Webhook(WebhookStatus),
}

/// The result of writing a status file.
enum WriteResult {
    /// The file is up to date.
    UpToDate,
    /// The file was written.
    Written,
    /// The file was removed, for example by a user. Its object must be read again.
    Missing,
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
        let status_writes: Vec<_> = objects.iter().zip(self.status_writes(objects)).collect();
        let results = parallel::each(&status_writes, |(object, write)| {
            self.publish_one(&state, object, write.as_ref())
        });
        let (mut failed, mut written) = (Vec::new(), Vec::new());
        for ((object, write), result) in status_writes.into_iter().zip(results) {
            match result {
                Ok(WriteResult::UpToDate) => {}
                Ok(WriteResult::Written) => {
                    state.unwritten.remove(object);
                    state.write_error_logged = false;
                    written.extend(write.map(|write| (object, write)));
                }
                Ok(WriteResult::Missing) => state.index.invalidate(object),
                Err(error) => {
                    log_write_error(&mut state, object, &error);
                    failed.push(object.clone());
                }
            }
        }
        let mut planner = self.brain.planner();
        for (object, write) in &written {
            planner.observe(object, write.status.observed());
        }
        drop(planner);
        for (object, write) in written {
            write.events.iter().for_each(|event| log_event(object, event));
        }
        failed
    }

    fn status_writes(&self, objects: &[ObjectRef]) -> Vec<Option<StatusWrite>> {
        let now = Timestamp::now();
        let planner = self.brain.planner();
        objects.iter().map(|object| StatusWrite::of(object, &planner, now)).collect()
    }

    fn publish_one(
        &self,
        state: &FilesState,
        object: &ObjectRef,
        write: Option<&StatusWrite>,
    ) -> io::Result<WriteResult> {
        let text = state.unwritten.get(object).map(AsRef::as_ref);
        let id = ObjectId { kind: ManifestKind::Custom(object.kind), key: object.key.clone() };
        let declaration = match state.index.declaration(&id) {
            Some(declaration) if text.is_some() || write.is_some() => declaration,
            _ => return Ok(WriteResult::UpToDate),
        };
        let files = &self.reader.statuses;
        // With a new object and a new status, the previous file is not needed.
        let mut before = match (text, write) {
            (Some(_), Some(_)) => String::new(),
            _ => files.read(object.kind, &object.key).unwrap_or_default(),
        };
        if text.is_none() && split_status(&before).0.is_empty() {
            if declaration.file != FileId::CREATED {
                return Ok(WriteResult::Missing);
            }
            before = fs::read_to_string(self.created_path(&object.key))?;
        }
        let status = write.map(|write| write.status.text());
        files.write(object, &compose(text, status.as_deref(), &before))?;
        Ok(WriteResult::Written)
    }
}

fn log_write_error(state: &mut FilesState, object: &ObjectRef, error: &io::Error) {
    // One line instead of one for each object while a disk is full.
    if !std::mem::replace(&mut state.write_error_logged, true) {
        let kind = object.kind.as_str();
        tracing::warn!("cannot write the status file of {kind} {}: {error}", object.key);
    }
}

/// Logs an event. In a cluster it would be a Kubernetes Event.
fn log_event(object: &ObjectRef, event: &Event) {
    let (kind, key) = (object.kind.as_str(), &object.key);
    let Event { severity, reason, note } = event;
    let reason = reason.as_str();
    match severity {
        Severity::Normal => tracing::info!(target: EVENTS, kind, %key, %reason, "{note}"),
        Severity::Warning => tracing::warn!(target: EVENTS, kind, %key, %reason, "{note}"),
    }
}

impl StatusWrite {
    fn of(object: &ObjectRef, planner: &Planner, now: Timestamp) -> Option<Self> {
        let key = &object.key;
        Some(match object.kind {
            Kind::WebhookApp => {
                let status = planner.app_status(key, now)?;
                Self { events: planner.app_events(key, &status), status: NewStatus::App(status) }
            }
            Kind::Webhook => {
                let status = planner.webhook_status(key, now)?;
                let events = planner.webhook_events(key, &status);
                Self { events, status: NewStatus::Webhook(status) }
            }
        })
    }
}

impl NewStatus {
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
pub fn compose(text: Option<&str>, status: Option<&str>, before: &str) -> String {
    let (head_before, status_before) = split_status(before);
    let (head, status) = (text.unwrap_or(head_before), status.unwrap_or(status_before));
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
