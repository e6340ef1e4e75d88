//! Reconciles the runner with changed files: reads them and applies what differs.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::core::{Core, FilesState};
use super::desired::{Location, Paths};
use super::documents::{YamlDocument, YamlDocuments};
use super::evaluate::Evaluation;
use super::manifest::ObjectId;
use super::problems::Problem;
use super::read::DocumentContent;
use crate::plan::Change;

/// Documents parsed in one batch. This bounds the memory, which is mostly parsed trees.
const PARSE_BATCH: usize = 1024;

/// Changes applied in one batch, because the runner copies a part of the route table each time.
const APPLY_BATCH: usize = 4096;

/// Objects that may wait to be written to their status files before they are written meanwhile.
const MAX_UNWRITTEN: usize = 16_384;

/// One reconciliation.
pub struct Reconcile<'a> {
    core: &'a Core,
    /// The current time in whole seconds: timestamps in status files have no fractions.
    pub now: Timestamp,
    changes: Vec<Change>,
}

impl<'a> Reconcile<'a> {
    /// A reconciliation at the current time.
    pub fn new(core: &'a Core) -> Self {
        let now = Timestamp::now();
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        Self { core, now, changes: Vec::new() }
    }

    /// Reads new and changed files, and removes deleted ones.
    pub fn run(mut self, changed: Paths, deleted: &Paths) {
        let mut state = self.core.state();
        state.declarations.begin(deleted);
        deleted.iter().for_each(|path| state.manifests.remove(path));
        drop(state);
        let mut next = changed;
        while !next.is_empty() {
            self.core.state().declarations.begin(&next);
            next.iter().for_each(|path| self.read_file(path));
            next = self.core.state().declarations.next_files();
        }
        self.delete_unconfirmed();
    }

    fn read_file(&mut self, path: &Arc<Path>) {
        self.core.state().manifests.at(path).reported.begin();
        let read = self.read_documents(path);
        let mut state = self.core.state();
        if let Err(error) = &read {
            state.manifests.report(path, &Problem::unreadable(error));
            state.manifests.at(path).read = None;
        }
        if !matches!(read, Ok(true)) {
            state.declarations.keep(path);
        }
        state.manifests.at(path).reported.end();
    }

    /// Reads a file in batches. Returns whether all documents could be parsed.
    fn read_documents(&mut self, path: &Arc<Path>) -> io::Result<bool> {
        let reader = BufReader::with_capacity(64 * 1024, File::open(path)?);
        let mut documents = YamlDocuments::new(reader);
        let mut complete = true;
        loop {
            let batch = documents.by_ref().take(PARSE_BATCH).collect::<io::Result<Vec<_>>>()?;
            if batch.is_empty() {
                return Ok(complete);
            }
            complete &= self.put_batch(path, batch);
        }
    }

    fn put_batch(&mut self, path: &Arc<Path>, mut batch: Vec<YamlDocument>) -> bool {
        let location = |document: &YamlDocument| Location {
            manifest: Some(path.clone()),
            line: document.line,
        };
        let mut state = self.core.state();
        batch.retain(|document| {
            !state.declarations.confirm(&location(document), document.fingerprint())
        });
        drop(state);
        let contents = self.core.read_all(path, &batch, self.now);
        let complete = contents.iter().all(Result::is_ok);
        let mut state = self.core.state();
        for (document, content) in batch.iter().zip(contents) {
            for problem in
                self.put(&mut state, &location(document), document.fingerprint(), content)
            {
                state.manifests.report(path, &problem);
            }
        }
        let too_many = state.unwritten.len() > MAX_UNWRITTEN;
        drop(state);
        if too_many || self.changes.len() >= APPLY_BATCH {
            self.apply_changes();
        }
        if too_many {
            self.core.publish_pending();
        }
        complete
    }

    /// Adds webhooks that the app API created before the restart, with the paths of their files.
    pub fn put_created<'b>(&mut self, found: impl Iterator<Item = (&'b Path, DocumentContent)>) {
        let mut state = self.core.state();
        for (path, content) in found {
            let problems = self.put(&mut state, &Location::CREATED, 0, content);
            problems.iter().for_each(|problem| problem.log(path));
        }
        self.apply_changes();
    }

    /// Adds the objects of a document. Returns the problems.
    fn put(
        &mut self,
        state: &mut FilesState,
        location: &Location,
        fingerprint: u64,
        content: DocumentContent,
    ) -> Vec<Problem> {
        let (mut ids, mut problems) = (Vec::new(), Vec::new());
        for found in content.unwrap_or_else(|problem| vec![Err(problem)]) {
            match found.and_then(|found| self.put_object(state, location, found)) {
                Ok(id) => ids.push(id),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            state.declarations.accept(&ids, fingerprint);
        }
        problems
    }

    fn put_object(
        &mut self,
        state: &mut FilesState,
        location: &Location,
        mut evaluation: Evaluation,
    ) -> Result<ObjectId, Problem> {
        let id = state.intern(&evaluation.id);
        self.declare(state, &id, location)?;
        let object = id.with_status();
        if let (Some(object), Some(text)) = (&object, evaluation.text.take()) {
            state.unwritten.insert(object.clone(), text.into());
        }
        let known = object.and_then(|object| self.core.current_meta(&object));
        let rejected = evaluation.rejected.take();
        self.changes.extend(evaluation.into_change(&id.key, known.as_ref()));
        match rejected {
            None => Ok(id),
            Some(why) => Err(Problem::new(location.line, &id.subject(), why)),
        }
    }

    /// Sets where an object is declared, unless another declaration takes precedence.
    fn declare(
        &self,
        state: &mut FilesState,
        id: &ObjectId,
        location: &Location,
    ) -> Result<(), Problem> {
        let duplicate = |line: u32, winner: &Location| {
            Problem::duplicate(line, &id.subject(), winner, &self.core.created_root())
        };
        match state.declarations.declare(id, location) {
            Err(winner) => Err(duplicate(location.line, &winner)),
            Ok(Some(Location { manifest: Some(loser), line })) => {
                state.manifests.report(&loser, &duplicate(line, location));
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// Deletes the objects that were not found again.
    fn delete_unconfirmed(&mut self) {
        let mut state = self.core.state();
        for id in state.declarations.finish() {
            self.changes.push(self.core.remove(&mut state, &id));
        }
        self.apply_changes();
    }

    fn apply_changes(&mut self) {
        if !self.changes.is_empty() {
            self.core.runner.apply(std::mem::take(&mut self.changes));
        }
    }
}
