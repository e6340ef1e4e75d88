//! Which declaration of each object is in force. Pure: it knows documents by their fingerprints
//! and objects by their names.
//!
//! Files are read one after the other, in batches of documents, so that memory is bounded. The
//! objects of a file that is read again are unconfirmed until they are found again. They stay in
//! force meanwhile, and are deleted only if they are unconfirmed in the end.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::manifest::ObjectId;

/// A set of manifests, ordered by precedence.
pub type Paths = BTreeSet<Arc<Path>>;

/// Where an object is declared. Ordered by precedence: created webhooks come before manifests, and
/// manifests are ordered by path and line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The manifest; `None` for a webhook created by the app API, which has a file of its own.
    pub manifest: Option<Arc<Path>>,
    /// The line, from 1.
    pub line: u32,
}

impl Place {
    /// The place of all created webhooks.
    pub const CREATED: Self = Self { manifest: None, line: 1 };
}

#[derive(Debug)]
struct Declaration {
    place: Place,
    /// The fingerprint of the document, if all of its objects are in force; otherwise 0.
    fingerprint: u64,
}

/// The declarations of all objects.
#[derive(Debug, Default)]
pub struct Declarations {
    in_force: HashMap<ObjectId, Declaration>,
    /// Manifests with a further declaration of an object.
    duplicates: BTreeSet<(ObjectId, Arc<Path>)>,
}

/// The state of one reconciliation.
#[derive(Debug, Default)]
pub struct Unconfirmed {
    /// The objects that were not found again yet.
    objects: HashSet<ObjectId>,
    /// The objects of each document, by its fingerprint.
    documents: HashMap<u64, Vec<ObjectId>>,
    /// The files that are read or were deleted.
    files: Paths,
}

impl Declarations {
    /// Where an object is declared.
    pub fn place(&self, id: &ObjectId) -> Option<&Place> {
        self.in_force.get(id).map(|declaration| &declaration.place)
    }

    /// All objects in force.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectId> {
        self.in_force.keys()
    }

    /// Adds a created webhook.
    pub fn add_created(&mut self, id: ObjectId) {
        self.in_force.insert(id, Declaration { place: Place::CREATED, fingerprint: 0 });
    }

    /// Removes an object. Returns the manifests that declare it as well.
    pub fn remove(&mut self, id: &ObjectId) -> Paths {
        self.in_force.remove(id);
        self.duplicates_of(id).cloned().collect()
    }

    /// Marks the declaration of an object to be evaluated when its file is read next. Returns this
    /// file.
    pub fn invalidate(&mut self, id: &ObjectId) -> Option<Arc<Path>> {
        let declaration = self.in_force.get_mut(id)?;
        declaration.fingerprint = 0;
        declaration.place.manifest.clone()
    }

    /// Begins to read files, or to drop them: their objects are unconfirmed.
    pub fn begin(&mut self, files: &Paths, unconfirmed: &mut Unconfirmed) {
        self.duplicates.retain(|(_, file)| !files.contains(file));
        unconfirmed.files.extend(files.iter().cloned());
        for (id, Declaration { place, fingerprint }) in &self.in_force {
            if place.manifest.as_ref().is_some_and(|file| files.contains(file)) {
                unconfirmed.objects.insert(id.clone());
                if *fingerprint != 0 {
                    unconfirmed.documents.entry(*fingerprint).or_default().push(id.clone());
                }
            }
        }
    }

    /// Confirms the objects of a document that is unchanged. Returns whether it is: otherwise it
    /// has to be parsed.
    pub fn confirm(
        &mut self,
        place: &Place,
        fingerprint: u64,
        unconfirmed: &mut Unconfirmed,
    ) -> bool {
        let Unconfirmed { objects, documents, .. } = unconfirmed;
        let Some(ids) = documents.get(&fingerprint) else { return false };
        let is_here = |id| self.place(id).is_some_and(|known| known.manifest == place.manifest);
        let is_unchanged = ids.iter().all(|id| objects.contains(id) && is_here(id));
        for id in ids.iter().filter(|_| is_unchanged) {
            objects.remove(id);
            if let Some(declaration) = self.in_force.get_mut(id) {
                declaration.place.line = place.line;
            }
        }
        is_unchanged
    }

    /// Declares an object. Returns the place of the declaration that it displaces.
    ///
    /// # Errors
    /// The place of the declaration that takes precedence.
    pub fn declare(
        &mut self,
        id: &ObjectId,
        place: &Place,
        unconfirmed: &mut Unconfirmed,
    ) -> Result<Option<Place>, Place> {
        let confirmed = self.in_force.get(id).filter(|_| !unconfirmed.objects.remove(id));
        let other = confirmed.map(|declaration| declaration.place.clone());
        if let Some(other) = &other {
            let loser = other.max(place).manifest.clone();
            self.duplicates.extend(loser.map(|file| (id.clone(), file)));
            if other <= place {
                return Err(other.clone());
            }
        }
        // The fingerprint stays 0 until all objects of the document are accepted.
        let declaration = Declaration { place: place.clone(), fingerprint: 0 };
        self.in_force.insert(id.clone(), declaration);
        Ok(other)
    }

    /// All objects of a document are in force.
    pub fn accept(&mut self, ids: &[ObjectId], fingerprint: u64) {
        for id in ids {
            if let Some(declaration) = self.in_force.get_mut(id) {
                declaration.fingerprint = fingerprint;
            }
        }
    }

    /// Keeps the objects of a file in force, because the part that cannot be read may declare them.
    pub fn keep(&self, file: &Arc<Path>, unconfirmed: &mut Unconfirmed) {
        let is_other = |id: &ObjectId| {
            self.place(id).is_none_or(|place| place.manifest.as_ref() != Some(file))
        };
        unconfirmed.objects.retain(is_other);
    }

    /// The files to read as well: they also declare objects that are not confirmed.
    pub fn next_files(&self, unconfirmed: &Unconfirmed) -> Paths {
        let duplicates = unconfirmed.objects.iter().flat_map(|id| self.duplicates_of(id));
        duplicates.filter(|file| !unconfirmed.files.contains(*file)).cloned().collect()
    }

    fn duplicates_of(&self, id: &ObjectId) -> impl Iterator<Item = &Arc<Path>> {
        let first: (ObjectId, Arc<Path>) = (id.clone(), Path::new("").into());
        self.duplicates
            .range(first..)
            .take_while(move |(other, _)| other == id)
            .map(|(_, file)| file)
    }
}

impl Unconfirmed {
    /// The objects that no file declares any more.
    pub fn into_objects(self) -> HashSet<ObjectId> {
        self.objects
    }
}
