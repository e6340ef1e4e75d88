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
pub struct Manifest {
    /// Its signature in the last scan; `None` if it was missing.
    seen: Option<FileSignature>,
    /// Its signature when it was last read; `None` if it must be read again.
    pub read: Option<FileSignature>,
    /// Its logged problems.
    pub reported: ReportedProblems,
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

    /// The manifest of a path.
    pub fn at(&mut self, path: &Arc<Path>) -> &mut Manifest {
        self.0.entry(path.clone()).or_default()
    }

    /// Logs a problem of a file, once.
    pub fn report(&mut self, path: &Arc<Path>, problem: &Problem) {
        self.at(path).reported.report(path, problem);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::super::scan::scan;
    use super::*;

    struct Folder {
        directory: TempDir,
        manifests: Manifests,
    }

    impl Folder {
        fn with(text: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let folder = Self { directory, manifests: Manifests::default() };
            folder.write(text);
            folder
        }

        fn write(&self, text: &str) {
            fs::write(self.directory.path().join("a.yaml"), text).unwrap();
        }

        fn remove(&self) {
            fs::remove_file(self.directory.path().join("a.yaml")).unwrap();
        }

        /// The number of files to read and of deleted files, in a scan long after the last write.
        fn diff(&mut self) -> (usize, usize) {
            let later = SystemTime::now() + Duration::from_secs(3600);
            self.diff_of(&scan(self.directory.path(), &[]), later)
        }

        fn diff_of(&mut self, listing: &Listing, now: SystemTime) -> (usize, usize) {
            let (changed, deleted) = self.manifests.diff(listing, ReadWhen::Stable, now);
            (changed.len(), deleted.len())
        }
    }

    #[test]
    fn a_file_is_read_once_two_scans_find_it_the_same() {
        let mut folder = Folder::with("1");
        assert_eq!([folder.diff(), folder.diff(), folder.diff()], [(0, 0), (1, 0), (0, 0)]);
        folder.write("12");
        assert_eq!([folder.diff(), folder.diff(), folder.diff()], [(0, 0), (1, 0), (0, 0)]);
        let path = folder.directory.path().join("a.yaml").into();
        folder.manifests.at(&path).read = None;
        assert_eq!([folder.diff(), folder.diff()], [(1, 0), (0, 0)]);
    }

    #[test]
    fn a_file_just_written_is_read_again_until_no_change_can_be_missed() {
        let mut folder = Folder::with("1");
        let listing = scan(folder.directory.path(), &[]);
        let now = SystemTime::now();
        let (changed, _) = folder.manifests.diff(&listing, ReadWhen::Immediately, now);
        assert_eq!(changed.len(), 1);
        assert_eq!(folder.diff_of(&listing, now), (1, 0));
        assert_eq!([folder.diff(), folder.diff()], [(1, 0), (0, 0)]);
    }

    #[test]
    fn a_file_is_deleted_if_two_scans_miss_it_but_not_if_its_folder_cannot_be_read() {
        let mut folder = Folder::with("1");
        folder.diff();
        folder.remove();
        let path = folder.directory.path().to_path_buf();
        let error = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let hidden = Listing { unreadable: vec![(path.clone(), error)], ..Listing::default() };
        for _ in 0..3 {
            assert_eq!(folder.diff_of(&hidden, SystemTime::now()), (0, 0));
        }
        assert_eq!([folder.diff(), folder.diff()], [(0, 0), (0, 1)]);
        folder.manifests.remove(&path.join("a.yaml"));
        assert_eq!(folder.diff(), (0, 0));
    }
}
