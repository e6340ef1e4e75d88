//! One pass over changed files: reads them and applies the changes to the brain.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::core::{Core, State};
use super::documents::{Document, Documents};
use super::ledger::{Claim, FileId};
use super::manifest::{Declared, Id};
use super::problems::Problem;
use super::reader::{Content, Found, Said};
use super::settle::{Candidate, Circumstances, Kept, Settled, settle};
use crate::plan::{Change, Kind, ObjectRef};
use crate::resources::validate::Validator;

/// Documents parsed in one batch. This bounds the memory, which is mostly parsed trees.
const READ: usize = 1024;

/// Changes applied in one batch, because the brain copies a part of the route table each time.
const TELL: usize = 4096;

/// Objects that may wait to be written to their status files before they are written within a pass.
const DRAFTS: usize = 16_384;

/// A pass over some files. The objects that they declared before are unconfirmed until they are
/// found again. Objects that are still unconfirmed at the end were deleted.
pub struct Pass<'a> {
    core: &'a Core,
    now: Timestamp,
    open: HashSet<Id>,
    /// The objects of unchanged documents, ordered by file and fingerprint of the document.
    unchanged: Vec<(FileId, u64, Id)>,
    done: HashSet<FileId>,
    changes: Vec<Change>,
}

impl<'a> Pass<'a> {
    /// A pass at the time `now`.
    pub fn new(core: &'a Core, now: Timestamp) -> Self {
        Self {
            core,
            // Timestamps in status files have no fractions of a second.
            now: Timestamp::from_second(now.as_second()).unwrap_or(now),
            open: HashSet::new(),
            unchanged: Vec::new(),
            done: HashSet::new(),
            changes: Vec::new(),
        }
    }

    /// Reads new and changed files, and removes deleted ones.
    pub fn run(mut self, changed: Vec<FileId>, gone: &[FileId]) {
        self.forget(gone);
        let mut next = changed;
        while !next.is_empty() {
            self.read_files(next);
            next = self.heirs();
        }
        self.close();
    }

    /// Adds webhooks that the app API created before the restart.
    pub fn take_created(&mut self, place: &Path, found: Vec<(Document, Content)>) {
        let mut state = self.core.state();
        for (document, content) in found {
            let problems = self.take_content(&mut state, FileId::CREATED, &document, content);
            problems.iter().for_each(|problem| tracing::warn!("{}", problem.told(place)));
        }
        self.tell_brain();
    }

    fn forget(&mut self, gone: &[FileId]) {
        let mut state = self.core.state();
        self.reopen(&state, gone);
        gone.iter().for_each(|file| state.ledger.forget_manifest(*file));
    }

    /// Marks the objects that these files declare as unconfirmed.
    fn reopen(&mut self, state: &State, files: &[FileId]) {
        let files: HashSet<FileId> = files.iter().copied().collect();
        for (id, claim) in state.ledger.claims().filter(|(_, claim)| files.contains(&claim.file)) {
            self.open.insert(id.clone());
            if claim.text != 0 {
                self.unchanged.push((claim.file, claim.text, id.clone()));
            }
        }
        self.unchanged.sort_unstable();
    }

    fn read_files(&mut self, files: Vec<FileId>) {
        let mut by_path: BTreeMap<Arc<Path>, FileId> = BTreeMap::new();
        {
            let mut state = self.core.state();
            self.reopen(&state, &files);
            for file in files {
                state.ledger.withdraw(file);
                by_path.insert(state.ledger.path(file), file);
            }
        }
        for (path, file) in by_path {
            self.done.insert(file);
            self.read_file(&path, file);
        }
    }

    fn read_file(&mut self, path: &Path, file: FileId) {
        if let Some(manifest) = self.core.state().ledger.manifest(file) {
            manifest.told.begin();
        }
        let whole = match self.read_documents(path, file) {
            Ok(whole) => whole,
            Err(error) => {
                let mut state = self.core.state();
                state.ledger.tell(file, &Problem::of_file(format!("cannot be read: {error}")));
                if let Some(manifest) = state.ledger.manifest(file) {
                    manifest.read = None;
                }
                false
            }
        };
        let mut state = self.core.state();
        if !whole {
            // The unreadable part may declare any of these objects: they stay in force.
            self.hold(&state, file);
        }
        if let Some(manifest) = state.ledger.manifest(file) {
            manifest.told.end();
        }
    }

    fn hold(&mut self, state: &State, file: FileId) {
        self.open.retain(|id| state.ledger.claim(id).is_none_or(|claim| claim.file != file));
    }

    /// Reads a file in batches. Returns whether all documents could be parsed.
    fn read_documents(&mut self, path: &Path, file: FileId) -> io::Result<bool> {
        let mut documents = Documents::new(BufReader::with_capacity(64 * 1024, File::open(path)?));
        let mut whole = true;
        loop {
            let batch = documents.by_ref().take(READ).collect::<io::Result<Vec<_>>>()?;
            if batch.is_empty() {
                return Ok(whole);
            }
            whole &= self.take_batch(path, file, batch);
        }
    }

    fn take_batch(&mut self, path: &Path, file: FileId, batch: Vec<Document>) -> bool {
        let batch = self.without_unchanged(file, batch);
        let contents = self.core.reader.read_all(path, &batch);
        let mut whole = true;
        let mut state = self.core.state();
        for (document, content) in batch.iter().zip(contents) {
            whole &= content.is_ok();
            for problem in self.take_content(&mut state, file, document, content) {
                state.ledger.tell(file, &problem);
            }
        }
        let too_many = state.drafts.len() > DRAFTS;
        if too_many || self.changes.len() >= TELL {
            self.tell_brain();
        }
        drop(state);
        if too_many {
            self.core.publish_pending();
        }
        whole
    }

