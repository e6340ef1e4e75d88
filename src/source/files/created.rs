//! Webhooks created by the app API. Each has a file in the data directory, which is written before
//! the response.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use parking_lot::MutexGuard;
use serde::Deserialize;

use super::atomic::{self, Durability};
use super::core::{Core, FilesState};
use super::desired::Location;
use super::documents::YamlDocument;
use super::manifest::{ObjectId, check_key};
use super::problems::Problem;
use super::read::DocumentContent;
use super::reconcile::Reconcile;
use super::status_files::{entries, file_name, is_object_file, to_yaml};
use super::{Files, FilesError};
use crate::plan::{Change, Key, Kind, WebhookInput};
use crate::resources::Webhook;
use crate::source::{StoreError, WebhookStore};

/// Number of files that are read in one batch.
const BATCH: usize = 4096;

impl WebhookStore for Files {
    fn create(&self, webhook: Webhook) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.change(move |core| core.create(webhook)))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<(), StoreError>> {
        let key = key.clone();
        Box::pin(self.change(move |core| core.delete(key)))
    }
}

impl Files {
    async fn change(
        &self,
        work: impl FnOnce(&Core) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let done = self.blocking(work).await;
        done.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }
}

impl Core {
    /// The file of a webhook created by the app API.
    pub fn created_path(&self, key: &Key) -> PathBuf {
        self.created_root().join(&*key.namespace).join(file_name(&key.name))
    }

    fn create(&self, webhook: Webhook) -> Result<(), StoreError> {
        let webhook = self.complete(webhook)?;
        let id = ObjectId::custom(Kind::Webhook, Key::of(&webhook));
        let id = self.state().intern(&id);
        let path = self.created_path(&id.key);
        let text = to_yaml(&webhook);
        let write = || atomic::write(&path, text.as_bytes(), Durability::Power);
        let mut state = self.reserved(&id, reject_existing, write)?;
        if let Err(known) = reject_existing(&state, &id) {
            // A manifest declared it in the meantime.
            atomic::remove(&path, Durability::Power).map_err(unavailable)?;
            return Err(known);
        }
        let mut input = WebhookInput::of(&webhook);
        input.meta.key = id.key.clone();
        // Nothing else is declared: this has just been checked.
        let _ = state.declarations.declare(&id, &Location::CREATED);
        self.runner.apply([Change::Webhook(input)]);
        Ok(())
    }

    fn delete(&self, key: Key) -> Result<(), StoreError> {
        let id = ObjectId::custom(Kind::Webhook, key);
        let is_created = |state: &FilesState, id: &ObjectId| match state.declarations.location(id) {
            None => Err(StoreError::NotFound),
            Some(&Location::CREATED) => Ok(()),
            Some(_) => Err(StoreError::Declared),
        };
        let remove = || atomic::remove(&self.created_path(&id.key), Durability::Power);
        let mut state = self.reserved(&id, is_created, remove)?;
        let deleted = self.remove(&mut state, &id);
        self.runner.apply([deleted]);
        Ok(())
    }

    /// Does the work on the file of a webhook. Until it is done, other requests for this webhook
    /// are rejected. The state is not locked, because a disk may be slow, and several files may be
    /// written concurrently.
    fn reserved<T>(
        &self,
        id: &ObjectId,
        check: impl FnOnce(&FilesState, &ObjectId) -> Result<(), StoreError>,
        work: impl FnOnce() -> io::Result<T>,
    ) -> Result<MutexGuard<'_, FilesState>, StoreError> {
        let mut state = self.state();
        check(&state, id)?;
        if !state.reserved.insert(id.key.clone()) {
            let why = "metadata.name: this webhook is being created or deleted";
            return Err(StoreError::Invalid(why.into()));
        }
        drop(state);
        let done = work();
        let mut state = self.state();
        state.reserved.remove(&id.key);
        done.map_err(unavailable)?;
        Ok(state)
    }

    /// The webhook with defaults, and with the metadata that an API server would set.
    fn complete(&self, mut webhook: Webhook) -> Result<Webhook, StoreError> {
        let invalid = |why: &dyn Display| StoreError::Invalid(why.to_string());
        check_key(&Key::of(&webhook)).map_err(|why| invalid(&why))?;
        webhook.status = None;
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        webhook.metadata.creation_timestamp.get_or_insert(Time(now));
        webhook.metadata.generation = Some(1);
        let mut value = serde_json::to_value(&webhook).map_err(|error| invalid(&error))?;
        self.validator(Kind::Webhook).admit(&mut value, None).map_err(|why| invalid(&why))?;
        Webhook::deserialize(&value).map_err(|error| invalid(&error))
    }

    /// Reads the webhooks created before the restart.
    pub fn load_created(&self) -> Result<(), FilesError> {
        let root = self.created_root();
        let failed = |error| FilesError::Data { path: root.clone(), error };
        let mut reconcile = Reconcile::new(self);
        for namespace in entries(&root).map_err(failed)?.into_iter().filter(|path| path.is_dir()) {
            let mut files = entries(&namespace).map_err(failed)?;
            remove_leftovers(&files).map_err(failed)?;
            files.retain(|path| is_object_file(path));
            files.sort();
            for files in files.chunks(BATCH) {
                self.load_files(&mut reconcile, files);
            }
        }
        Ok(())
    }

    fn load_files(&self, reconcile: &mut Reconcile<'_>, files: &[PathBuf]) {
        let (mut paths, mut documents) = (Vec::new(), Vec::new());
        for path in files {
            match fs::read(path) {
                Ok(text) => {
                    documents.push(YamlDocument { start: 1, line: 1, text });
                    paths.push(path.as_path());
                }
                Err(error) => Problem::unreadable(&error).log(path),
            }
        }
        // All files are YAML, regardless of their names.
        let contents = self.read_all(Path::new(""), &documents, reconcile.now);
        let contents = paths.into_iter().zip(contents);
        reconcile.put_created(contents.map(|(path, found)| (path, self.check(path, found))));
    }

    /// Checks that a file contains exactly the webhook that belongs there.
    fn check(&self, path: &Path, content: DocumentContent) -> DocumentContent {
        let found = content?;
        let is_own = |id: &ObjectId| {
            *id == ObjectId::custom(Kind::Webhook, id.key.clone())
                && self.created_path(&id.key) == path
        };
        match found.as_slice() {
            [Err(_)] => Ok(found),
            [Ok(only)] if is_own(&only.id) => Ok(found),
            _ => {
                let what = "does not contain exactly the webhook of its path".into();
                Err(Problem::of_text(0, what))
            }
        }
    }
}

/// Removes temporary files of interrupted writes.
fn remove_leftovers(files: &[PathBuf]) -> io::Result<()> {
    let temporary = |path: &&PathBuf| path.file_name().is_some_and(atomic::is_temporary);
    files.iter().filter(temporary).try_for_each(fs::remove_file)
}

fn reject_existing(state: &FilesState, id: &ObjectId) -> Result<(), StoreError> {
    match state.declarations.location(id) {
        None => Ok(()),
        Some(&Location::CREATED) => {
            Err(StoreError::Invalid("metadata.name: a webhook of this name exists".into()))
        }
        Some(_) => Err(StoreError::Declared),
    }
}

fn unavailable(error: io::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
