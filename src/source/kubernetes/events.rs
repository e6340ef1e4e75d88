//! Writes Events. They are a help, not a record: what cannot be written is let go.

use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event as Published, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

use super::NAME;
use super::backoff::Outage;
use super::call::call;
use crate::plan::events::DEAD_LETTERS;
use crate::plan::{Event, Key, Severity};

/// How many events may wait to be written.
const CAPACITY: usize = 1024;

/// The longest note that an API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// What all events of the operator say that it did.
const ACTION: &str = "Reconcile";

/// The object that an event is about, and the event.
type Told = (ObjectReference, Event);

/// Events on their way to the API server.
pub struct Events {
    client: Client,
    reporter: Reporter,
    recorder: Recorder,
    queue: mpsc::Sender<Told>,
    /// For one publisher at a time.
    waiting: Mutex<mpsc::Receiver<Told>>,
    is_full: AtomicBool,
}

/// The object that an event is about. Those of its name that come after it have another `uid`.
pub fn regarding<K>(key: &Key, uid: Option<String>) -> ObjectReference
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    ObjectReference {
        api_version: Some(K::api_version(&()).into()),
        kind: Some(K::kind(&()).into()),
        namespace: Some(key.namespace.to_string()),
        name: Some(key.name.to_string()),
        uid,
        ..ObjectReference::default()
    }
}

impl Events {
    /// Events from a pod.
    pub fn new(client: Client, pod: &str) -> Self {
        let reporter = Reporter { controller: NAME.into(), instance: Some(pod.to_owned()) };
        let (queue, waiting) = mpsc::channel(CAPACITY);
        Self {
            recorder: Recorder::new(client.clone(), reporter.clone()),
            client,
            reporter,
            queue,
            waiting: Mutex::new(waiting),
            is_full: AtomicBool::new(false),
        }
    }

    /// Lets an event be written; never waits.
    pub fn tell(&self, regarding: &ObjectReference, event: Event) {
        let is_full = self.queue.try_send((regarding.clone(), event)).is_err();
        if is_full && !self.is_full.swap(is_full, Ordering::Relaxed) {
            tracing::warn!("events are let go: they come faster than they can be written");
        }
    }

    /// Writes events, one after the other, for ever.
    pub async fn publish(&self) {
        let mut waiting = self.waiting.lock().await;
        let mut outage = Outage::default();
        while let Some((regarding, event)) = waiting.recv().await {
            if waiting.is_empty() {
                self.is_full.store(false, Ordering::Relaxed);
            }
            let written = call(self.recorder(&event).publish(&published(event), &regarding)).await;
            match written {
                Ok(()) => drop(outage.over()),
                Err(error) => match outage.failed(Instant::now()) {
                    1 => tracing::warn!(%error, "events cannot be written"),
                    _ => tracing::debug!(%error, "an event could not be written"),
                },
            }
        }
    }

    /// Who writes an event. A recorder makes one of an event and those like it that follow, with the
    /// note of the first: no good where the note is what has happened in between.
    fn recorder(&self, event: &Event) -> Recorder {
        match &*event.reason {
            DEAD_LETTERS => Recorder::new(self.client.clone(), self.reporter.clone()),
            _ => self.recorder.clone(),
        }
    }
}

fn published(event: Event) -> Published {
    let Event { severity, reason, mut note } = event;
    let ends = note.char_indices().map(|(at, char)| at + char.len_utf8());
    let end = ends.take_while(|end| *end <= LONGEST_NOTE).last();
    note.truncate(end.unwrap_or(0));
    Published {
        type_: match severity {
            Severity::Normal => EventType::Normal,
            Severity::Warning => EventType::Warning,
        },
        reason: reason.into(),
        note: Some(note),
        action: ACTION.into(),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_no_longer_than_an_api_server_takes() {
        let event = Event {
            severity: Severity::Warning,
            reason: "InvalidFilter".into(),
            note: "é".repeat(LONGEST_NOTE),
        };
        let note = published(event).note.unwrap_or_default();
        assert_eq!(note, "é".repeat(LONGEST_NOTE / 2));
    }
}
