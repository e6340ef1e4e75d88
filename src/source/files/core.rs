//! The source's state and its blocking work: everything but when it is done.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use k8s_openapi::jiff::Timestamp;

use super::FilesError;
use super::atomic::{self, Durability};
use super::created::Creating;
use super::ledger::{FileId, Ledger};
use super::manifest::{Declared, Id};
use super::pass::{self, Pass};
use super::problems::{Problem, Told};
use super::reader::Reader;
use super::scan::{Listing, scan};
use super::status_files::{StatusFiles, file_name, name_of};
use crate::plan::input::Meta;
use crate::plan::{Change, Key, Kind, ObjectRef};
use crate::resources::validate::Validator;
use crate::source::Brain;

/// The folder, the data directory, and what is known of them.
#[derive(Debug)]
pub struct Core {
    /// What is told of the resources.
    pub brain: Arc<Brain>,
    /// What reads documents.
    pub reader: Reader,
    manifests: PathBuf,
    data: PathBuf,
    state: Mutex<State>,
    /// Held while this lives.
    _lock: File,
}

/// What changes. Lock it before the planner, never after.
#[derive(Debug)]
pub struct State {
    /// Who declares what.
    pub ledger: Ledger,
    /// What status files must say, up to the status, and do not say yet.
    pub drafts: HashMap<ObjectRef, Box<str>>,
    /// The webhooks that are being created or deleted.
    pub creating: Creating,
    /// Whether a status file could not be written, and nobody has to be told again.
    pub unwritten: bool,
    /// What was told about folders.
    told: Told,
}

impl Core {
    /// Takes hold of the data directory.
    pub fn open(manifests: PathBuf, data: PathBuf, brain: Arc<Brain>) -> Result<Self, FilesError> {
        fs::read_dir(&manifests)
            .map_err(|error| FilesError::Manifests { path: manifests.clone(), error })?;
        let lock = take_hold(&data)?;
        let created = data.join("webhooks");
        Ok(Self {
            brain,
            reader: Reader {
                apps: Validator::webhook_app(),
                webhooks: Validator::webhook(),
                statuses: Arc::new(StatusFiles::new(data.join("status"))),
            },
            state: Mutex::new(State {
                ledger: Ledger::new(&created),
                drafts: HashMap::new(),
                creating: Creating::default(),
                unwritten: false,
                told: Told::default(),
            }),
            manifests,
            data,
            _lock: lock,
        })
    }

    /// What changes.
    pub fn state(&self) -> MutexGuard<'_, State> {
        // The ledger is consistent between any two of its calls.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory of the webhooks that the app API created.
    pub fn created_root(&self) -> PathBuf {
        self.data.join("webhooks")
    }

    /// Reads everything for the first time, and writes every status.
    pub fn load(&self) -> Result<(), FilesError> {
        let now = Timestamp::now();
        self.load_created(now)?;
        let listing = self.list();
        let (changed, _) = self.take_stock(&listing, Patience::None);
        let folder = listing.unreadable.into_iter().find(|(path, _)| *path == self.manifests);
        if let Some((path, error)) = folder {
            return Err(FilesError::Manifests { path, error });
        }
        Pass::new(self, now).run(changed, &[]);
        self.sweep()?;
        self.publish_pending();
        Ok(())
    }

    /// Writes every status that waits to be written.
    pub fn publish_pending(&self) {
        let failed = self.publish(&self.brain.pending().take_all());
        self.brain.pending().add(failed, []);
    }

    /// Looks for changes, and reads what changed.
    pub fn poll(&self) {
        let listing = self.list();
        let (changed, gone) = self.take_stock(&listing, Patience::UntilStill);
        if !(changed.is_empty() && gone.is_empty()) {
            Pass::new(self, Timestamp::now()).run(changed, &gone);
        }
    }

    fn list(&self) -> Listing {
        let listing = scan(&self.manifests, &[self.created_root(), self.data.join("status")]);
        let mut state = self.state();
        state.told.begin();
        for (path, error) in &listing.unreadable {
            state.told.tell(path, &Problem::of_file(format!("cannot be read: {error}")));
        }
        state.told.end();
        listing
    }

    /// Compares a listing with what was read. Returns which files to read, and which are gone.
    fn take_stock(&self, listing: &Listing, patience: Patience) -> (Vec<FileId>, Vec<FileId>) {
        let mut state = self.state();
        let now = SystemTime::now();
        let (mut changed, mut present) = (Vec::new(), HashSet::new());
        for (path, signature) in &listing.files {
            let file = state.ledger.manifest_at(path);
            present.insert(file);
            let Some(manifest) = state.ledger.manifest(file) else { continue };
            let still = manifest.seen.replace(*signature) == Some(*signature);
            if manifest.read != Some(*signature) && (still || patience == Patience::None) {
                manifest.read = Some(*signature).filter(|signature| signature.is_settled(now));
                changed.push(file);
            }
        }
        let absent: Vec<FileId> = state
            .ledger
            .manifests()
            .filter(|(file, manifest)| !present.contains(file) && !listing.hides(&manifest.path))
            .map(|(file, _)| file)
            .collect();
        let was_absent = |file: &FileId| {
            let manifest = state.ledger.manifest(*file);
            manifest.is_some_and(|manifest| manifest.seen.take().is_none())
        };
        (changed, absent.into_iter().filter(was_absent).collect())
    }

    /// Removes the status files of objects that are gone, after everything was read.
    fn sweep(&self) -> Result<(), FilesError> {
        let state = self.state();
        // The name of such a file does not say which object's it is.
        let cut: HashSet<String> = state
            .ledger
            .claims()
            .map(|(id, _)| file_name(&id.key.name))
            .filter(|file| name_of(file).is_none())
            .collect();
        let kept = |kind, namespace: &str, file: &str| match name_of(file) {
            Some(name) => {
                let id = Id { kind: Declared::Ours(kind), key: Key::new(namespace, name) };
                state.ledger.claim(&id).is_some()
            }
            None => cut.contains(file),
        };
        let path = self.data.join("status");
        self.reader.statuses.sweep(kept).map_err(|error| FilesError::Data { path, error })
    }

    /// Removes an object from the books, and its status file. Returns what the brain must be told.
    pub fn remove(&self, state: &mut State, id: &Id) -> Change {
        state.ledger.remove(id);
        if let Declared::Ours(kind) = id.kind {
            let object = ObjectRef { kind, key: id.key.clone() };
            state.drafts.remove(&object);
            if let Err(error) = self.reader.statuses.remove(kind, &id.key) {
                tracing::warn!("cannot remove the status of {}: {error}", id.subject());
            }
        }
        pass::gone(id)
    }

    /// What the planner knows of an object; `None` when it does not know it.
    pub fn known(&self, object: &ObjectRef) -> Option<Meta> {
        let planner = self.brain.planner();
        match object.kind {
            Kind::WebhookApp => planner.app(&object.key).map(|input| input.meta.clone()),
            Kind::Webhook => planner.webhook(&object.key).map(|view| view.input.meta),
        }
    }
}

/// Whether a file is read at once, or when it looked the same twice: it may be half written, or be
/// about to be replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    None,
    UntilStill,
}

/// Makes the data directory, and keeps others out of it.
fn take_hold(data: &Path) -> Result<File, FilesError> {
    let failed = |error: io::Error| FilesError::Data { path: data.into(), error };
    atomic::make_directory(data, Durability::Power).map_err(failed)?;
    let options = File::options().write(true).create(true).truncate(false).open(data.join("lock"));
    let lock = options.map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(FilesError::Locked { path: data.into() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
