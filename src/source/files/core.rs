//! The state of the source and its blocking operations. The caller decides when to run them.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Mutex, MutexGuard};

use super::FilesError;
use super::atomic::{self, Durability};
use super::desired::{Declarations, Paths};
use super::manifest::{ManifestKind, ObjectId};
use super::manifests::{Manifests, ReadWhen};
use super::problems::{Problem, ReportedProblems};
use super::reconcile::Reconcile;
use super::scan::{Listing, scan};
use super::status_files::{StatusFiles, compose, file_name, object_name};
use crate::plan::input::Meta;
use crate::plan::{Change, Key, Kind, ObjectRef};
use crate::resources::validate::Validator;
use crate::source::PlanRunner;

/// The folder, the data directory, and the state derived from them.
#[derive(Debug)]
pub struct Core {
    /// Receives the changes.
    pub runner: Arc<PlanRunner>,
    apps: Validator,
    webhooks: Validator,
    /// Each object with its status, which is also the previous state of the object.
    pub statuses: StatusFiles,
    manifests: PathBuf,
    data: PathBuf,
    state: Mutex<FilesState>,
    /// Held for the lifetime of this value.
    _lock: File,
}

/// The mutable state. Lock it before the planner, never after.
#[derive(Debug, Default)]
pub struct FilesState {
    /// The manifests that were read.
    pub manifests: Manifests,
    /// Where each object is declared.
    pub declarations: Declarations,
    /// The objects that are not yet in their status files: YAML without the status.
    pub unwritten: HashMap<ObjectRef, Box<str>>,
    /// The webhooks that are being created or deleted. Concurrent requests for them are rejected.
    pub reserved: HashSet<Key>,
    /// Whether a failed write of a status file was logged. Further failures are not logged until
    /// one succeeds.
    pub write_error_logged: bool,
    /// The logged problems of folders.
    reported: ReportedProblems,
    /// The namespaces: few distinct values in many objects.
    namespaces: HashSet<Arc<str>>,
}

impl FilesState {
    /// The name of an object with the shared copy of its namespace.
    pub fn intern(&mut self, id: &ObjectId) -> ObjectId {
        let given = &id.key.namespace;
        let namespace = self.namespaces.get(given).unwrap_or(given).clone();
        self.namespaces.insert(namespace.clone());
        ObjectId { kind: id.kind, key: Key { namespace, name: id.key.name.clone() } }
    }
}

impl Core {
    /// Locks the data directory.
    pub fn open(
        manifests: PathBuf,
        data: PathBuf,
        runner: Arc<PlanRunner>,
    ) -> Result<Self, FilesError> {
        fs::read_dir(&manifests)
            .map_err(|error| FilesError::Manifests { path: manifests.clone(), error })?;
        let lock = lock_data_dir(&data)?;
        Ok(Self {
            runner,
            apps: Validator::webhook_app(),
            webhooks: Validator::webhook(),
            statuses: StatusFiles::new(data.join("status")),
            manifests,
            data,
            state: Mutex::default(),
            _lock: lock,
        })
    }

    /// Locks the mutable state, which is consistent between any two calls.
    pub fn state(&self) -> MutexGuard<'_, FilesState> {
        self.state.lock()
    }

    /// The directory of the webhooks that the app API created.
    pub fn created_root(&self) -> PathBuf {
        self.data.join("webhooks")
    }

    /// Reads all files for the first time, and writes all statuses.
    pub fn load(&self) -> Result<(), FilesError> {
        self.load_created()?;
        let listing = self.list();
        let (changed, _) = self.diff(&listing, ReadWhen::Immediately);
        let folder = listing.unreadable.into_iter().find(|(path, _)| *path == self.manifests);
        if let Some((path, error)) = folder {
            return Err(FilesError::Manifests { path, error });
        }
        Reconcile::new(self).run(changed, &Paths::new());
        self.remove_stale_statuses()?;
        self.publish_pending();
        Ok(())
    }

    /// Scans for changes, and reads the changed files.
    pub fn poll(&self) {
        let (changed, deleted) = self.diff(&self.list(), ReadWhen::Stable);
        if !(changed.is_empty() && deleted.is_empty()) {
            Reconcile::new(self).run(changed, &deleted);
        }
    }

    fn list(&self) -> Listing {
        let listing = scan(&self.manifests, &[self.created_root(), self.data.join("status")]);
        let mut state = self.state();
        state.reported.begin();
        for (path, error) in &listing.unreadable {
            state.reported.report(path, &Problem::unreadable(error));
        }
        state.reported.end();
        listing
    }

    fn diff(&self, listing: &Listing, read_when: ReadWhen) -> (Paths, Paths) {
        self.state().manifests.diff(listing, read_when, SystemTime::now())
    }

    /// Writes all pending statuses.
    pub fn publish_pending(&self) {
        let failed = self.publish(&self.runner.pending().take_all());
        self.runner.pending().add(failed, []);
    }

    /// Removes the status files of objects that no longer exist, after all files were read.
    fn remove_stale_statuses(&self) -> Result<(), FilesError> {
        let state = self.state();
        // Object names cannot be derived from these shortened file names.
        let files = state.declarations.objects().map(|id| file_name(&id.key.name));
        let shortened: HashSet<String> = files.filter(|file| object_name(file).is_none()).collect();
        let is_kept = |kind, namespace: &str, file: &str| match object_name(file) {
            Some(name) => {
                let id = ObjectId::custom(kind, Key::new(namespace, name));
                state.declarations.location(&id).is_some()
            }
            None => shortened.contains(file),
        };
        let path = self.data.join("status");
        self.statuses.retain(is_kept).map_err(|error| FilesError::Data { path, error })
    }

    /// Removes an object and its status file. Returns the change for the runner. Manifests that
    /// declare the object as well are read again: their declaration is in force from now on.
    pub fn remove(&self, state: &mut FilesState, id: &ObjectId) -> Change {
        for path in state.declarations.remove(id) {
            state.manifests.at(&path).read = None;
        }
        let key = id.key.clone();
        if let Some(object) = id.with_status() {
            state.unwritten.remove(&object);
            if let Err(error) = self.statuses.remove(object.kind, &key) {
                tracing::warn!("cannot remove the status file of {}: {error}", id.subject());
            }
        }
        match id.kind {
            ManifestKind::Custom(Kind::WebhookApp) => Change::AppGone(key),
            ManifestKind::Custom(Kind::Webhook) => Change::WebhookGone(key),
            ManifestKind::Service => Change::ServiceGone(key),
            ManifestKind::Secret => Change::SecretGone(key),
        }
    }

    /// The validator of a kind.
    pub fn validator(&self, kind: Kind) -> &Validator {
        match kind {
            Kind::WebhookApp => &self.apps,
            Kind::Webhook => &self.webhooks,
        }
    }

    /// The text of an object's status file, with the changes that are not written yet.
    pub fn status_text(&self, object: &ObjectRef) -> Option<String> {
        // In this order: a text that is written meanwhile is in both.
        let unwritten = self.state().unwritten.get(object).cloned();
        let file = self.statuses.read(object.kind, &object.key);
        match unwritten {
            Some(text) => Some(compose(Some(&text), None, &file.unwrap_or_default())),
            None => file,
        }
    }

    /// The metadata of an object in the planner; `None` if it is unknown.
    pub fn current_meta(&self, object: &ObjectRef) -> Option<Meta> {
        let planner = self.runner.planner();
        match object.kind {
            Kind::WebhookApp => planner.app(&object.key).map(|input| input.meta.clone()),
            Kind::Webhook => planner.webhook(&object.key).map(|view| view.input.meta),
        }
    }
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
