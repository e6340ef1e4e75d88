//! Resources in a cluster: watches them, and writes statuses while holding the lease.
//!
//! Call [`Kubernetes::connect`], then [`Kubernetes::identity_key`] for the runner, then
//! [`Kubernetes::start`]. Triggers are served from the runner, so an unreachable API server delays
//! changes but does not affect triggers.

mod access;
mod aggregate;
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
mod reviews;
mod running;
mod secrets;
mod services;
mod statuses;
mod token_cache;
mod tokens;
mod ttl_cache;
mod watch;
mod webhooks;

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderValue;
use kube::{Client, Config};
use tokio::sync::watch::Receiver;

pub use access::Access;
pub use aggregate::AggregatedTallies;
pub(crate) use call::{CallError, call, describe};
pub(crate) use connect::authorization;
pub use error::KubernetesError;
pub(crate) use lease::DURATION_SECONDS;
pub use running::Running;
pub(crate) use tokens::AUDIENCE;
pub use tokens::ServiceAccountTokens;
pub use webhooks::ClusterWebhooks;

use super::{Counting, PlanRunner, Tallies};
use crate::peers::Peers;
use crate::plan::identity::IdentityKey;

/// Name of the lease, and `app.kubernetes.io/name` of the objects that the operator creates.
pub(crate) const NAME: &str = "webhook-operator";

/// Name of the Secret that holds the identity key.
const IDENTITY_SECRET: &str = "webhook-operator-identity";

/// How to reach the cluster, and which namespaces to serve.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A kubeconfig file. Default: `KUBECONFIG`, `~/.kube/config`, or the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// The namespace of the lease and of the identity Secret. Default: the namespace of the
    /// kubeconfig or of the pod.
    pub namespace: Option<String>,
    /// The namespaces to serve; empty: all.
    pub watch_namespaces: Vec<String>,
    /// The pod's name, shown in the holder identity of the lease.
    pub pod: Option<String>,
}

/// A connection to a cluster.
pub struct Kubernetes {
    client: Client,
    config: Config,
    /// The operator's own namespace.
    namespace: String,
    /// Sorted, without duplicates; empty: all.
    watch_namespaces: Vec<String>,
    /// The reporting instance of Events.
    pod: String,
    /// Identifies this process among the replicas.
    identity: String,
}

impl Kubernetes {
    /// Connects, and checks that the cluster has the operator's CRDs. Takes at most 5 seconds.
    ///
    /// # Errors
    /// If the API server is unreachable or rejects the request, or the CRDs are not installed: one
    /// line for the user.
    pub async fn connect(options: Options) -> Result<Self, KubernetesError> {
        let Options { kubeconfig, namespace, mut watch_namespaces, pod } = options;
        let (client, config) = connect::connect(kubeconfig.as_deref()).await?;
        watch_namespaces.sort();
        watch_namespaces.dedup();
        let pod = pod.unwrap_or_else(|| NAME.to_owned());
        Ok(Self {
            namespace: namespace.unwrap_or_else(|| client.default_namespace().to_owned()),
            watch_namespaces,
            // A restarted pod of a StatefulSet has the same name. The suffix keeps the new process
            // from using the lease of the old one.
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

    /// Identifies this process among the replicas: the pod's name, `_`, and a random UUID.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The key from which UUIDs are derived, read from its Secret. Creates the Secret if it is
    /// missing.
    ///
    /// # Errors
    /// If the API server fails or rejects the request, or the Secret holds no key.
    pub async fn identity_key(&self) -> Result<IdentityKey, KubernetesError> {
        identity::read_or_create(&self.client, &self.namespace).await
    }

    /// Creates and deletes webhooks, and waits until `runner` has applied the change.
    pub fn webhooks(&self, runner: &Arc<PlanRunner>) -> ClusterWebhooks {
        ClusterWebhooks::new(self.client.clone(), Arc::clone(runner))
    }

    /// Authenticates ServiceAccount tokens.
    pub fn tokens(&self) -> ServiceAccountTokens {
        ServiceAccountTokens::new(self.client.clone())
    }

    /// Authenticates and authorizes callers of the delivery API.
    pub fn access(&self) -> Access {
        Access::new(self.client.clone())
    }

    /// The `Authorization` header of this process for the API server and for other replicas; `None`
    /// if it has no token.
    ///
    /// # Errors
    /// If the login fails.
    pub async fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        authorization(&self.config).await
    }

    /// Adds up the counts of all replicas; `own` are those of this one.
    pub fn tallies(
        &self,
        own: Arc<dyn Tallies>,
        runner: &Arc<PlanRunner>,
        peers: &Arc<Peers>,
    ) -> AggregatedTallies {
        let namespaces = self.watch_namespaces.clone();
        AggregatedTallies::new(own, runner.clone(), peers.clone(), self.config.clone(), namespaces)
    }

    /// Starts the watches, and competes for the lease until `stop` turns true. The holder of the
    /// lease writes statuses, including delivery counts.
    pub fn start(
        &self,
        runner: &Arc<PlanRunner>,
        counting: Counting,
        stop: Receiver<bool>,
    ) -> Running {
        running::start(self, runner, counting, stop)
    }
}
