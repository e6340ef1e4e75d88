//! Who declares what: which place of which file each object in force comes from.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::manifest::Id;
use super::problems::{Problem, Told};
use super::scan::Signature;
use crate::plan::{Key, ObjectRef};

/// A file that objects come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(u32);

impl FileId {
    /// The webhooks that were created by the app API, each in a file of its own.
    pub const CREATED: Self = Self(0);
}

/// Where an object in force is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The file.
    pub file: FileId,
    /// The line, from 1.
    pub line: u32,
    /// The fingerprint of the document, if all of it is in force; else 0.
    pub text: u64,
}

/// A manifest.
#[derive(Debug)]
pub struct Manifest {
    /// Where it is.
    pub path: Arc<Path>,
    /// What it looked like when it was last looked at; `None` when it was not there.
    pub seen: Option<Signature>,
    /// What it looked like when it was last read; `None` while it must be read again.
    pub read: Option<Signature>,
    /// Its problems that were told.
    pub told: Told,
}

/// The books.
#[derive(Debug)]
pub struct Ledger {
    ids: BTreeMap<Arc<Path>, FileId>,
    manifests: BTreeMap<FileId, Manifest>,
    next: u32,
    claims: HashMap<Id, Claim>,
    /// Files that declare an object that is in force by another place.
    rivals: BTreeMap<Id, BTreeSet<FileId>>,
    /// The names of namespaces and apps, of which there are few among many objects.
    words: HashSet<Arc<str>>,
    /// Where the created webhooks are, for people.
    created: Arc<Path>,
}

impl Ledger {
    /// Empty books.
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

    /// The manifest at a path, new or known.
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

    /// A manifest that is known.
    pub fn manifest(&mut self, file: FileId) -> Option<&mut Manifest> {
        self.manifests.get_mut(&file)
    }

    /// All manifests, in the order of their paths.
    pub fn manifests(&self) -> impl Iterator<Item = (FileId, &Manifest)> {
        self.ids.values().filter_map(|id| Some((*id, self.manifests.get(id)?)))
    }

    /// Forgets a manifest. What it declared is not touched.
    pub fn forget_manifest(&mut self, file: FileId) {
        if let Some(manifest) = self.manifests.remove(&file) {
            self.ids.remove(&manifest.path);
        }
        self.withdraw(file);
    }

    /// The path of a file, for people.
    pub fn path(&self, file: FileId) -> Arc<Path> {
        self.manifests.get(&file).map_or(&self.created, |manifest| &manifest.path).clone()
    }

    /// Tells of a problem of a file, once.
    pub fn tell(&mut self, file: FileId, problem: &Problem) {
        match self.manifests.get_mut(&file) {
            Some(manifest) => manifest.told.tell(&manifest.path, problem),
            None => tracing::warn!("{}", problem.told(&self.created)),
        }
    }

    // ---- objects ----

    /// The object's key, with a namespace that is shared.
    pub fn share(&mut self, key: &Key) -> Key {
        Key { namespace: self.share_word(&key.namespace), name: key.name.clone() }
    }

    /// The same text, in memory that is shared.
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

    /// Every object in force, and where it is declared.
    pub fn claims(&self) -> impl Iterator<Item = (&Id, &Claim)> {
        self.claims.iter()
    }

    /// Writes down where an object is declared.
    pub fn set_claim(&mut self, id: Id, claim: Claim) {
        self.claims.insert(id, claim);
    }

    /// The object must be read again wherever it is declared.
    pub fn distrust(&mut self, object: &ObjectRef) {
        let id = Id { kind: super::manifest::Declared::Ours(object.kind), key: object.key.clone() };
        let Some(claim) = self.claims.get_mut(&id) else { return };
        claim.text = 0;
        if let Some(manifest) = self.manifests.get_mut(&claim.file) {
            manifest.read = None;
        }
    }

    /// The object is gone.
    pub fn remove(&mut self, id: &Id) {
        self.claims.remove(id);
    }

    /// Whether the place of a claim comes before another place: that one counts. What was created
    /// comes before what is declared.
    pub fn comes_before(&self, claim: &Claim, file: FileId, line: u32) -> bool {
        let rank = |file: FileId| self.manifests.get(&file).map(|manifest| &manifest.path);
        (rank(claim.file), claim.line) <= (rank(file), line)
    }

    /// A file declares an object that is in force by another place.
    pub fn add_rival(&mut self, id: &Id, file: FileId) {
        self.rivals.entry(id.clone()).or_default().insert(file);
    }

    /// The other files that declare an object.
    pub fn rivals(&self, id: &Id) -> impl Iterator<Item = FileId> {
        self.rivals.get(id).into_iter().flatten().copied()
    }

    /// A file is read again, or gone: it is nobody's rival.
    pub fn withdraw(&mut self, file: FileId) {
        self.rivals.retain(|_, files| {
            files.remove(&file);
            !files.is_empty()
        });
    }
}
