//! The state of the source and its blocking operations. The caller decides when to run them.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use k8s_openapi::jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use super::FilesError;
use super::atomic::{self, Durability};
use super::created::Reservations;
use super::index::{FileId, ManifestIndex};
use super::manifest::{ManifestKind, ObjectId};
use super::pass::{self, Pass};
use super::problems::{Problem, ReportedProblems};
use super::reader::DocumentReader;
use super::scan::{Listing, scan};
use super::status_files::{StatusFiles, file_name, object_name};
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
    pub reader: DocumentReader,
    manifests: PathBuf,
    data: PathBuf,
    state: Mutex<FilesState>,
    /// Held for the lifetime of this value.
    _lock: File,
}

/// The mutable state. Lock it before the planner, never after.
#[derive(Debug)]
pub struct FilesState {
    /// Where each object is declared.
    pub index: ManifestIndex,
    /// The objects that are not yet in their status files: YAML without the status.
    pub unwritten: HashMap<ObjectRef, Box<str>>,
    /// The webhooks that are being created or deleted.
    pub reserved: Reservations,
    /// Whether a failed write of a status file was logged. Further failures are not logged until
    /// one succeeds.
    pub write_error_logged: bool,
    /// The logged problems of folders.
    reported: ReportedProblems,
}

impl Core {
    /// Locks the data directory.
    pub fn open(manifests: PathBuf, data: PathBuf, brain: Arc<Brain>) -> Result<Self, FilesError> {
        fs::read_dir(&manifests)
            .map_err(|error| FilesError::Manifests { path: manifests.clone(), error })?;
        let lock = lock_data_dir(&data)?;
        let created = data.join("webhooks");
        Ok(Self {
            brain,
            reader: DocumentReader {
                apps: Validator::webhook_app(),
                webhooks: Validator::webhook(),
                statuses: Arc::new(StatusFiles::new(data.join("status"))),
            },
            state: Mutex::new(FilesState {
                index: ManifestIndex::new(&created),
                unwritten: HashMap::new(),
                reserved: Reservations::default(),
                write_error_logged: false,
                reported: ReportedProblems::default(),
            }),
            manifests,
            data,
            _lock: lock,
        })
    }

    /// Locks the mutable state.
    pub fn state(&self) -> MutexGuard<'_, FilesState> {
        // The index is consistent between any two of its calls.
        self.state.lock()
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
        let (changed, _) = self.diff_listing(&listing, ReadWhen::Immediately);
        let folder = listing.unreadable.into_iter().find(|(path, _)| *path == self.manifests);
        if let Some((path, error)) = folder {
            return Err(FilesError::Manifests { path, error });
        }
        Pass::new(self, now).run(changed, &[]);
        self.remove_stale_statuses()?;
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
        let (changed, deleted) = self.diff_listing(&listing, ReadWhen::Stable);
        if !(changed.is_empty() && deleted.is_empty()) {
            Pass::new(self, Timestamp::now()).run(changed, &deleted);
        }
    }

    fn list(&self) -> Listing {
        let listing = scan(&self.manifests, &[self.created_root(), self.data.join("status")]);
        let mut state = self.state();
        state.reported.begin();
        for (path, error) in &listing.unreadable {
            state.reported.report(path, &Problem::of_file(format!("cannot be read: {error}")));
        }
        state.reported.end();
        listing
    }

    /// Compares a listing with the files read before. Returns the files to read, and the deleted
    /// files.
    fn diff_listing(&self, listing: &Listing, read_when: ReadWhen) -> (Vec<FileId>, Vec<FileId>) {
        let mut state = self.state();
        let now = SystemTime::now();
        let (mut changed, mut present) = (Vec::new(), HashSet::new());
        for (path, signature) in &listing.files {
            let file = state.index.manifest_at(path);
            present.insert(file);
            let Some(manifest) = state.index.manifest(file) else { continue };
            let is_stable = manifest.seen.replace(*signature) == Some(*signature);
            if manifest.read != Some(*signature)
                && (is_stable || read_when == ReadWhen::Immediately)
            {
                manifest.read = Some(*signature).filter(|signature| signature.is_settled(now));
                changed.push(file);
            }
        }
        let absent: Vec<FileId> = state
            .index
            .manifests()
            .filter(|(file, manifest)| {
                !present.contains(file) && !listing.is_unreadable(&manifest.path)
            })
            .map(|(file, _)| file)
            .collect();
        let was_absent = |file: &FileId| {
            let manifest = state.index.manifest(*file);
            manifest.is_some_and(|manifest| manifest.seen.take().is_none())
        };
        (changed, absent.into_iter().filter(was_absent).collect())
    }

    /// Removes the status files of objects that no longer exist, after all files were read.
    fn remove_stale_statuses(&self) -> Result<(), FilesError> {
        let state = self.state();
        // Object names cannot be derived from these shortened file names.
        let shortened: HashSet<String> = state
            .index
            .declarations()
            .map(|(id, _)| file_name(&id.key.name))
            .filter(|file| object_name(file).is_none())
            .collect();
        let is_kept = |kind, namespace: &str, file: &str| match object_name(file) {
            Some(name) => {
                let id =
                    ObjectId { kind: ManifestKind::Custom(kind), key: Key::new(namespace, name) };
                state.index.declaration(&id).is_some()
            }
            None => shortened.contains(file),
        };
        let path = self.data.join("status");
        self.reader.statuses.retain(is_kept).map_err(|error| FilesError::Data { path, error })
    }

    /// Removes an object and its status file. Returns the change for the brain.
    pub fn remove(&self, state: &mut FilesState, id: &ObjectId) -> Change {
        state.index.remove(id);
        if let ManifestKind::Custom(kind) = id.kind {
            let object = ObjectRef { kind, key: id.key.clone() };
            state.unwritten.remove(&object);
            if let Err(error) = self.reader.statuses.remove(kind, &id.key) {
                tracing::warn!("cannot remove the status file of {}: {error}", id.subject());
            }
        }
        pass::deletion(id)
    }

    /// The metadata of an object in the planner; `None` if it is unknown.
    pub fn current_meta(&self, object: &ObjectRef) -> Option<Meta> {
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
enum ReadWhen {
    Immediately,
    Stable,
}

/// Creates the data directory, and locks it against other processes.
fn lock_data_dir(data: &Path) -> Result<File, FilesError> {
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
