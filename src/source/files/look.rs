//! Reads the folders of a standalone operator from another process, for client commands.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Secret;
use serde::de::DeserializeOwned;

use super::documents::YamlDocuments;
use super::manifest::{self, ManifestKind};
use super::scan::scan;
use super::status_files::{directory, entries, is_object_file};
use crate::plan::{Key, Kind, SecretInput};

/// The objects of a kind with their statuses, ordered by name. Skips files that are not such
/// objects, or that are just being replaced.
///
/// # Errors
/// If the data directory has no statuses: no operator has used it yet.
pub fn objects<K: DeserializeOwned>(data_dir: &Path, kind: Kind) -> io::Result<Vec<K>> {
    let root = data_dir.join("status");
    fs::metadata(&root)?;
    let mut files: Vec<PathBuf> = Vec::new();
    for namespace in entries(&root.join(directory(kind)))? {
        files.extend(entries(&namespace)?.into_iter().filter(|path| is_object_file(path)));
    }
    files.sort();
    let read = |path: &PathBuf| manifest::from_yaml(&fs::read_to_string(path).ok()?).ok();
    Ok(files.iter().filter_map(read).collect())
}

/// The `wanted` Secrets that manifests declare.
///
/// # Errors
/// If the folder or a file in it cannot be read.
pub fn secrets(manifests: &Path, wanted: &BTreeSet<Key>) -> io::Result<Vec<SecretInput>> {
    let listing = scan(manifests, &[]);
    if let Some((_, error)) = listing.unreadable.into_iter().next() {
        return Err(error);
    }
    let mut found = Vec::new();
    for (path, _) in &listing.files {
        for document in YamlDocuments::new(BufReader::new(File::open(path)?)) {
            let items = manifest::parse(path, &document?).unwrap_or_default();
            let secrets = items.into_iter().flatten().filter(|item| {
                item.id.kind == ManifestKind::Secret && wanted.contains(&item.id.key)
            });
            let read = |item: manifest::Item| serde_json::from_value::<Secret>(item.value).ok();
            found.extend(secrets.filter_map(read).map(SecretInput::of));
        }
    }
    Ok(found)
}
