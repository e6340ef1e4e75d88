//! Lists the manifests of a folder, and detects changed files.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use walkdir::{DirEntry, WalkDir};

/// Attributes that change when a file is written. A symbolic link has those of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSignature {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Two writes within this time may result in the same timestamp.
const TIMESTAMP_GRANULARITY: Duration = Duration::from_secs(1);

impl FileSignature {
    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: inode(metadata),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether any change after `now` results in another signature.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        let seconds = u64::try_from(self.changed.0).unwrap_or(0);
        let nanos = u32::try_from(self.changed.1).unwrap_or(0);
        let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        // If the clock is behind, the age is unknown. A file must not be read again for ever
        // because of that.
        let age = now.duration_since(changed).unwrap_or_else(|ahead| ahead.duration());
        age > TIMESTAMP_GRANULARITY
    }
}

/// Identifies a file or directory, whatever path leads to it.
fn inode(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// The contents of a folder.
#[derive(Debug, Default)]
pub struct Listing {
    /// The manifests, ordered by path.
    pub files: Vec<(PathBuf, FileSignature)>,
    /// Unreadable paths and their errors. Known manifests below them may still exist.
    pub unreadable: Vec<(PathBuf, io::Error)>,
}

impl Listing {
    /// Whether a path is a manifest.
    pub fn contains(&self, path: &Path) -> bool {
        self.files.binary_search_by(|(listed, _)| listed.as_path().cmp(path)).is_ok()
    }

    /// Whether a path is unreadable, or below an unreadable folder.
    pub fn is_unreadable(&self, path: &Path) -> bool {
        self.unreadable.iter().any(|(hidden, _)| path.starts_with(hidden))
    }
}

/// Lists a folder and its subfolders. Skips hidden entries and the `excluded` directories. Each
/// directory is visited once, even if several links lead to it.
pub fn scan(folder: &Path, excluded: &[PathBuf]) -> Listing {
    let mut listing = Listing::default();
    if let Err(error) = fs::read_dir(folder) {
        listing.unreadable.push((folder.into(), error));
        return listing;
    }
    let excluded = excluded.iter().filter_map(|path| fs::metadata(path).ok());
    let mut visited: HashSet<(u64, u64)> = excluded.map(|metadata| inode(&metadata)).collect();
    let is_wanted = |entry: &DirEntry| match entry.file_type().is_dir() {
        _ if entry.depth() > 0 && is_hidden(entry.path()) => false,
        // Without its attributes, a directory cannot be read either: that is an error.
        true => entry.metadata().map_or(true, |metadata| visited.insert(inode(&metadata))),
        false => is_manifest(entry.path()),
    };
    // Sorted, so that of several links to a directory the same one is followed each time.
    let walk = WalkDir::new(folder).follow_links(true).sort_by_file_name();
    for entry in walk.into_iter().filter_entry(is_wanted) {
        match entry.and_then(|entry| Ok((entry.metadata()?, entry))) {
            Ok((metadata, entry)) if metadata.is_file() => {
                listing.files.push((entry.into_path(), FileSignature::of(&metadata)));
            }
            // A directory or a special file.
            Ok(_) => {}
            Err(error) => listing.unreadable.extend(unreadable(error, folder)),
        }
    }
    listing.files.sort_by(|a, b| a.0.cmp(&b.0));
    listing
}

/// The path that an error hides; `None` if the path does not exist or would not be read.
fn unreadable(error: walkdir::Error, folder: &Path) -> Option<(PathBuf, io::Error)> {
    let path = error.path().unwrap_or(folder).to_path_buf();
    // There is no I/O error if a link leads to a directory above it.
    let error = error.into_io_error()?;
    let is_cyclic = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    let is_absent = error.kind() == io::ErrorKind::NotFound || is_cyclic || is_hidden(&path);
    (path == folder || !is_absent).then_some((path, error))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path, excluded: &[PathBuf]) -> Vec<String> {
        let files = scan(folder, excluded).files.into_iter();
        let name = |path: PathBuf| path.strip_prefix(folder).unwrap().display().to_string();
        files.map(|(path, _)| name(path)).collect()
    }

    fn put(folder: &Path, path: &str) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    #[test]
    fn manifests_are_listed_by_path_without_hidden_and_other_files() {
        let directory = tempfile::tempdir().unwrap();
        for path in ["b.yaml", "a/z.yml", "a/y.JSON", "a.yaml", "c.txt", ".d.yaml", ".e/f.yaml"] {
            put(directory.path(), path);
        }
        fs::create_dir(directory.path().join("dir.yaml")).unwrap();
        assert_eq!(names(directory.path(), &[]), ["a/y.JSON", "a/z.yml", "a.yaml", "b.yaml"]);
    }

    #[test]
    fn a_mounted_config_map_is_read_once_and_its_swap_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        put(directory.path(), "..2026_01/app.yaml");
        put(directory.path(), "..2026_02/app.yaml");
        symlink("..2026_01", at("..data")).unwrap();
        symlink("..data/app.yaml", at("app.yaml")).unwrap();
        let before = scan(directory.path(), &[]).files;
        assert_eq!(before.len(), 1);
        symlink("..2026_02", at("..next")).unwrap();
        fs::rename(at("..next"), at("..data")).unwrap();
        let after = scan(directory.path(), &[]).files;
        assert_eq!(after[0].0, before[0].0);
        assert_ne!(after[0].1, before[0].1);
    }

    #[test]
    fn links_that_lead_round_or_nowhere_do_no_harm() {
        let directory = tempfile::tempdir().unwrap();
        put(directory.path(), "a/b.yaml");
        symlink("..", directory.path().join("a/up")).unwrap();
        symlink("a", directory.path().join("again")).unwrap();
        symlink("self.yaml", directory.path().join("self.yaml")).unwrap();
        symlink("nowhere", directory.path().join("c.yaml")).unwrap();
        assert_eq!(names(directory.path(), &[]), ["a/b.yaml"]);
    }

    #[test]
    fn excluded_directories_are_left_out_however_they_are_written() {
        let directory = tempfile::tempdir().unwrap();
        put(directory.path(), "a.yaml");
        put(directory.path(), "data/status/webhook/x/y.yaml");
        let status = directory.path().join("data/../data/status");
        assert_eq!(names(directory.path(), &[status, "not/there".into()]), ["a.yaml"]);
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_named_and_hides_what_is_below_it() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        let listing = scan(&missing, &[]);
        assert_eq!(listing.unreadable.len(), 1);
        assert!(listing.is_unreadable(&missing.join("a.yaml")));
        assert!(!listing.is_unreadable(directory.path()));
    }

    #[test]
    fn a_file_just_written_may_change_without_a_trace() {
        let directory = tempfile::tempdir().unwrap();
        put(directory.path(), "a.yaml");
        let signature = scan(directory.path(), &[]).files[0].1;
        let now = SystemTime::now();
        assert!(!signature.is_settled(now));
        assert!(signature.is_settled(now + Duration::from_secs(3)));
        assert!(signature.is_settled(now - Duration::from_secs(3600)));
    }
}
