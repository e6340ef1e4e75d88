//! Writes objects with their statuses to the status files that differ.

use std::fs;
use std::io;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::core::{Core, FilesState};
use super::desired::Location;
use super::manifest::ObjectId;
use super::parallel;
use super::status_files::{compose, split_status, to_yaml};
use crate::plan::{Event, Kind, ObjectRef, Observed, Planner, Severity};

/// Files written in one batch, before other tasks can lock the state.
const BATCH: usize = 512;

/// The log target of events, to distinguish them from other lines.
const EVENTS: &str = "webhook_operator::events";

/// A status to write, and its consequences.
struct StatusWrite {
    status: Value,
    observed: Observed,
    events: Vec<Event>,
}

impl StatusWrite {
    /// The status of an object; `None` if it is the observed one, or if the object is unknown.
    fn of(object: &ObjectRef, planner: &Planner) -> Option<Self> {
        let (key, now) = (&object.key, Timestamp::now());
        Some(match object.kind {
            Kind::WebhookApp => {
                let status = planner.app_status(key, now)?;
                let (observed, events) =
                    (Observed::of_app(&status), planner.app_events(key, &status));
                Self { status: json!({ "status": status }), observed, events }
            }
            Kind::Webhook => {
                let status = planner.webhook_status(key, now)?;
                let (observed, events) =
                    (Observed::of_webhook(&status), planner.webhook_events(key, &status));
                Self { status: json!({ "status": status }), observed, events }
            }
        })
    }
}

/// The result of writing a status file.
enum WriteResult {
    /// The file is up to date.
    UpToDate,
    /// The file was written.
    Written(Option<StatusWrite>),
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
        let results = parallel::each(objects, |object| self.publish_one(&state, object));
        let mut failed = Vec::new();
        for (object, result) in objects.iter().zip(results) {
            match result {
                Ok(WriteResult::UpToDate) => {}
                Ok(WriteResult::Written(write)) => {
                    state.unwritten.remove(object);
                    state.write_error_logged = false;
                    write.into_iter().for_each(|write| self.written(object, write));
                }
                Ok(WriteResult::Missing) => invalidate(&mut state, object),
                Err(error) => {
                    log_write_error(&mut state, object, &error);
                    failed.push(object.clone());
                }
            }
        }
        failed
    }

    fn publish_one(&self, state: &FilesState, object: &ObjectRef) -> io::Result<WriteResult> {
        let text = state.unwritten.get(object).map(AsRef::as_ref);
        let write = StatusWrite::of(object, &self.runner.planner());
        let location = match state.declarations.location(&object_id(object)) {
            Some(location) if text.is_some() || write.is_some() => location,
            _ => return Ok(WriteResult::UpToDate),
        };
        // With a new object and a new status, the previous file is not needed.
        let mut before = match (text, &write) {
            (Some(_), Some(_)) => String::new(),
            _ => self.statuses.read(object.kind, &object.key).unwrap_or_default(),
        };
        if text.is_none() && split_status(&before).0.is_empty() {
            if *location != Location::CREATED {
                return Ok(WriteResult::Missing);
            }
            before = fs::read_to_string(self.created_path(&object.key))?;
        }
        let status = write.as_ref().map(|write| to_yaml(&write.status));
        self.statuses.write(object, &compose(text, status.as_deref(), &before))?;
        Ok(WriteResult::Written(write))
    }

    fn written(&self, object: &ObjectRef, write: StatusWrite) {
        self.runner.planner().observe(object, write.observed);
        write.events.iter().for_each(|event| log_event(object, event));
    }
}

fn object_id(object: &ObjectRef) -> ObjectId {
    ObjectId::custom(object.kind, object.key.clone())
}

/// Reads the declaration of an object again in the next scan.
fn invalidate(state: &mut FilesState, object: &ObjectRef) {
    if let Some(path) = state.declarations.invalidate(&object_id(object)) {
        state.manifests.at(&path).read = None;
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
