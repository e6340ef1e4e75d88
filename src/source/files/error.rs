//! Why the folder or the data directory cannot be used.

use std::io;
use std::path::PathBuf;

/// Each is one line that says which path is at fault.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The manifests cannot be listed.
    #[error("cannot read the manifests directory {}: {error}", path.display())]
    Manifests {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The data directory cannot be made, read or written.
    #[error("cannot use the data directory: {}: {error}", path.display())]
    Data {
        /// The directory or a path in it.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another process has the data directory.
    #[error("the data directory {} is in use by another webhook-operator", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The identity key cannot be read or made.
    #[error("cannot use the identity key {}: {why}", path.display())]
    IdentityKey {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it; never a part of it.
        why: String,
    },
}
