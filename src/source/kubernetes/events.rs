//! Writes Kubernetes Events. They are a best-effort aid: events that cannot be written are dropped.

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
use crate::plan::{Event, EventReason, Key, Severity};

/// The capacity of the queue, in events.
const CAPACITY: usize = 1024;

/// The maximum length of a note that an API server accepts, in bytes.
const MAX_NOTE_BYTES: usize = 1024;

/// The `action` of all events of the operator.
const ACTION: &str = "Reconcile";

/// An event and the object that it regards.
type QueuedEvent = (ObjectReference, Event);

/// The queue of events to write.
pub struct Events {
    client: Client,
    reporter: Reporter,
    recorder: Recorder,
    queue: mpsc::Sender<QueuedEvent>,
    /// Locked by the single publisher.
    receiver: Mutex<mpsc::Receiver<QueuedEvent>>,
    is_full: AtomicBool,
}

/// The object that an event regards. The `uid` distinguishes it from later objects with the same
/// name.
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
    /// Events reported by a pod.
    pub fn new(client: Client, pod: &str) -> Self {
        let reporter = Reporter { controller: NAME.into(), instance: Some(pod.to_owned()) };
        let (queue, receiver) = mpsc::channel(CAPACITY);
        Self {
            recorder: Recorder::new(client.clone(), reporter.clone()),
            client,
            reporter,
            queue,
            receiver: Mutex::new(receiver),
            is_full: AtomicBool::new(false),
        }
    }

    /// Queues an event. Never waits: the event is dropped if the queue is full.
    pub fn enqueue(&self, regarding: &ObjectReference, event: Event) {
        let is_full = self.queue.try_send((regarding.clone(), event)).is_err();
        if is_full && !self.is_full.swap(is_full, Ordering::Relaxed) {
            tracing::warn!("dropping Kubernetes Events: the queue is full");
        }
    }

    /// Writes the queued events one by one, for ever.
    pub async fn publish(&self) {
        let mut receiver = self.receiver.lock().await;
        let mut outage = Outage::default();
        while let Some((regarding, event)) = receiver.recv().await {
            if receiver.is_empty() {
                self.is_full.store(false, Ordering::Relaxed);
            }
            let written =
                call(self.recorder(&event).publish(&to_published(event), &regarding)).await;
            match written {
                Ok(()) => drop(outage.succeeded()),
                Err(error) => match outage.failed(Instant::now()) {
                    1 => tracing::warn!(%error, "cannot write Kubernetes Events"),
                    _ => tracing::debug!(%error, "cannot write a Kubernetes Event"),
                },
            }
        }
    }

    /// The recorder of an event. A shared recorder merges an event with later similar ones and
    /// keeps the note of the first. This is wrong if the note reports what happened in between.
    fn recorder(&self, event: &Event) -> Recorder {
        match event.reason {
            EventReason::DeadLetters => Recorder::new(self.client.clone(), self.reporter.clone()),
            _ => self.recorder.clone(),
        }
    }
}

fn to_published(event: Event) -> Published {
    let Event { severity, reason, mut note } = event;
    let ends = note.char_indices().map(|(at, char)| at + char.len_utf8());
    let end = ends.take_while(|end| *end <= MAX_NOTE_BYTES).last();
    note.truncate(end.unwrap_or(0));
    Published {
        type_: match severity {
            Severity::Normal => EventType::Normal,
            Severity::Warning => EventType::Warning,
        },
        reason: reason.as_str().into(),
        note: Some(note),
        action: ACTION.into(),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::reason::StalledReason;

    #[test]
    fn a_note_is_no_longer_than_an_api_server_takes() {
        let event = Event {
            severity: Severity::Warning,
            reason: EventReason::Stalled(StalledReason::InvalidFilter),
            note: "é".repeat(MAX_NOTE_BYTES),
        };
        let note = to_published(event).note.unwrap_or_default();
        assert_eq!(note, "é".repeat(MAX_NOTE_BYTES / 2));
    }
}
