//! A cluster, the replicas of its operator, and the credentials of the caller.

use anyhow::{Context, anyhow, bail};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use super::reach::{ReachArgs, bearer};
use super::replica::Replica;
use super::way::Way;
use crate::plan::Key;
use crate::source::kubernetes::{AUDIENCE, authorization, call, describe};

/// Label selector of the operator's pods, as the chart sets it.
const PODS: &str = "app.kubernetes.io/name=webhook-operator";

/// A port of the operator's pods.
pub struct Port {
    /// Its name in the chart.
    name: &'static str,
    /// Its number, for pods that do not name it.
    default: u16,
}

/// The admin port.
pub const ADMIN: Port = Port { name: "admin", default: 9090 };

/// The trigger port.
pub const TRIGGER: Port = Port { name: "trigger", default: 8080 };

/// Lifetime of a token created for a call: the minimum of the TokenRequest API.
const TOKEN_SECONDS: i64 = 600;

/// A cluster, accessed through the caller's kubeconfig.
#[derive(Clone)]
pub struct Cluster {
    /// A client with the caller's permissions.
    pub client: Client,
    config: Config,
}

impl Cluster {
    /// The cluster that the flags name; `None` if no flag names one and no kubeconfig exists.
    pub async fn find(args: &ReachArgs) -> anyhow::Result<Option<Self>> {
        let Some(config) = config(args).await? else { return Ok(None) };
        let client = Client::try_from(config.clone()).map_err(|error| anyhow!(describe(&error)))?;
        Ok(Some(Self { client, config }))
    }

    /// The namespace of the kubeconfig's context.
    pub fn namespace(&self) -> &str {
        &self.config.default_namespace
    }

    /// The pods of the operator, including those that do not run.
    pub async fn pods(&self, args: &ReachArgs) -> anyhow::Result<Vec<Pod>> {
        let pods = self.pods_of(&args.operator_namespace);
        let found = call(pods.list(&ListParams::default().labels(PODS))).await;
        let server = &self.config.cluster_url;
        let found =
            found.with_context(|| format!("cannot list the operator's pods at {server}"))?;
        Ok(found.items)
    }

    /// The running pods of the operator.
    pub async fn replicas(&self, args: &ReachArgs) -> anyhow::Result<Vec<Replica>> {
        let own = authorization(&self.config).await;
        let own = own.map_err(|why| anyhow!("the kubeconfig's login failed: {why}"))?;
        let pods = self.pods(args).await?;
        let authorization = match (&args.token, &args.service_account) {
            (Some(token), _) => bearer(token)?,
            (None, Some(account)) => bearer(&token_of(&self.client, account).await?)?,
            (None, None) => own.context(
                "the kubeconfig has no token for the delivery API: set --token, or --service-account NAMESPACE/NAME to create one",
            )?,
        };
        let replicas = self.ways(&pods, args, &ADMIN)?.into_iter().map(|(name, way)| Replica {
            name,
            way,
            authorization: Some(authorization.clone()),
        });
        Ok(replicas.collect())
    }

    /// Connections to a port of each running pod of the operator, with the pods' names.
    pub fn ways(
        &self,
        pods: &[Pod],
        args: &ReachArgs,
        port: &Port,
    ) -> anyhow::Result<Vec<(String, Way)>> {
        let namespace = &args.operator_namespace;
        let api = self.pods_of(namespace);
        let running = pods.iter().filter(|pod| is_running(pod));
        let ways = running.filter_map(|pod| {
            let name = pod.metadata.name.clone()?;
            let way =
                Way::Pod { pods: Box::new(api.clone()), name: name.clone(), port: port.of(pod) };
            Some((name, way))
        });
        let ways: Vec<_> = ways.collect();
        if ways.is_empty() {
            bail!(
                "no pod of the operator is running in the namespace {namespace} (--operator-namespace)"
            );
        }
        Ok(ways)
    }

    fn pods_of(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

async fn config(args: &ReachArgs) -> anyhow::Result<Option<Config>> {
    let context = args.context.clone();
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    let kubeconfig = match &args.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    match kubeconfig {
        Ok(kubeconfig) => Ok(Some(Config::from_custom_kubeconfig(kubeconfig, &options).await?)),
        Err(error) if args.kubeconfig.is_some() || args.context.is_some() => Err(error.into()),
        // KUBECONFIG names a file that cannot be read: an error. The default file may be missing.
        Err(error) if std::env::var_os("KUBECONFIG").is_some() => Err(error).context("KUBECONFIG"),
        Err(_) => Ok(Config::incluster().ok()),
    }
}

/// A token for the audience of the operator only.
async fn token_of(client: &Client, account: &Key) -> anyhow::Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &account.namespace);
    let spec = TokenRequestSpec {
        audiences: vec![AUDIENCE.into()],
        expiration_seconds: Some(TOKEN_SECONDS),
        ..TokenRequestSpec::default()
    };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let parameters = PostParams::default();
    let made = call(accounts.create_token_request(&account.name, &parameters, &request)).await;
    let made =
        made.with_context(|| format!("cannot create a token for the ServiceAccount {account}"))?;
    Ok(made.status.context("the API server returned no token")?.token)
}

/// Whether the pod's containers have started.
pub fn is_running(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Running")
}

impl Port {
    fn of(&self, pod: &Pod) -> u16 {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
        let port = ports.find(|port| port.name.as_deref() == Some(self.name));
        port.and_then(|port| u16::try_from(port.container_port).ok()).unwrap_or(self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(phase: &str, ports: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "webhook-operator-0"},
            "spec": {"containers": [{"name": "sidecar"}, {"name": "operator", "ports": ports}]},
            "status": {"phase": phase},
        }))
        .unwrap()
    }

    #[test]
    fn the_admin_port_is_the_one_that_the_pod_calls_so() {
        let ports = json!([
            {"name": "trigger", "containerPort": 8080}, {"name": "admin", "containerPort": 9191},
        ]);
        assert_eq!(ADMIN.of(&pod("Running", ports)), 9191);
        assert_eq!(ADMIN.of(&pod("Running", json!([]))), 9090);
        assert!(is_running(&pod("Running", json!([]))));
        assert!(!is_running(&pod("Pending", json!([]))));
    }
}
