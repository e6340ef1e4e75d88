//! `webhook-operator run`: the operator on a Kubernetes API server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use http::HeaderValue;
use ipnet::IpNet;

use super::options::{Addresses, ServeArgs, base_url};
use super::serve::{self, Parts, Running, control_runtime};
use super::signals;
use crate::app_token::Tokens;
use crate::moment::Moment;
use crate::peers::{Credentials, Name, Peers};
use crate::plan::decide::ListenerPolicy;
use crate::plan::endpoints::ManualEndpoints;
use crate::plan::identity::IdentityKey;
use crate::plan::{Reach, Settings};
use crate::source::kubernetes::{Kubernetes, Options};
use crate::source::{LocalTallies, PlanRunner, owners, pruning};
use crate::store::HistoryScope;

/// Flags of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Kubeconfig file [default: KUBECONFIG, ~/.kube/config, or the pod's ServiceAccount]
    #[arg(long, env = "WEBHOOK_OPERATOR_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Namespace of the operator's Lease and identity Secret [default: that of the pod, or of the
    /// kubeconfig]
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,
    /// Name of this replica in the Lease [default: the host name]
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pod_name: Option<String>,
    /// Peer ports (`--peer-addr`) of the operator's replicas, such as HOST:PORT of a headless Service;
    /// every address that a name resolves to is a replica, and this one may be among them. The
    /// delivery API merges the deliveries of all replicas [default: this replica only]
    #[arg(long, env = "WEBHOOK_OPERATOR_PEERS", value_delimiter = ',', value_name = "HOST:PORT")]
    peers: Vec<Name>,
    /// Namespaces to watch [default: all]
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_WATCH_NAMESPACES",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    watch_namespaces: Vec<String>,
    /// Directory of the queue: a volume of this replica that outlives its pod
    #[arg(long, env = "WEBHOOK_OPERATOR_DATA_DIR", value_name = "DIR", default_value = "./data")]
    data_dir: PathBuf,
    /// Address of the trigger port (public)
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_TRIGGER_ADDR",
        default_value = "0.0.0.0:8080",
        value_name = "ADDR"
    )]
    trigger_addr: SocketAddr,
    /// Address of the app API
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_APP_API_ADDR",
        default_value = "0.0.0.0:8081",
        value_name = "ADDR"
    )]
    app_api_addr: SocketAddr,
    /// Address of the admin port: probes, metrics and the delivery API
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_ADMIN_ADDR",
        default_value = "0.0.0.0:9090",
        value_name = "ADDR"
    )]
    admin_addr: SocketAddr,
    /// Port for other replicas, served if `--peers` is set: TLS with client certificates, so that only
    /// replicas with the same identity key can connect
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_PEER_ADDR",
        default_value = "0.0.0.0:9443",
        value_name = "ADDR"
    )]
    peer_addr: SocketAddr,
    /// Base URL of trigger URLs [default: http://<trigger-addr>]
    #[arg(long, env = "WEBHOOK_OPERATOR_EXTERNAL_URL", value_parser = base_url, value_name = "URL")]
    external_url: Option<String>,
    /// URL at which listeners reach the app API [default:
    /// http://webhook-operator-app-api.<namespace>.svc:<port>]
    #[arg(long, env = "WEBHOOK_OPERATOR_APP_API_URL", value_parser = base_url, value_name = "URL")]
    app_api_url: Option<String>,
    /// Allow `listener.url`: tenants may then use any address that the address policy permits
    #[arg(long, env = "WEBHOOK_OPERATOR_LISTENER_ALLOW_URL")]
    listener_allow_url: bool,
    /// Loopback, link-local or metadata networks in which listeners are allowed
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_LISTENER_ALLOW_CIDR",
        value_delimiter = ',',
        value_name = "CIDR"
    )]
    listener_allow_cidr: Vec<IpNet>,
    /// Also call endpoints that are not Pods selected by their Service: Services without a selector
    /// and EndpointSlices written by hand. Anyone who can write EndpointSlices in a namespace can
    /// then make the operator connect to any address that it permits, including Pods of other
    /// namespaces
    #[arg(long, env = "WEBHOOK_OPERATOR_LISTENER_ALLOW_MANUAL_ENDPOINTS")]
    listener_allow_manual_endpoints: bool,
    #[command(flatten)]
    serve: ServeArgs,
}

/// Serves until SIGTERM or SIGINT.
pub fn run(args: RunArgs) -> anyhow::Result<()> {
    control_runtime()?.block_on(serve(args))
}

