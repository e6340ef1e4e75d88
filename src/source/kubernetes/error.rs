//! Why a cluster cannot be used, in one line for the user.

use super::call::CallError;

/// Why the operator cannot work with a cluster.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// No cluster is configured, or the login is unknown.
    #[error("no cluster to connect to: {0}")]
    Configuration(String),
    /// The API server did not respond in time, or rejected the request.
    #[error("cannot use the API server at {server}: {why}")]
    Server {
        /// Its URL.
        server: String,
        /// The cause.
        why: CallError,
    },
    /// The CRDs are not installed.
    #[error(
        "the cluster at {0} does not know the resources of lenra.io/v1alpha1: run `webhook-operator crds | kubectl apply --server-side -f -`"
    )]
    NoDefinitions(
        /// URL of the API server.
        String,
    ),
    /// The identity Secret could not be read or created.
    #[error("Secret {secret}: {why}")]
    Secret {
        /// Its namespace and name.
        secret: String,
        /// The cause.
        why: CallError,
    },
    /// The identity Secret exists but holds no key. It is never replaced, because every URL is
    /// derived from it.
    #[error(
        "Secret {0} does not hold an identity key (32 bytes or more under `key`): restore it, or delete it to get new URLs"
    )]
    MalformedSecret(
        /// Its namespace and name.
        String,
    ),
    /// The operating system returned no random bytes for a new key.
    #[error("the operating system returned no random bytes for a new identity key")]
    NoRandomness,
}
