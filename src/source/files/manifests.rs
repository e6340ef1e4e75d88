//! The manifests of the folder: which were read, and which have to be read. Pure.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::desired::Paths;
use super::problems::{Problem, ReportedProblems};
use super::scan::{FileSignature, Listing};

/// When a changed file is read. Waiting until it looks the same in two scans avoids reading one
/// that is half written or about to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadWhen {
    /// In the scan that finds the change.
    Immediately,
    /// In the first scan that finds the file as the one before did.
    Stable,
}

/// A manifest.
#[derive(Debug, Default)]
struct Manifest {
    /// Its signature in the last scan; `None` if it was missing.
    seen: Option<FileSignature>,
    /// Its signature when it was last read; `None` if it must be read again.
    read: Option<FileSignature>,
    /// Its logged problems.
    reported: ReportedProblems,
}

/// The known manifests.
#[derive(Debug, Default)]
pub struct Manifests(BTreeMap<Arc<Path>, Manifest>);

impl Manifests {
    /// Compares a listing with the files read before. Returns the files to read, and the deleted
    /// files. A file is deleted if two scans in a row do not find it.
    pub fn diff(
        &mut self,
        listing: &Listing,
        read_when: ReadWhen,
        now: SystemTime,
    ) -> (Paths, Paths) {
        let (mut changed, mut deleted) = (Paths::new(), Paths::new());
        for (path, signature) in &listing.files {
            let entry = self.0.entry(path.as_path().into());
            let path = entry.key().clone();
            let manifest = entry.or_default();
            let is_stable = manifest.seen.replace(*signature) == Some(*signature);
            if manifest.read != Some(*signature)
                && (is_stable || read_when == ReadWhen::Immediately)
            {
                manifest.read = Some(*signature).filter(|signature| signature.is_settled(now));
                changed.insert(path);
            }
        }
        for (path, manifest) in &mut self.0 {
            let is_missing = !listing.contains(path) && !listing.is_unreadable(path);
            if is_missing && manifest.seen.take().is_none() {
                deleted.insert(path.clone());
            }
        }
        (changed, deleted)
    }

    /// Removes a deleted file.
    pub fn remove(&mut self, path: &Path) {
        self.0.remove(path);
    }

    /// Marks a file to be read in the next scan.
    pub fn read_again(&mut self, path: &Path) {
        if let Some(manifest) = self.0.get_mut(path) {
            manifest.read = None;
        }
    }

    /// The file is read: problems that are not reported before `end` are solved.
    pub fn begin(&mut self, path: &Path) {
        if let Some(manifest) = self.0.get_mut(path) {
            manifest.reported.begin();
        }
    }

    /// The file was read.
    pub fn end(&mut self, path: &Path) {
        if let Some(manifest) = self.0.get_mut(path) {
            manifest.reported.end();
        }
    }

    /// Logs a problem of a file, once.
    pub fn report(&mut self, path: &Path, problem: &Problem) {
        if let Some(manifest) = self.0.get_mut(path) {
            manifest.reported.report(path, problem);
        }
    }
}
