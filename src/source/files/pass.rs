//! One pass over changed files: reads them and applies the changes to the brain.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::core::{Core, FilesState};
use super::documents::{YamlDocument, YamlDocuments};
use super::index::{Declaration, FileId};
use super::manifest::{ManifestKind, ObjectId};
use super::problems::Problem;
use super::reader::{DocumentContent, FoundObject, Parsed};
use super::resolve::{DeclaredObject, ObjectContext, Resolution, resolve};
use crate::plan::{Change, Kind, ObjectRef, OperatorResource};
use crate::resources::validate::Validator;

/// Documents parsed in one batch. This bounds the memory, which is mostly parsed trees.
const PARSE_BATCH: usize = 1024;

/// Changes applied in one batch, because the brain copies a part of the route table each time.
const APPLY_BATCH: usize = 4096;

/// Objects that may wait to be written to their status files before they are written within a pass.
const MAX_UNWRITTEN: usize = 16_384;

/// A pass over some files. The objects that they declared before are unconfirmed until they are
/// found again. Objects that are still unconfirmed at the end were deleted.
pub struct Pass<'a> {
    core: &'a Core,
    now: Timestamp,
    unconfirmed: HashSet<ObjectId>,
    /// The objects of unchanged documents, ordered by file and fingerprint of the document.
    unchanged: Vec<(FileId, u64, ObjectId)>,
    finished: HashSet<FileId>,
    changes: Vec<Change>,
}

impl<'a> Pass<'a> {
    /// A pass at the time `now`.
    pub fn new(core: &'a Core, now: Timestamp) -> Self {
        Self {
            core,
            // Timestamps in status files have no fractions of a second.
            now: Timestamp::from_second(now.as_second()).unwrap_or(now),
            unconfirmed: HashSet::new(),
            unchanged: Vec::new(),
            finished: HashSet::new(),
            changes: Vec::new(),
        }
    }

    /// Reads new and changed files, and removes deleted ones.
    pub fn run(mut self, changed: Vec<FileId>, deleted: &[FileId]) {
        self.remove_files(deleted);
        let mut next = changed;
        while !next.is_empty() {
            self.read_files(next);
            next = self.unread_duplicates();
        }
        self.delete_unconfirmed();
    }

    /// Adds webhooks that the app API created before the restart.
    pub fn add_created(&mut self, place: &Path, found: Vec<(YamlDocument, DocumentContent)>) {
        let mut state = self.core.state();
        for (document, content) in found {
            let problems = self.process_content(&mut state, FileId::CREATED, &document, content);
            problems.iter().for_each(|problem| tracing::warn!("{}", problem.message(place)));
        }
        self.apply_changes();
    }

    fn remove_files(&mut self, deleted: &[FileId]) {
        let mut state = self.core.state();
        self.mark_unconfirmed(&state, deleted);
        deleted.iter().for_each(|file| state.index.remove_manifest(*file));
    }

    /// Marks the objects that these files declare as unconfirmed.
    fn mark_unconfirmed(&mut self, state: &FilesState, files: &[FileId]) {
        let files: HashSet<FileId> = files.iter().copied().collect();
        for (id, declaration) in
            state.index.declarations().filter(|(_, declaration)| files.contains(&declaration.file))
        {
            self.unconfirmed.insert(id.clone());
            if declaration.fingerprint != 0 {
                self.unchanged.push((declaration.file, declaration.fingerprint, id.clone()));
            }
        }
        self.unchanged.sort_unstable();
    }

    fn read_files(&mut self, files: Vec<FileId>) {
        let mut by_path: BTreeMap<Arc<Path>, FileId> = BTreeMap::new();
        {
            let mut state = self.core.state();
            self.mark_unconfirmed(&state, &files);
            for file in files {
                state.index.remove_duplicates_in(file);
                by_path.insert(state.index.path(file), file);
            }
        }
        for (path, file) in by_path {
            self.finished.insert(file);
            self.read_file(&path, file);
        }
    }

