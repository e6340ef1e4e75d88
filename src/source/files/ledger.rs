//! Index of declarations: the file and line from which each object in force comes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::manifest::Id;
use super::problems::{Problem, Told};
use super::scan::Signature;
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
pub struct Claim {
    /// The file.
    pub file: FileId,
    /// The line, from 1.
    pub line: u32,
    /// The fingerprint of the document, if all of its objects are in force; otherwise 0.
    pub text: u64,
}

/// A manifest.
#[derive(Debug)]
pub struct Manifest {
    /// Its path.
    pub path: Arc<Path>,
    /// Its signature in the last scan; `None` if it was missing.
    pub seen: Option<Signature>,
    /// Its signature when it was last read; `None` if it must be read again.
    pub read: Option<Signature>,
    /// Its logged problems.
    pub told: Told,
}

/// The manifests, and the objects that they declare.
#[derive(Debug)]
pub struct Ledger {
    ids: BTreeMap<Arc<Path>, FileId>,
    manifests: BTreeMap<FileId, Manifest>,
    next: u32,
    claims: HashMap<Id, Claim>,
    /// Files with a further declaration of an object that another file declares.
    rivals: BTreeMap<Id, BTreeSet<FileId>>,
    /// Interned namespaces and app names: few distinct values in many objects.
    words: HashSet<Arc<str>>,
    /// The directory of created webhooks, for log messages.
    created: Arc<Path>,
}

impl Ledger {
    /// An empty index.
    pub fn new(created: &Path) -> Self {
        Self {
            ids: BTreeMap::new(),
            manifests: BTreeMap::new(),
            next: FileId::CREATED.0,
            claims: HashMap::new(),
            rivals: BTreeMap::new(),
            words: HashSet::new(),
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
        let told = Told::default();
        self.ids.insert(path.clone(), id);
        self.manifests.insert(id, Manifest { path, seen: None, read: None, told });
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
    pub fn forget_manifest(&mut self, file: FileId) {
        if let Some(manifest) = self.manifests.remove(&file) {
            self.ids.remove(&manifest.path);
        }
        self.withdraw(file);
    }

    /// The path of a file, for log messages.
    pub fn path(&self, file: FileId) -> Arc<Path> {
        self.manifests.get(&file).map_or(&self.created, |manifest| &manifest.path).clone()
    }

    /// Logs a problem of a file, once.
    pub fn tell(&mut self, file: FileId, problem: &Problem) {
        match self.manifests.get_mut(&file) {
            Some(manifest) => manifest.told.tell(&manifest.path, problem),
            None => tracing::warn!("{}", problem.told(&self.created)),
        }
    }

    // ---- objects ----

    /// The object's key with an interned namespace.
    pub fn share(&mut self, key: &Key) -> Key {
        Key { namespace: self.share_word(&key.namespace), name: key.name.clone() }
    }

    /// The interned copy of a text.
    fn share_word(&mut self, word: &Arc<str>) -> Arc<str> {
        if let Some(word) = self.words.get(word) {
            return word.clone();
        }
        self.words.insert(word.clone());
        word.clone()
    }

    /// Where an object is declared.
    pub fn claim(&self, id: &Id) -> Option<Claim> {
        self.claims.get(id).copied()
    }

    /// All objects in force, and where they are declared.
    pub fn claims(&self) -> impl Iterator<Item = (&Id, &Claim)> {
        self.claims.iter()
    }

    /// Stores where an object is declared.
    pub fn set_claim(&mut self, id: Id, claim: Claim) {
        self.claims.insert(id, claim);
    }

    /// Marks the declaration of an object to be read again.
    pub fn distrust(&mut self, object: &ObjectRef) {
        let id = Id { kind: super::manifest::Declared::Ours(object.kind), key: object.key.clone() };
        let Some(claim) = self.claims.get_mut(&id) else { return };
        claim.text = 0;
        if let Some(manifest) = self.manifests.get_mut(&claim.file) {
            manifest.read = None;
        }
    }

    /// Removes an object.
    pub fn remove(&mut self, id: &Id) {
        self.claims.remove(id);
    }

    /// Whether a declaration takes precedence over one at another place. Created webhooks come
    /// before manifests, and manifests are ordered by path and line.
    pub fn comes_before(&self, claim: &Claim, file: FileId, line: u32) -> bool {
        let rank = |file: FileId| self.manifests.get(&file).map(|manifest| &manifest.path);
        (rank(claim.file), claim.line) <= (rank(file), line)
    }

    /// Records that a file declares an object that another file declares.
    pub fn add_rival(&mut self, id: &Id, file: FileId) {
        self.rivals.entry(id.clone()).or_default().insert(file);
    }

    /// The other files that declare an object.
    pub fn rivals(&self, id: &Id) -> impl Iterator<Item = FileId> {
        self.rivals.get(id).into_iter().flatten().copied()
    }

    /// Removes the further declarations of a file that is read again or was deleted.
    pub fn withdraw(&mut self, file: FileId) {
        self.rivals.retain(|_, files| {
            files.remove(&file);
            !files.is_empty()
        });
    }
}
