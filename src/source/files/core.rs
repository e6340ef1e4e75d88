//! The state of the source and its blocking operations. The caller decides when to run them.

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

/// The folder, the data directory, and the state derived from them.
#[derive(Debug)]
pub struct Core {
    /// Receives the changes.
    pub brain: Arc<Brain>,
    /// Parses and validates documents.
    pub reader: Reader,
    manifests: PathBuf,
    data: PathBuf,
    state: Mutex<State>,
    /// Held for the lifetime of this value.
    _lock: File,
}

/// The mutable state. Lock it before the planner, never after.
#[derive(Debug)]
pub struct State {
    /// Where each object is declared.
    pub ledger: Ledger,
    /// The objects that are not yet in their status files: YAML without the status.
    pub drafts: HashMap<ObjectRef, Box<str>>,
    /// The webhooks that are being created or deleted.
    pub creating: Creating,
    /// Whether a failed write of a status file was logged. Further failures are not logged until
    /// one succeeds.
    pub unwritten: bool,
    /// The logged problems of folders.
    told: Told,
}

impl Core {
    /// Locks the data directory.
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

    /// Locks the mutable state.
    pub fn state(&self) -> MutexGuard<'_, State> {
        // The index is consistent between any two of its calls.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory of the webhooks that the app API created.
    pub fn created_root(&self) -> PathBuf {
        self.data.join("webhooks")
    }

    /// Reads all files for the first time, and writes all statuses.
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

    /// Writes all pending statuses.
    pub fn publish_pending(&self) {
        let failed = self.publish(&self.brain.pending().take_all());
        self.brain.pending().add(failed, []);
    }

    /// Scans for changes, and reads the changed files.
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

    /// Compares a listing with the files read before. Returns the files to read, and the deleted
    /// files.
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

    /// Removes the status files of objects that no longer exist, after all files were read.
    fn sweep(&self) -> Result<(), FilesError> {
        let state = self.state();
        // Object names cannot be derived from these shortened file names.
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

    /// Removes an object and its status file. Returns the change for the brain.
    pub fn remove(&self, state: &mut State, id: &Id) -> Change {
        state.ledger.remove(id);
        if let Declared::Ours(kind) = id.kind {
            let object = ObjectRef { kind, key: id.key.clone() };
            state.drafts.remove(&object);
            if let Err(error) = self.reader.statuses.remove(kind, &id.key) {
                tracing::warn!("cannot remove the status file of {}: {error}", id.subject());
            }
        }
        pass::gone(id)
    }

    /// The metadata of an object in the planner; `None` if it is unknown.
    pub fn known(&self, object: &ObjectRef) -> Option<Meta> {
        let planner = self.brain.planner();
        match object.kind {
            Kind::WebhookApp => planner.app(&object.key).map(|input| input.meta.clone()),
            Kind::Webhook => planner.webhook(&object.key).map(|view| view.input.meta),
        }
    }
}

/// When a changed file is read. Waiting until it looks the same in two scans avoids reading one
/// that is half written or about to be replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    None,
    UntilStill,
}

/// Creates the data directory, and locks it against other processes.
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
