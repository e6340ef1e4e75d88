//! Webhooks created by the app API. Each has a file in the data directory, which is written before
//! the response.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use super::atomic::{self, Durability};
use super::core::{Core, FilesState};
use super::documents::YamlDocument;
use super::index::{Declaration, FileId};
use super::manifest::{ManifestKind, ObjectId, check_key};
use super::pass::Pass;
use super::problems::Problem;
use super::reader::DocumentContent;
use super::status_files::{entries, file_name, is_object_file, to_yaml};
use super::{Files, FilesError};
use crate::plan::{Change, Key, Kind, WebhookInput};
use crate::resources::Webhook;
use crate::source::{StoreError, WebhookStore};

/// Number of files that are read in one batch.
const BATCH: usize = 4096;

/// The webhooks that are being created or deleted. Concurrent requests for them are rejected.
#[derive(Debug, Default)]
pub struct Reservations(HashSet<Key>);

impl WebhookStore for Files {
    fn create(&self, webhook: Webhook) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.blocking(move |core| core.create(webhook)))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<(), StoreError>> {
        let key = key.clone();
        Box::pin(self.blocking(move |core| core.delete(&key)))
    }
}

impl Files {
    async fn blocking(
        &self,
        work: impl FnOnce(&Core) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let core = self.core.clone();
        let done = tokio::task::spawn_blocking(move || work(&core)).await;
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
        let id = {
            let mut state = self.state();
            let key = state.index.intern(&Key::of(&webhook));
            let id = ObjectId { kind: ManifestKind::Custom(Kind::Webhook), key };
            reject_existing(&state, &id)?;
            reserve(&mut state, &id.key)?;
            id
        };
        // Not locked: a disk may be slow, and several webhooks may be written concurrently.
        let path = self.created_path(&id.key);
        let written = atomic::write(&path, to_yaml(&webhook).as_bytes(), Durability::Power);
        let mut state = self.state();
        state.reserved.0.remove(&id.key);
        written.map_err(unavailable)?;
        if let Err(known) = reject_existing(&state, &id) {
            // A manifest declared it in the meantime.
            atomic::remove(&path, Durability::Power).map_err(unavailable)?;
            return Err(known);
        }
        let mut input = WebhookInput::of(&webhook);
        input.meta.key = id.key.clone();
        state
            .index
            .set_declaration(id, Declaration { file: FileId::CREATED, line: 1, fingerprint: 0 });
        self.brain.apply([Change::Webhook(input)]);
        Ok(())
    }

    /// The webhook with defaults, and with the metadata that an API server would set.
    fn complete(&self, mut webhook: Webhook) -> Result<Webhook, StoreError> {
        let invalid = |why: &dyn std::fmt::Display| StoreError::Invalid(why.to_string());
        check_key(&Key::of(&webhook)).map_err(|why| invalid(&why))?;
        webhook.status = None;
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        webhook.metadata.creation_timestamp.get_or_insert(Time(now));
        webhook.metadata.generation = Some(1);
        let mut value = serde_json::to_value(&webhook).map_err(|error| invalid(&error))?;
        self.reader.webhooks.admit(&mut value, None).map_err(|why| invalid(&why))?;
        Webhook::deserialize(&value).map_err(|error| invalid(&error))
    }

    fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let id = ObjectId { kind: ManifestKind::Custom(Kind::Webhook), key: key.clone() };
        {
            let mut state = self.state();
            match state.index.declaration(&id) {
                None => return Err(StoreError::NotFound),
                Some(declaration) if declaration.file != FileId::CREATED => {
                    return Err(StoreError::Declared);
                }
                Some(_) => reserve(&mut state, key)?,
            }
        }
        let removed = atomic::remove(&self.created_path(key), Durability::Power);
        let mut state = self.state();
        state.reserved.0.remove(key);
        removed.map_err(unavailable)?;
        let deleted = self.remove(&mut state, &id);
        // Read manifests again that declare it as well: their declaration is in force from now on.
        let duplicates: Vec<FileId> = state.index.duplicates(&id).collect();
        for file in duplicates {
            if let Some(manifest) = state.index.manifest(file) {
                manifest.read = None;
            }
        }
        self.brain.apply([deleted]);
        Ok(())
    }

    /// Reads the webhooks created before the restart.
    pub fn load_created(&self, now: Timestamp) -> Result<(), FilesError> {
        let root = self.created_root();
        let failed = |error| FilesError::Data { path: root.clone(), error };
        let mut pass = Pass::new(self, now);
        for namespace in entries(&root).map_err(failed)?.into_iter().filter(|path| path.is_dir()) {
            let mut files = entries(&namespace).map_err(failed)?;
            remove_leftovers(&files).map_err(failed)?;
            files.retain(|path| is_object_file(path));
            files.sort();
            for files in files.chunks(BATCH) {
                self.load_files(&mut pass, files);
            }
        }
        Ok(())
    }

    fn load_files(&self, pass: &mut Pass<'_>, files: &[PathBuf]) {
        let (mut paths, mut documents) = (Vec::new(), Vec::new());
        for path in files {
            match fs::read(path) {
                Ok(text) => {
                    documents.push(YamlDocument { start: 1, line: 1, text });
                    paths.push(path);
                }
                Err(error) => {
                    log_problem(path, &Problem::of_file(format!("cannot be read: {error}")))
                }
            }
        }
        // All files are YAML, regardless of their names.
        let contents = self.reader.read_all(Path::new(""), &documents);
        for ((path, document), content) in paths.into_iter().zip(documents).zip(contents) {
            match self.check_content(path, content) {
                Ok(content) => pass.add_created(path, vec![(document, content)]),
                Err(problem) => log_problem(path, &problem),
            }
        }
    }

    /// Checks that a file contains exactly the webhook that belongs there.
    fn check_content(
        &self,
        path: &Path,
        content: DocumentContent,
    ) -> Result<DocumentContent, Problem> {
        let found = content?;
        let is_own = |id: &ObjectId| {
            id.kind == ManifestKind::Custom(Kind::Webhook) && self.created_path(&id.key) == path
        };
        match found.as_slice() {
            [Err(problem)] => Err(problem.clone()),
            [Ok(only)] if is_own(&only.id) => Ok(Ok(found)),
            _ => Err(Problem::of_file("does not contain exactly the webhook of its path".into())),
        }
    }
}

fn log_problem(path: &Path, problem: &Problem) {
    tracing::warn!("{}", problem.message(path));
}

/// Removes temporary files of interrupted writes.
fn remove_leftovers(files: &[PathBuf]) -> std::io::Result<()> {
    let temporary = |path: &&PathBuf| path.file_name().is_some_and(atomic::is_temporary);
    files.iter().filter(temporary).try_for_each(fs::remove_file)
}

fn reject_existing(state: &FilesState, id: &ObjectId) -> Result<(), StoreError> {
    match state.index.declaration(id) {
        None => Ok(()),
        Some(declaration) if declaration.file == FileId::CREATED => {
            Err(StoreError::Invalid("metadata.name: a webhook of this name exists".into()))
        }
        Some(_) => Err(StoreError::Declared),
    }
}

fn reserve(state: &mut FilesState, key: &Key) -> Result<(), StoreError> {
    if state.reserved.0.insert(key.clone()) {
        return Ok(());
    }
    Err(StoreError::Invalid("metadata.name: this webhook is being created or deleted".into()))
}

fn unavailable(error: std::io::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
