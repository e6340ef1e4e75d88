//! Index of declarations: the file and line from which each object in force comes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::manifest::{ManifestKind, ObjectId};
use super::problems::{Problem, ReportedProblems};
use super::scan::FileSignature;
use crate::plan::{Key, ObjectRef};

/// A file that declares objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(u32);

impl FileId {
    /// All webhooks created by the app API, each in a separate file.
    pub const CREATED: Self = Self(0);
}

/// Where an object in force is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The file.
    pub file: FileId,
    /// The line, from 1.
    pub line: u32,
    /// The fingerprint of the document, if all of its objects are in force; otherwise 0.
    pub fingerprint: u64,
}

/// A manifest.
#[derive(Debug)]
pub struct Manifest {
    /// Its path.
    pub path: Arc<Path>,
    /// Its signature in the last scan; `None` if it was missing.
    pub seen: Option<FileSignature>,
    /// Its signature when it was last read; `None` if it must be read again.
    pub read: Option<FileSignature>,
    /// Its logged problems.
    pub reported: ReportedProblems,
}

/// The manifests, and the objects that they declare.
#[derive(Debug)]
pub struct ManifestIndex {
    ids: BTreeMap<Arc<Path>, FileId>,
    manifests: BTreeMap<FileId, Manifest>,
    next: u32,
    declarations: HashMap<ObjectId, Declaration>,
    /// Files with a further declaration of an object that another file declares.
    duplicates: BTreeMap<ObjectId, BTreeSet<FileId>>,
    /// Interned namespaces and app names: few distinct values in many objects.
    interned: HashSet<Arc<str>>,
    /// The directory of created webhooks, for log messages.
    created: Arc<Path>,
}

impl ManifestIndex {
    /// An empty index.
    pub fn new(created: &Path) -> Self {
        Self {
            ids: BTreeMap::new(),
            manifests: BTreeMap::new(),
            next: FileId::CREATED.0,
            declarations: HashMap::new(),
            duplicates: BTreeMap::new(),
            interned: HashSet::new(),
            created: created.into(),
        }
    }

    // ---- files ----

    /// The manifest at a path. Adds it if it is new.
    pub fn manifest_at(&mut self, path: &Path) -> FileId {
        if let Some(id) = self.ids.get(path) {
            return *id;
        }
        self.next += 1;
        let (id, path) = (FileId(self.next), Arc::<Path>::from(path));
        let reported = ReportedProblems::default();
        self.ids.insert(path.clone(), id);
        self.manifests.insert(id, Manifest { path, seen: None, read: None, reported });
        id
    }

    /// A known manifest.
    pub fn manifest(&mut self, file: FileId) -> Option<&mut Manifest> {
        self.manifests.get_mut(&file)
    }

    /// All manifests, ordered by path.
    pub fn manifests(&self) -> impl Iterator<Item = (FileId, &Manifest)> {
        self.ids.values().filter_map(|id| Some((*id, self.manifests.get(id)?)))
    }

    /// Removes a manifest. Its declarations are not changed.
    pub fn remove_manifest(&mut self, file: FileId) {
        if let Some(manifest) = self.manifests.remove(&file) {
            self.ids.remove(&manifest.path);
        }
        self.remove_duplicates_in(file);
    }

    /// The path of a file, for log messages.
    pub fn path(&self, file: FileId) -> Arc<Path> {
        self.manifests.get(&file).map_or(&self.created, |manifest| &manifest.path).clone()
    }

    /// Logs a problem of a file, once.
    pub fn report(&mut self, file: FileId, problem: &Problem) {
        match self.manifests.get_mut(&file) {
            Some(manifest) => manifest.reported.report(&manifest.path, problem),
            None => tracing::warn!("{}", problem.message(&self.created)),
        }
    }

    // ---- objects ----

    /// The object's key with an interned namespace.
    pub fn intern(&mut self, key: &Key) -> Key {
        Key { namespace: self.intern_text(&key.namespace), name: key.name.clone() }
    }

    /// The interned copy of a text.
    fn intern_text(&mut self, text: &Arc<str>) -> Arc<str> {
        if let Some(text) = self.interned.get(text) {
            return text.clone();
        }
        self.interned.insert(text.clone());
        text.clone()
    }

    /// Where an object is declared.
    pub fn declaration(&self, id: &ObjectId) -> Option<Declaration> {
        self.declarations.get(id).copied()
    }

    /// All objects in force, and where they are declared.
    pub fn declarations(&self) -> impl Iterator<Item = (&ObjectId, &Declaration)> {
        self.declarations.iter()
    }

    /// Stores where an object is declared.
    pub fn set_declaration(&mut self, id: ObjectId, declaration: Declaration) {
        self.declarations.insert(id, declaration);
    }

    /// Marks the declaration of an object to be read again.
    pub fn invalidate(&mut self, object: &ObjectRef) {
        let id = ObjectId { kind: ManifestKind::Custom(object.kind), key: object.key.clone() };
        let Some(declaration) = self.declarations.get_mut(&id) else { return };
        declaration.fingerprint = 0;
        if let Some(manifest) = self.manifests.get_mut(&declaration.file) {
            manifest.read = None;
        }
    }

    /// Removes an object.
    pub fn remove(&mut self, id: &ObjectId) {
        self.declarations.remove(id);
    }

    /// Whether a declaration takes precedence over one at another place. Created webhooks come
    /// before manifests, and manifests are ordered by path and line.
    pub fn precedes(&self, declaration: &Declaration, file: FileId, line: u32) -> bool {
        let rank = |file: FileId| self.manifests.get(&file).map(|manifest| &manifest.path);
        (rank(declaration.file), declaration.line) <= (rank(file), line)
    }

    /// Records that a file declares an object that another file declares.
    pub fn add_duplicate(&mut self, id: &ObjectId, file: FileId) {
        self.duplicates.entry(id.clone()).or_default().insert(file);
    }

    /// The other files that declare an object.
    pub fn duplicates(&self, id: &ObjectId) -> impl Iterator<Item = FileId> {
        self.duplicates.get(id).into_iter().flatten().copied()
    }

    /// Removes the further declarations of a file that is read again or was deleted.
    pub fn remove_duplicates_in(&mut self, file: FileId) {
        self.duplicates.retain(|_, files| {
            files.remove(&file);
            !files.is_empty()
        });
    }
}
