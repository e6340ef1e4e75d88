//! Why a cluster cannot be used, in one line for people.

use super::call::CallError;

/// Why the operator cannot work with a cluster.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// It is not known where the cluster is, or how to log in.
    #[error("no cluster to connect to: {0}")]
    Configuration(String),
    /// There is no answer in time, or a refusal.
    #[error("no use of the API server at {server}: {why}")]
    Server {
        /// Its URL.
        server: String,
        /// What happened.
        why: CallError,
    },
    /// The custom resources are unknown.
    #[error(
        "the cluster at {0} does not know the resources of lenra.io/v1alpha1: run `webhook-operator crds | kubectl apply --server-side -f -`"
    )]
    NoDefinitions(
        /// URL of the API server.
        String,
    ),
    /// The identity Secret could not be read or made.
    #[error("Secret {secret}: {why}")]
    Secret {
        /// Its namespace and name.
        secret: String,
        /// What happened.
        why: CallError,
    },
    /// The identity Secret is there, but it is no key. It is never replaced: every URL hangs on it.
    #[error(
        "Secret {0} does not hold an identity key (32 bytes or more under `key`): restore it, or delete it to get new URLs"
    )]
    MalformedSecret(
        /// Its namespace and name.
        String,
    ),
    /// The system gives no randomness for a new key.
    #[error("the system gives no randomness for a new identity key")]
    NoRandomness,
}