    fn read_file(&mut self, path: &Path, file: FileId) {
        if let Some(manifest) = self.core.state().index.manifest(file) {
            manifest.reported.begin();
        }
        let complete = match self.read_documents(path, file) {
            Ok(complete) => complete,
            Err(error) => {
                let mut state = self.core.state();
                state.index.report(file, &Problem::of_file(format!("cannot be read: {error}")));
                if let Some(manifest) = state.index.manifest(file) {
                    manifest.read = None;
                }
                false
            }
        };
        let mut state = self.core.state();
        if !complete {
            // The unreadable part may declare any of these objects: they stay in force.
            self.keep_all(&state, file);
        }
        if let Some(manifest) = state.index.manifest(file) {
            manifest.reported.end();
        }
    }

    fn keep_all(&mut self, state: &FilesState, file: FileId) {
        self.unconfirmed.retain(|id| {
            state.index.declaration(id).is_none_or(|declaration| declaration.file != file)
        });
    }

    /// Reads a file in batches. Returns whether all documents could be parsed.
    fn read_documents(&mut self, path: &Path, file: FileId) -> io::Result<bool> {
        let mut documents =
            YamlDocuments::new(BufReader::with_capacity(64 * 1024, File::open(path)?));
        let mut complete = true;
        loop {
            let batch = documents.by_ref().take(PARSE_BATCH).collect::<io::Result<Vec<_>>>()?;
            if batch.is_empty() {
                return Ok(complete);
            }
            complete &= self.process_batch(path, file, batch);
        }
    }

    fn process_batch(&mut self, path: &Path, file: FileId, batch: Vec<YamlDocument>) -> bool {
        let batch = self.confirm_unchanged(file, batch);
        let contents = self.core.reader.read_all(path, &batch);
        let mut complete = true;
        let mut state = self.core.state();
        for (document, content) in batch.iter().zip(contents) {
            complete &= content.is_ok();
            for problem in self.process_content(&mut state, file, document, content) {
                state.index.report(file, &problem);
            }
        }
        let too_many = state.unwritten.len() > MAX_UNWRITTEN;
        if too_many || self.changes.len() >= APPLY_BATCH {
            self.apply_changes();
        }
        drop(state);
        if too_many {
            self.core.publish_pending();
        }
        complete
    }

    /// Confirms the objects of unchanged documents, and removes these documents from the batch.
    fn confirm_unchanged(
        &mut self,
        file: FileId,
        mut batch: Vec<YamlDocument>,
    ) -> Vec<YamlDocument> {
        if self.unchanged.is_empty() {
            return batch;
        }
        let mut state = self.core.state();
        batch.retain(|document| {
            let fingerprint = document.fingerprint();
            let from =
                self.unchanged.partition_point(|known| (known.0, known.1) < (file, fingerprint));
            let same = |known: &&(FileId, u64, ObjectId)| (known.0, known.1) == (file, fingerprint);
            let given = self.unchanged[from..].iter().take_while(same).map(|known| &known.2);
            let found =
                given.clone().count() > 0 && given.clone().all(|id| self.unconfirmed.contains(id));
            for id in given.filter(|_| found) {
                self.unconfirmed.remove(id);
                state.index.set_declaration(
                    id.clone(),
                    Declaration { file, line: document.line, fingerprint },
                );
            }
            !found
        });
        batch
    }

