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
pub struct Location {
    /// The manifest; `None` for a webhook created by the app API, which has a file of its own.
    pub manifest: Option<Arc<Path>>,
    /// The line, from 1.
    pub line: u32,
}

impl Location {
    /// The location of all created webhooks.
    pub const CREATED: Self = Self { manifest: None, line: 1 };
}

#[derive(Debug)]
struct Declaration {
    location: Location,
    /// The fingerprint of the document, if all of its objects are in force; otherwise 0.
    fingerprint: u64,
}

/// The declarations of all objects, and the state of the reconciliation that is running.
#[derive(Debug, Default)]
pub struct Declarations {
    in_force: HashMap<ObjectId, Declaration>,
    /// Manifests with a further declaration of an object.
    duplicates: BTreeSet<(ObjectId, Arc<Path>)>,
    /// The objects that were not found again yet.
    unconfirmed: HashSet<ObjectId>,
    /// The unconfirmed objects of each document, by its fingerprint.
    documents: HashMap<u64, Vec<ObjectId>>,
}

impl Declarations {
    /// Where an object is declared.
    pub fn location(&self, id: &ObjectId) -> Option<&Location> {
        self.in_force.get(id).map(|declaration| &declaration.location)
    }

    /// All objects in force.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectId> {
        self.in_force.keys()
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
        declaration.location.manifest.clone()
    }

    /// Begins to read files, or to drop them: their objects are unconfirmed.
    pub fn begin(&mut self, files: &Paths) {
        self.duplicates.retain(|(_, file)| !files.contains(file));
        for (id, Declaration { location, fingerprint }) in &self.in_force {
            if location.manifest.as_ref().is_some_and(|file| files.contains(file)) {
                self.unconfirmed.insert(id.clone());
                if *fingerprint != 0 {
                    self.documents.entry(*fingerprint).or_default().push(id.clone());
                }
            }
        }
    }

    /// Confirms the objects of a document that is unchanged. Returns whether it is: otherwise it
    /// has to be parsed.
    pub fn confirm(&mut self, location: &Location, fingerprint: u64) -> bool {
        let Some(ids) = self.documents.get(&fingerprint) else { return false };
        let is_here =
            |id| self.location(id).is_some_and(|known| known.manifest == location.manifest);
        if !ids.iter().all(|id| self.unconfirmed.contains(id) && is_here(id)) {
            return false;
        }
        for id in ids {
            self.unconfirmed.remove(id);
            if let Some(declaration) = self.in_force.get_mut(id) {
                declaration.location.line = location.line;
            }
        }
        true
    }

    /// Declares an object. Returns the location of the declaration that it displaces.
    ///
    /// # Errors
    /// The location of the declaration that takes precedence.
    pub fn declare(
        &mut self,
        id: &ObjectId,
        location: &Location,
    ) -> Result<Option<Location>, Location> {
        let confirmed = self.in_force.get(id).filter(|_| !self.unconfirmed.remove(id));
        let other = confirmed.map(|declaration| declaration.location.clone());
        if let Some(other) = &other {
            let loser = other.max(location).manifest.clone();
            self.duplicates.extend(loser.map(|file| (id.clone(), file)));
            if other <= location {
                return Err(other.clone());
            }
        }
        // The fingerprint stays 0 until all objects of the document are accepted.
        let declaration = Declaration { location: location.clone(), fingerprint: 0 };
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
    pub fn keep(&mut self, file: &Arc<Path>) {
        let declared = &self.in_force;
        let file_of = |id: &ObjectId| declared.get(id)?.location.manifest.as_ref();
        self.unconfirmed.retain(|id| file_of(id) != Some(file));
    }

    /// The files to read as well: they also declare objects that are not confirmed.
    pub fn next_files(&self) -> Paths {
        self.unconfirmed.iter().flat_map(|id| self.duplicates_of(id)).cloned().collect()
    }

    /// All files were read. Returns the objects that none of them declares any more.
    pub fn finish(&mut self) -> HashSet<ObjectId> {
        self.documents = HashMap::new();
        std::mem::take(&mut self.unconfirmed)
    }

    fn duplicates_of(&self, id: &ObjectId) -> impl Iterator<Item = &Arc<Path>> {
        let first: (ObjectId, Arc<Path>) = (id.clone(), Path::new("").into());
        let following = self.duplicates.range(first..);
        following.take_while(move |(other, _)| other == id).map(|(_, file)| file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Key, Kind};

    fn webhook(name: &str) -> ObjectId {
        ObjectId::custom(Kind::Webhook, Key::new("ns", name))
    }

    fn location(file: &str, line: u32) -> Location {
        Location { manifest: Some(Path::new(file).into()), line }
    }

    fn paths(files: &[&str]) -> Paths {
        files.iter().map(|file| Path::new(file).into()).collect()
    }

    /// Objects, each with its file and line. A document is accepted with its line as fingerprint.
    fn declared(objects: &[(&str, &str, u32)]) -> Declarations {
        let mut declarations = Declarations::default();
        for (name, file, line) in objects {
            let (id, location) = (webhook(name), location(file, *line));
            if declarations.declare(&id, &location).is_ok() {
                declarations.accept(&[id], u64::from(*line));
            }
        }
        declarations
    }

    #[test]
    fn the_first_place_is_in_force_in_whatever_order_they_are_read() {
        let places = [Location::CREATED, location("a", 2), location("a", 10), location("b", 1)];
        for (earlier, first) in places.iter().enumerate() {
            for second in &places[earlier + 1..] {
                let (id, mut declarations) = (webhook("x"), Declarations::default());
                assert_eq!(declarations.declare(&id, first), Ok(None));
                assert_eq!(declarations.declare(&id, second), Err(first.clone()));
                let mut declarations = Declarations::default();
                assert_eq!(declarations.declare(&id, second), Ok(None));
                assert_eq!(declarations.declare(&id, first), Ok(Some(second.clone())));
                assert_eq!(declarations.location(&id), Some(first));
            }
        }
        let mut twice = declared(&[("x", "a", 2)]);
        assert_eq!(
            twice.declare(&webhook("x"), &location("a", 2)),
            Err(location("a", 2)),
            "in a list"
        );
    }

    #[test]
    fn an_unchanged_document_is_confirmed_once_and_only_in_its_file() {
        let mut declarations = declared(&[("x", "a", 7), ("y", "b", 8)]);
        declarations.begin(&paths(&["a", "b"]));
        assert!(!declarations.confirm(&location("b", 1), 7), "that text was in another file");
        assert!(!declarations.confirm(&location("a", 1), 9), "a text that is not known");
        assert!(declarations.confirm(&location("a", 20), 7));
        assert_eq!(declarations.location(&webhook("x")), Some(&location("a", 20)));
        assert!(!declarations.confirm(&location("a", 30), 7), "a second copy is a duplicate");
        assert_eq!(declarations.finish(), HashSet::from([webhook("y")]));
    }

    #[test]
    fn a_document_is_parsed_again_if_one_of_its_objects_is_not_in_force() {
        let mut declarations = Declarations::default();
        let ids = [webhook("x"), webhook("y")];
        for id in &ids {
            declarations.declare(id, &location("b", 1)).unwrap();
        }
        declarations.accept(&ids, 7);
        declarations.begin(&paths(&["a", "b"]));
        assert_eq!(declarations.declare(&ids[0], &location("a", 1)), Ok(None));
        assert!(!declarations.confirm(&location("b", 1), 7), "x is declared in a now");

        let mut declarations = declared(&[("x", "a", 7)]);
        assert_eq!(declarations.invalidate(&webhook("x")), location("a", 7).manifest);
        declarations.begin(&paths(&["a"]));
        assert!(!declarations.confirm(&location("a", 7), 7), "it was marked");
    }

    #[test]
    fn an_object_that_is_not_found_again_is_looked_for_in_the_other_files_that_declare_it() {
        let mut declarations = declared(&[("x", "a", 1), ("x", "b", 2), ("x", "c", 3)]);
        declarations.begin(&paths(&["a", "c"]));
        assert_eq!(declarations.next_files(), paths(&["b"]), "c is read already");
        declarations.begin(&paths(&["b"]));
        assert!(!declarations.confirm(&location("b", 2), 2), "it was not in force there");
        assert_eq!(declarations.declare(&webhook("x"), &location("b", 2)), Ok(None));
        assert_eq!((declarations.next_files(), declarations.finish()), Default::default());
    }

    #[test]
    fn a_file_is_read_twice_if_another_one_dropped_its_object_meanwhile() {
        let mut declarations = declared(&[("x", "b", 1), ("y", "a", 2), ("y", "b", 3)]);
        declarations.begin(&paths(&["a", "c"]));
        assert_eq!(declarations.declare(&webhook("x"), &location("c", 1)), Err(location("b", 1)));
        assert_eq!(declarations.next_files(), paths(&["b"]), "for y");
        declarations.begin(&paths(&["b"]));
        assert_eq!(declarations.declare(&webhook("y"), &location("b", 1)), Ok(None));
        assert_eq!(declarations.next_files(), paths(&["c"]), "b declares x no longer");
        declarations.begin(&paths(&["c"]));
        assert_eq!(declarations.declare(&webhook("x"), &location("c", 1)), Ok(None));
        assert_eq!((declarations.next_files(), declarations.finish()), Default::default());
    }

    #[test]
    fn objects_in_files_that_are_not_read_and_in_those_to_keep_are_never_deleted() {
        let mut declarations = declared(&[("x", "a", 1), ("y", "b", 2), ("z", "c", 3)]);
        declarations.begin(&paths(&["a", "b"]));
        declarations.keep(&Path::new("b").into());
        let deleted = declarations.finish();
        assert_eq!(deleted, HashSet::from([webhook("x")]));
        declarations.begin(&paths(&["b"]));
        assert!(declarations.confirm(&location("b", 2), 2), "what was kept is still known");
    }

    #[test]
    fn a_removed_object_names_the_files_that_declare_it_too() {
        let mut declarations = declared(&[("x", "a", 1), ("x", "b", 2), ("y", "c", 3)]);
        assert_eq!(declarations.remove(&webhook("x")), paths(&["b"]));
        assert_eq!(declarations.location(&webhook("x")), None);
        assert_eq!(declarations.objects().count(), 1);
    }
}
