//! Atomic file operations: a file exists completely or not at all, where needed even after a power
//! failure.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Prefix of the names of temporary files.
const TEMPORARY: &str = ".tmp-";

/// Which failures a write survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of this process. Enough for files that can be recomputed.
    Process,
    /// A power failure.
    Power,
}

/// Whether a file was left behind by an interrupted write.
pub fn is_temporary(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
}

/// Writes or replaces a file. Creates its directory if it is missing.
///
/// # Errors
/// I/O errors. The previous file is then unchanged.
pub fn write(path: &Path, text: &[u8], durability: Durability) -> io::Result<()> {
    let temporary = write_temporary(path, text, 0o666, durability)?;
    let renamed = fs::rename(&temporary, path);
    if renamed.is_err() {
        // The first error is the relevant one.
        drop(fs::remove_file(&temporary));
    }
    renamed?;
    sync_parent(path, durability)
}

/// Creates a file that only its owner may read. An existing file is kept.
///
/// # Errors
/// I/O errors.
pub fn create_private(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = write_temporary(path, text, 0o600, Durability::Power)?;
    // Unlike a rename, a link never replaces a file that another process has just created.
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_parent(path, Durability::Power),
    }
}

/// Removes a file durably. Returns whether it existed.
///
/// # Errors
/// I/O errors.
pub fn remove(path: &Path, durability: Durability) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path, durability).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates a directory and its parents.
///
/// # Errors
/// I/O errors.
pub fn make_directory(path: &Path, durability: Durability) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directory(parent, durability)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_parent(path, durability),
    }
}

/// Writes the text to a new temporary file in the directory of `path`.
fn write_temporary(
    path: &Path,
    text: &[u8],
    mode: u32,
    durability: Durability,
) -> io::Result<PathBuf> {
    let (temporary, mut file) = match open_temporary(path, mode) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_directory(parent(path), durability)?;
            open_temporary(path, mode)?
        }
        opened => opened?,
    };
    let written = file.write_all(text).and_then(|()| match durability {
        Durability::Process => Ok(()),
        Durability::Power => file.sync_all(),
    });
    match written {
        Ok(()) => Ok(temporary),
        Err(error) => {
            drop(fs::remove_file(&temporary));
            Err(error)
        }
    }
}

fn open_temporary(path: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let temporary = parent(path).join(format!("{TEMPORARY}{}-{count}", std::process::id()));
    let mut options = OpenOptions::new();
    // Not `create_new`: a leftover of an earlier process with the same id is overwritten.
    let file = options.write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
    Ok((temporary, file))
}

fn sync_parent(path: &Path, durability: Durability) -> io::Result<()> {
    match durability {
        Durability::Process => Ok(()),
        Durability::Power => File::open(parent(path))?.sync_all(),
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_replaced_and_removed_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        for durability in [Durability::Process, Durability::Power] {
            let path = directory.path().join(format!("{durability:?}/b/c.yaml"));
            write(&path, b"1", durability).unwrap();
            write(&path, b"2", durability).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"2");
            assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
            assert!(remove(&path, durability).unwrap());
            assert!(!remove(&path, durability).unwrap());
        }
    }

    #[test]
    fn a_private_file_that_is_there_stays() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        create_private(&path, b"first").unwrap();
        create_private(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(write(&path, b"x", Durability::Process).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