    /// Adds the objects of a document. Returns the problems.
    fn process_content(
        &mut self,
        state: &mut FilesState,
        file: FileId,
        document: &YamlDocument,
        content: DocumentContent,
    ) -> Vec<Problem> {
        let (mut problems, mut taken) = (Vec::new(), Vec::new());
        for found in content.unwrap_or_else(|problem| vec![Err(problem)]) {
            let found =
                found.and_then(|found| self.process_object(state, file, document.line, found));
            match found {
                Ok(id) => taken.push(id),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            let fingerprint = document.fingerprint();
            for id in taken {
                state
                    .index
                    .set_declaration(id, Declaration { file, line: document.line, fingerprint });
            }
        }
        problems
    }

    fn process_object(
        &mut self,
        state: &mut FilesState,
        file: FileId,
        line: u32,
        found: FoundObject,
    ) -> Result<ObjectId, Problem> {
        let id = ObjectId { key: state.index.intern(&found.id.key), ..found.id };
        self.declare(state, &id, file, line)?;
        let rejected = match found.parsed {
            Parsed::App(app) => self.process_candidate(state, &id, &self.core.reader.apps, app),
            Parsed::Webhook(webhook) => {
                self.process_candidate(state, &id, &self.core.reader.webhooks, webhook)
            }
            Parsed::Service(Err(why)) | Parsed::Secret(Err(why)) => Some(why),
            Parsed::Secret(Ok(secret)) => {
                self.changes.push(Change::Secret(secret));
                None
            }
            Parsed::Service(Ok(service)) => {
                self.changes.push(Change::Service(service));
                None
            }
        };
        match rejected {
            None => Ok(id),
            Some(why) => Err(Problem::new(line, id.subject(), why.to_string())),
        }
    }

    /// Sets where an object is declared, unless another declaration takes precedence.
    fn declare(
        &mut self,
        state: &mut FilesState,
        id: &ObjectId,
        file: FileId,
        line: u32,
    ) -> Result<(), Problem> {
        let before = state.index.declaration(id);
        let conflicting = before.filter(|_| !self.unconfirmed.remove(id));
        if let Some(other) = conflicting {
            let (loser, winner) = if state.index.precedes(&other, file, line) {
                ((file, line), (other.file, other.line))
            } else {
                ((other.file, other.line), (file, line))
            };
            state.index.add_duplicate(id, loser.0);
            let place = state.index.path(winner.0);
            let problem = Problem::duplicate(loser.1, id.subject(), &place, winner.1);
            if loser == (file, line) {
                return Err(problem);
            }
            state.index.report(loser.0, &problem);
        }
        // The fingerprint stays 0 until all objects of the document are accepted.
        state.index.set_declaration(id.clone(), Declaration { file, line, fingerprint: 0 });
        Ok(())
    }

    fn process_candidate<K: OperatorResource>(
        &mut self,
        state: &mut FilesState,
        id: &ObjectId,
        validator: &Validator,
        candidate: DeclaredObject<K>,
    ) -> Option<crate::resources::validate::Invalid> {
        let object = ObjectRef { kind: K::KIND, key: id.key.clone() };
        let candidate = match state.unwritten.get(&object) {
            // The status file is outdated.
            Some(text) => {
                let file = self.core.reader.statuses.read(K::KIND, &id.key).unwrap_or_default();
                candidate.with_previous(&super::publish::compose(Some(text), None, &file))
            }
            None => candidate,
        };
        let known = self.core.current_meta(&object);
        let context = ObjectContext { key: id.key.clone(), known, now: self.now };
        let Resolution { change, text, rejected } = resolve(validator, candidate, context);
        if let Some(text) = text {
            state.unwritten.insert(object, text.into());
        }
        self.changes.extend(change);
        rejected
    }

    /// Unread files that also declare unconfirmed objects.
    fn unread_duplicates(&self) -> Vec<FileId> {
        let state = self.core.state();
        let duplicates = self.unconfirmed.iter().flat_map(|id| state.index.duplicates(id));
        let unread: HashSet<FileId> =
            duplicates.filter(|file| !self.finished.contains(file)).collect();
        unread.into_iter().collect()
    }

    /// Deletes the objects that were not found again.
    fn delete_unconfirmed(&mut self) {
        let mut state = self.core.state();
        for id in std::mem::take(&mut self.unconfirmed) {
            self.changes.push(self.core.remove(&mut state, &id));
        }
        self.apply_changes();
    }

    fn apply_changes(&mut self) {
        if !self.changes.is_empty() {
            self.core.brain.apply(std::mem::take(&mut self.changes));
        }
    }
}

/// The change for a deleted object.
pub fn deletion(id: &ObjectId) -> Change {
    match id.kind {
        ManifestKind::Custom(Kind::WebhookApp) => Change::AppGone(id.key.clone()),
        ManifestKind::Custom(Kind::Webhook) => Change::WebhookGone(id.key.clone()),
        ManifestKind::Service => Change::ServiceGone(id.key.clone()),
        ManifestKind::Secret => Change::SecretGone(id.key.clone()),
    }
}