    /// Confirms the objects of unchanged documents, and removes these documents from the batch.
    fn without_unchanged(&mut self, file: FileId, mut batch: Vec<Document>) -> Vec<Document> {
        if self.unchanged.is_empty() {
            return batch;
        }
        let mut state = self.core.state();
        batch.retain(|document| {
            let text = document.fingerprint();
            let from = self.unchanged.partition_point(|known| (known.0, known.1) < (file, text));
            let same = |known: &&(FileId, u64, Id)| (known.0, known.1) == (file, text);
            let given = self.unchanged[from..].iter().take_while(same).map(|known| &known.2);
            let found = given.clone().count() > 0 && given.clone().all(|id| self.open.contains(id));
            for id in given.filter(|_| found) {
                self.open.remove(id);
                state.ledger.set_claim(id.clone(), Claim { file, line: document.line, text });
            }
            !found
        });
        batch
    }

    /// Adds the objects of a document. Returns the problems.
    fn take_content(
        &mut self,
        state: &mut State,
        file: FileId,
        document: &Document,
        content: Content,
    ) -> Vec<Problem> {
        let (mut problems, mut taken) = (Vec::new(), Vec::new());
        for found in content.unwrap_or_else(|problem| vec![Err(problem)]) {
            let found = found.and_then(|found| self.take_found(state, file, document.line, found));
            match found {
                Ok(id) => taken.push(id),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            let text = document.fingerprint();
            for id in taken {
                state.ledger.set_claim(id, Claim { file, line: document.line, text });
            }
        }
        problems
    }

    fn take_found(
        &mut self,
        state: &mut State,
        file: FileId,
        line: u32,
        found: Found,
    ) -> Result<Id, Problem> {
        let id = Id { key: state.ledger.share(&found.id.key), ..found.id };
        self.claim(state, &id, file, line)?;
        let refused = match found.said {
            Said::App(app) => self.take_candidate(state, &id, &self.core.reader.apps, app),
            Said::Webhook(webhook) => {
                self.take_candidate(state, &id, &self.core.reader.webhooks, webhook)
            }
            Said::Service(Err(why)) | Said::Secret(Err(why)) => Some(why),
            Said::Secret(Ok(secret)) => {
                self.changes.push(Change::Secret(secret));
                None
            }
            Said::Service(Ok(service)) => {
                self.changes.push(Change::Service(service));
                None
            }
        };
        match refused {
            None => Ok(id),
            Some(why) => Err(Problem::new(line, id.subject(), why.to_string())),
        }
    }

    /// Sets where an object is declared, unless another declaration takes precedence.
    fn claim(
        &mut self,
        state: &mut State,
        id: &Id,
        file: FileId,
        line: u32,
    ) -> Result<(), Problem> {
        let before = state.ledger.claim(id);
        let standing = before.filter(|_| !self.open.remove(id));
        if let Some(other) = standing {
            let (loser, winner) = if state.ledger.comes_before(&other, file, line) {
                ((file, line), (other.file, other.line))
            } else {
                ((other.file, other.line), (file, line))
            };
            state.ledger.add_rival(id, loser.0);
            let place = state.ledger.path(winner.0);
            let problem = Problem::duplicate(loser.1, id.subject(), &place, winner.1);
            if loser == (file, line) {
                return Err(problem);
            }
            state.ledger.tell(loser.0, &problem);
        }
        // The fingerprint stays 0 until all objects of the document are accepted.
        state.ledger.set_claim(id.clone(), Claim { file, line, text: 0 });
        Ok(())
    }

    fn take_candidate<K: Kept>(
        &mut self,
        state: &mut State,
        id: &Id,
        validator: &Validator,
        candidate: Candidate<K>,
    ) -> Option<crate::resources::validate::Invalid> {
        let object = ObjectRef { kind: K::KIND, key: id.key.clone() };
        let candidate = match state.drafts.get(&object) {
            // The status file is outdated.
            Some(draft) => {
                let file = self.core.reader.statuses.read(K::KIND, &id.key).unwrap_or_default();
                candidate.with_past(&super::publish::compose(Some(draft), None, &file))
            }
            None => candidate,
        };
        let known = self.core.known(&object);
        let circumstances = Circumstances { key: id.key.clone(), known, now: self.now };
        let Settled { change, draft, refused } = settle(validator, candidate, circumstances);
        if let Some(draft) = draft {
            state.drafts.insert(object, draft.into());
        }
        self.changes.extend(change);
        refused
    }

    /// Unread files that also declare unconfirmed objects.
    fn heirs(&self) -> Vec<FileId> {
        let state = self.core.state();
        let rivals = self.open.iter().flat_map(|id| state.ledger.rivals(id));
        let heirs: HashSet<FileId> = rivals.filter(|file| !self.done.contains(file)).collect();
        heirs.into_iter().collect()
    }

    /// Deletes the objects that were not found again.
    fn close(&mut self) {
        let mut state = self.core.state();
        for id in std::mem::take(&mut self.open) {
            self.changes.push(self.core.remove(&mut state, &id));
        }
        self.tell_brain();
    }

    fn tell_brain(&mut self) {
        if !self.changes.is_empty() {
            self.core.brain.apply(std::mem::take(&mut self.changes));
        }
    }
}

/// The change for a deleted object.
pub fn gone(id: &Id) -> Change {
    match id.kind {
        Declared::Ours(Kind::WebhookApp) => Change::AppGone(id.key.clone()),
        Declared::Ours(Kind::Webhook) => Change::WebhookGone(id.key.clone()),
        Declared::Service => Change::ServiceGone(id.key.clone()),
        Declared::Secret => Change::SecretGone(id.key.clone()),
    }
}
