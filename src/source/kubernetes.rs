//! A cluster as the source: watches what is served, and writes statuses where the lease is held.
//!
//! [`Kubernetes::connect`], then [`Kubernetes::identity_key`] for the brain, then
//! [`Kubernetes::start`]. What is served is served from the brain: an API server that is away
//! stops changes, not triggers.

mod access;
mod backoff;
mod call;
mod client_permits;
mod connect;
mod error;
mod events;
mod identity;
mod kinds;
mod leader;
mod lease;
mod presented;
mod raw;
mod remembered;
mod reviews;
mod running;
mod secrets;
mod services;
mod statuses;
mod summed;
mod token_answers;
mod tokens;
mod watch;
mod webhooks;

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderValue;
use kube::{Client, Config};
use tokio::sync::watch::Receiver;

pub use access::Access;
pub(crate) use call::{CallError, call, describe};
pub(crate) use connect::authorization;
pub use error::KubernetesError;
pub(crate) use lease::DURATION_SECONDS;
pub use running::Running;
pub use summed::SummedTallies;
pub(crate) use tokens::AUDIENCE;
pub use tokens::Tokens;
pub use webhooks::Webhooks;

use super::{Brain, Counting, Tallies};
use crate::peers::Peers;
use crate::plan::identity::IdentityKey;

/// Name of the lease, and the `app.kubernetes.io/name` of what the operator makes for itself.
pub(crate) const NAME: &str = "webhook-operator";

/// Name of the Secret that holds the identity key.
const IDENTITY_SECRET: &str = "webhook-operator-identity";

/// How to reach a cluster, and which part of it is served.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A kubeconfig file. Without it: `KUBECONFIG`, `~/.kube/config`, or the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// Where the lease and the identity Secret are. Without it: the namespace of the kubeconfig
    /// or of the pod.
    pub namespace: Option<String>,
    /// The namespaces that are served; empty: all.
    pub watch_namespaces: Vec<String>,
    /// The pod's name, for the lease's holder to be recognized.
    pub pod: Option<String>,
}

/// A connection to a cluster.
pub struct Kubernetes {
    client: Client,
    config: Config,
    /// The operator's own namespace.
    namespace: String,
    /// Sorted, each once; empty: all.
    watch_namespaces: Vec<String>,
    /// Who events are from.
    pod: String,
    /// Who this process is among the replicas.
    identity: String,
}

impl Kubernetes {
    /// Connects, and makes sure that there is a cluster that has the operator's resources.
    /// Takes at most 5 seconds.
    ///
    /// # Errors
    /// When there is no API server, it refuses, or the CRDs are not installed: one line for people.
    pub async fn connect(options: Options) -> Result<Self, KubernetesError> {
        let Options { kubeconfig, namespace, mut watch_namespaces, pod } = options;
        let (client, config) = connect::connect(kubeconfig.as_deref()).await?;
        watch_namespaces.sort();
        watch_namespaces.dedup();
        let pod = pod.unwrap_or_else(|| NAME.to_owned());
        Ok(Self {
            namespace: namespace.unwrap_or_else(|| client.default_namespace().to_owned()),
            watch_namespaces,
            // A pod's name comes back when a StatefulSet or a node restarts it; its lease does not.
            identity: format!("{pod}_{}", uuid::Uuid::new_v4().simple()),
            pod,
            client,
            config,
        })
    }

    /// The operator's own namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Who this process is among the replicas: the pod's name, `_`, and what no other process has.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The key of all derived UUIDs: read from its Secret, which is made when there is none.
    ///
    /// # Errors
    /// When the API server fails or refuses, or the Secret does not hold a key.
    pub async fn identity_key(&self) -> Result<IdentityKey, KubernetesError> {
        identity::read_or_create(&self.client, &self.namespace).await
    }

    /// Makes and deletes webhooks; waits for `brain` to know it.
    pub fn webhooks(&self, brain: &Arc<Brain>) -> Webhooks {
        Webhooks::new(self.client.clone(), Arc::clone(brain))
    }

    /// Asks whom tokens belong to.
    pub fn tokens(&self) -> Tokens {
        Tokens::new(self.client.clone())
    }

    /// Asks who calls, and what callers may do.
    pub fn access(&self) -> Access {
        Access::new(self.client.clone())
    }

    /// The header by which this process says who it is, to the API server and to other replicas; `None` where
    /// it has no token.
    ///
    /// # Errors
    /// When the login fails.
    pub async fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        authorization(&self.config).await
    }

    /// Adds up what all replicas have counted, `own` being what this one has.
    pub fn tallies(
        &self,
        own: Arc<dyn Tallies>,
        brain: &Arc<Brain>,
        peers: &Arc<Peers>,
    ) -> SummedTallies {
        let namespaces = self.watch_namespaces.clone();
        SummedTallies::new(own, brain.clone(), peers.clone(), self.config.clone(), namespaces)
    }

    /// Begins to watch, and to compete for the lease until `stop` turns true; who holds it writes what
    /// is counted.
    pub fn start(&self, brain: &Arc<Brain>, counting: Counting, stop: Receiver<bool>) -> Running {
        running::start(self, brain, counting, stop)
    }
}