async fn serve(args: RunArgs) -> anyhow::Result<()> {
    let stop = signals::stop()?;
    let kubernetes = Kubernetes::connect(options(&args)).await?;
    let identity = kubernetes.identity_key().await?;
    let me = HeaderValue::try_from(kubernetes.identity()).context("--pod-name")?;
    let queue = args.serve.queue.open(&args.data_dir)?;
    let peers = peers(&args, me, &identity, queue.scope())?;
    let bound = serve::bind(ports(&args, &peers), args.serve.threads())?;
    let ports = bound.addresses;
    let scheme = args.serve.tls.scheme();
    let tokens = Arc::new(Tokens::new(&identity));
    let listener_addresses = args.serve.addresses(&args.listener_allow_cidr);
    let settings = Settings {
        external_url: external_url(&args, scheme, ports.trigger),
        listeners: ListenerPolicy {
            allow_url: args.listener_allow_url,
            addresses: listener_addresses.clone(),
            reach: Reach::Endpoints,
            manual_endpoints: manual_endpoints(&args),
        },
        identity,
        key_sets: Arc::default(),
    };
    let runner = Arc::new(PlanRunner::new(settings, args.serve.metrics.table()));
    owners::restore(&runner, &*queue).await.context("cannot read the queue (--data-dir)")?;
    let own = Arc::new(LocalTallies::new(queue.clone(), runner.routes().clone()));
    let counting = args.serve.counting(Arc::new(kubernetes.tallies(own, &runner, &peers)));
    let mut source = kubernetes.start(&runner, counting, stop.clone());
    tokio::spawn(owners::record(runner.clone(), queue.clone(), source.synced(), Moment::now));
    tokio::spawn(pruning::prune(runner.clone(), queue.clone(), source.synced()));
    let parts = Parts {
        store: Arc::new(kubernetes.webhooks(&runner)),
        queue,
        runner,
        tokens,
        reviewer: Some(Arc::new(kubernetes.tokens())),
        access: Some(Arc::new(kubernetes.access())),
        peers,
        app_api_url: app_api_url(&args, kubernetes.namespace(), ports.app_api),
        listener_addresses,
        synced: source.synced(),
        leading: Some(source.leading()),
    };
    let server = Running::start(bound, &args.serve, parts, stop)?;
    serve::print_ready(scheme, ports);
    // If the source fails, the server must stop: it would serve outdated routes. When the source is
    // asked to stop, it releases the lease immediately, and the server still drains.
    let serving = async {
        server.finished().await;
        Ok(())
    };
    let watching = async { source.join().await.context("the watch of resources failed") };
    tokio::try_join!(serving, watching)?;
    Ok(())
}

/// The addresses to bind. The peer port is bound only if other replicas are asked.
fn ports(args: &RunArgs, peers: &Peers) -> Addresses {
    Addresses {
        trigger: args.trigger_addr,
        app_api: args.app_api_addr,
        admin: args.admin_addr,
        peer: (!peers.is_alone()).then_some(args.peer_addr),
    }
}

/// The other replicas, as far as a store of this scope needs them.
fn peers(
    args: &RunArgs,
    me: HeaderValue,
    identity: &IdentityKey,
    scope: HistoryScope,
) -> anyhow::Result<Arc<Peers>> {
    let credentials = Credentials::new(identity).context("--peers")?;
    let peers = Arc::new(Peers::new(args.peers.clone(), me, credentials)).for_history(scope);
    if peers.is_alone() && !args.peers.is_empty() {
        tracing::info!("--peers has no effect: the replicas share their store");
    }
    Ok(peers)
}

fn options(args: &RunArgs) -> Options {
    Options {
        kubeconfig: args.kubeconfig.clone(),
        namespace: args.namespace.clone(),
        watch_namespaces: args.watch_namespaces.clone(),
        pod: args.pod_name.clone(),
    }
}

fn manual_endpoints(args: &RunArgs) -> ManualEndpoints {
    if args.listener_allow_manual_endpoints {
        ManualEndpoints::Allowed
    } else {
        ManualEndpoints::Refused
    }
}

fn external_url(args: &RunArgs, scheme: &str, trigger: SocketAddr) -> String {
    args.external_url.clone().unwrap_or_else(|| {
        tracing::warn!(
            "--external-url is not set: trigger URLs contain the address of this replica"
        );
        format!("{scheme}://{trigger}")
    })
}

fn app_api_url(args: &RunArgs, namespace: &str, app_api: SocketAddr) -> String {
    let in_cluster =
        || format!("http://webhook-operator-app-api.{namespace}.svc:{}", app_api.port());
    args.app_api_url.clone().unwrap_or_else(in_cluster)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        run: RunArgs,
    }

    #[test]
    fn the_peer_port_is_bound_if_peers_are_named_and_the_store_is_not_shared() {
        let is_bound = |flags: &[&str], scope| {
            let args = Command::parse_from([&["run"], flags].concat()).run;
            let (me, identity) = (HeaderValue::from_static("a_1"), IdentityKey::new(&[7; 32]));
            let peers = peers(&args, me, &identity.unwrap(), scope).unwrap();
            assert_eq!(peers.me(), "a_1");
            let is_bound = ports(&args, &peers).peer.is_some();
            assert_eq!(is_bound, peers.server_tls().is_some() && !peers.is_alone());
            is_bound
        };
        let flags = &["--peers=operator:9443"];
        assert!(is_bound(flags, HistoryScope::ThisReplica));
        assert!(!is_bound(flags, HistoryScope::AllReplicas));
        assert!(!is_bound(&[], HistoryScope::ThisReplica));
    }
}
