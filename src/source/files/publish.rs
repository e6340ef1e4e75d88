//! Writes each object with its status, where they differ from what its file says.

use std::fs;
use std::io;

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use super::core::{Core, State};
use super::ledger::FileId;
use super::manifest::{Declared, Id};
use super::status_files::{split, to_yaml};
use crate::plan::{Kind, ObjectRef, Observed, Planner};

/// So many files are written before others have their turn.
const BATCH: usize = 256;

/// A status that must be written.
struct Due {
    text: String,
    observed: Observed,
}

impl Core {
    /// Writes the statuses of these objects that differ. Returns the objects whose files could not
    /// be written: they are to be tried again.
    pub fn publish(&self, objects: &[ObjectRef]) -> Vec<ObjectRef> {
        let mut failed = Vec::new();
        for batch in objects.chunks(BATCH) {
            // What is asked of the planner must be true when it is written: nothing goes meanwhile.
            let mut state = self.state();
            let dues = self.dues(batch);
            let mut written = Vec::with_capacity(batch.len());
            for (object, due) in batch.iter().zip(dues) {
                match self.publish_one(&mut state, object, due.as_ref()) {
                    Ok(true) => written.extend(due.map(|due| (object, due.observed))),
                    Ok(false) => {}
                    Err(error) => {
                        self.tell_unwritten(&mut state, object, &error);
                        failed.push(object.clone());
                    }
                }
            }
            let mut planner = self.brain.planner();
            written.into_iter().for_each(|(object, observed)| planner.observe(object, observed));
        }
        failed
    }

    fn dues(&self, objects: &[ObjectRef]) -> Vec<Option<Due>> {
        let now = Timestamp::now();
        let planner = self.brain.planner();
        objects.iter().map(|object| due(&planner, object, now)).collect()
    }

    /// Writes one object. Returns whether its file now says what is due.
    fn publish_one(
        &self,
        state: &mut State,
        object: &ObjectRef,
        due: Option<&Due>,
    ) -> io::Result<bool> {
        let draft = state.drafts.get(object);
        if draft.is_none() && due.is_none() {
            return Ok(false);
        }
        let id = Id { kind: Declared::Ours(object.kind), key: object.key.clone() };
        let Some(claim) = state.ledger.claim(&id) else { return Ok(false) };
        let files = &self.reader.statuses;
        // Most drafts come with a status: then nothing of the file before is needed.
        let mut before = match (draft, due) {
            (Some(_), Some(_)) => String::new(),
            _ => files.read(object.kind, &object.key).unwrap_or_default(),
        };
        if draft.is_none() && split(&before).0.is_empty() {
            if claim.file != FileId::CREATED {
                // Somebody removed the file. What was in it must be found out again.
                state.ledger.distrust(object);
                return Ok(false);
            }
            before = fs::read_to_string(self.created_path(&object.key))?;
        }
        let text = compose(draft.map(AsRef::as_ref), due.map(|due| due.text.as_str()), &before);
        files.write(object, &text)?;
        state.drafts.remove(object);
        state.unwritten = false;
        Ok(true)
    }

    fn tell_unwritten(&self, state: &mut State, object: &ObjectRef, error: &io::Error) {
        // One line, not one an object, while a disk is full.
        if !std::mem::replace(&mut state.unwritten, true) {
            let kind = object.kind.as_str();
            tracing::warn!("cannot write the status of {kind} {}: {error}", object.key);
        }
    }
}

/// The text of a status file: what is new, and of what is not, what the file said before.
pub fn compose(draft: Option<&str>, status: Option<&str>, before: &str) -> String {
    let (head_before, status_before) = split(before);
    let (head, status) = (draft.unwrap_or(head_before), status.unwrap_or(status_before));
    let newline = if head.ends_with('\n') { "" } else { "\n" };
    format!("{head}{newline}{status}")
}

fn due(planner: &Planner, object: &ObjectRef, now: Timestamp) -> Option<Due> {
    match object.kind {
        Kind::WebhookApp => planner
            .app_status(&object.key, now)
            .map(|status| Due { text: status_text(&status), observed: Observed::of_app(&status) }),
        Kind::Webhook => planner.webhook_status(&object.key, now).map(|status| Due {
            text: status_text(&status),
            observed: Observed::of_webhook(&status),
        }),
    }
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
