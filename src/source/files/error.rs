//! Why the folder or the data directory cannot be used.

use std::io;
use std::path::PathBuf;

/// One line for the user, with the path.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The manifests cannot be listed.
    #[error("cannot read the manifests directory {}: {error}", path.display())]
    Manifests {
        /// The directory.
        path: PathBuf,
        /// The I/O error.
        error: io::Error,
    },
    /// The data directory cannot be created, read or written.
    #[error("cannot use the data directory: {}: {error}", path.display())]
    Data {
        /// The directory or a path in it.
        path: PathBuf,
        /// The I/O error.
        error: io::Error,
    },
    /// Another process uses the data directory.
    #[error("the data directory {} is in use by another webhook-operator", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The identity key cannot be read or created.
    #[error("cannot use the identity key {}: {why}", path.display())]
    IdentityKey {
        /// Its file.
        path: PathBuf,
        /// The problem. Contains no part of the key.
        why: String,
    },
}
