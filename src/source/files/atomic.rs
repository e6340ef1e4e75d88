//! Atomic file operations: a file exists completely or not at all, where needed even after a power
//! failure.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

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
    write_temporary(path, text, 0o666, durability)?.persist(path)?;
    sync_parent(path, durability)
}

/// Creates a file that only its owner may read. An existing file is kept, even one that another
/// process has just created.
///
/// # Errors
/// I/O errors.
pub fn create_private(path: &Path, text: &[u8]) -> io::Result<()> {
    match write_temporary(path, text, 0o600, Durability::Power)?.persist_noclobber(path) {
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => Err(failed.error),
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
) -> io::Result<NamedTempFile> {
    let directory = parent(path);
    let create = || {
        let permissions = Permissions::from_mode(mode);
        tempfile::Builder::new().prefix(TEMPORARY).permissions(permissions).tempfile_in(directory)
    };
    let mut file = match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_directory(directory, durability)?;
            create()?
        }
        created => created?,
    };
    file.write_all(text)?;
    if durability == Durability::Power {
        file.as_file().sync_all()?;
    }
    Ok(file)
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
