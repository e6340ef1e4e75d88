//! Files that are there as a whole or not at all; and, where it matters, after a power cut too.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the names of files begin with that are not finished.
const TEMPORARY: &str = ".tmp-";

/// How much a write outlives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of this process: enough for what can be worked out again.
    Process,
    /// A power cut.
    Power,
}

/// Whether a file is a leftover of a write that was cut off.
pub fn is_temporary(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
}

/// Writes a file in place of the one that may be there. Makes its directory where it is missing.
///
/// # Errors
/// Those of the system; the file is then as it was before.
pub fn write(path: &Path, text: &[u8], durability: Durability) -> io::Result<()> {
    let temporary = write_beside(path, text, 0o666, durability)?;
    let renamed = fs::rename(&temporary, path);
    if renamed.is_err() {
        // The error that counts is the first one.
        drop(fs::remove_file(&temporary));
    }
    renamed?;
    sync_parent(path, durability)
}

/// Writes a file that only its owner may read, unless there is one: then that one stays.
///
/// # Errors
/// Those of the system.
pub fn create_private(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = write_beside(path, text, 0o600, Durability::Power)?;
    // A link, unlike a rename, never takes the place of a file that another process just made.
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_parent(path, Durability::Power),
    }
}

/// Removes a file, for good. Returns whether it was there.
///
/// # Errors
/// Those of the system.
pub fn remove(path: &Path, durability: Durability) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path, durability).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes a directory and those above it.
///
/// # Errors
/// Those of the system.
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

/// Writes the text to a new file in the directory of `path`.
fn write_beside(
    path: &Path,
    text: &[u8],
    mode: u32,
    durability: Durability,
) -> io::Result<PathBuf> {
    let (temporary, mut file) = match open_beside(path, mode) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_directory(parent(path), durability)?;
            open_beside(path, mode)?
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

fn open_beside(path: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let temporary = parent(path).join(format!("{TEMPORARY}{}-{count}", std::process::id()));
    let mut options = OpenOptions::new();
    // Not `create_new`: a leftover of a process that had our id is of no use to anybody.
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
