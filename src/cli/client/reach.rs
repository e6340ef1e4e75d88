//! Access to the delivery API: at a URL, or at each replica of an operator in a cluster.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use http::HeaderValue;

use super::cluster::Cluster;
use super::replica::Replica;
use super::way::Way;
use crate::cli::options::base_url;
use crate::plan::Key;

/// Default URL of the delivery API of `standalone`.
const STANDALONE: &str = "http://127.0.0.1:9090";

/// Flags for access to the delivery API.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where")]
pub struct ReachArgs {
    /// URL of an admin port [default: the operator in the kubeconfig's cluster; without a
    /// kubeconfig http://127.0.0.1:9090, the default of standalone]
    #[arg(long, env = "WEBHOOK_OPERATOR_SERVER", value_parser = base_url, value_name = "URL", conflicts_with_all = ["kubeconfig", "context"])]
    pub server: Option<String>,
    /// Kubeconfig file [default: KUBECONFIG, ~/.kube/config, or the pod's ServiceAccount]
    #[arg(long, env = "WEBHOOK_OPERATOR_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current context]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace of the operator
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_NAMESPACE",
        default_value = "webhook-operator",
        value_name = "NAME"
    )]
    pub operator_namespace: String,
    /// Bearer token for the delivery API [default: that of the kubeconfig]
    #[arg(long, env = "WEBHOOK_OPERATOR_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// ServiceAccount to call as, with a token that is created for this call
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = crate::cli::options::key, conflicts_with_all = ["token", "server"])]
    pub service_account: Option<Key>,
}

/// Flags that select namespaces.
#[derive(Debug, Args)]
pub struct ScopeArgs {
    /// Namespace of the webhooks [default: that of the kubeconfig's context; with a server, all]
    #[arg(short, long, value_name = "NAME", conflicts_with = "all_namespaces")]
    pub namespace: Option<String>,
    /// Webhooks of all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
}

/// The replicas of an operator.
#[derive(Debug)]
pub struct Operator {
    /// Its replicas.
    pub replicas: Vec<Replica>,
    /// The namespace of the kubeconfig's context, in a cluster.
    default_namespace: Option<String>,
}

impl Operator {
    /// Discovers the operator that the flags name.
    pub async fn find(args: &ReachArgs) -> anyhow::Result<Self> {
        if let Some(server) = &args.server {
            return Self::at(server, args);
        }
        match Cluster::find(args).await? {
            Some(cluster) => Self::of(&cluster, args).await,
            None => Self::at(STANDALONE, args),
        }
    }

    /// The operator in a cluster.
    pub async fn of(cluster: &Cluster, args: &ReachArgs) -> anyhow::Result<Self> {
        let replicas = cluster.replicas(args).await?;
        Ok(Self { replicas, default_namespace: Some(cluster.namespace().to_owned()) })
    }

    /// The operator at the URL that the flags name, or on this machine.
    pub fn standalone(args: &ReachArgs) -> anyhow::Result<Self> {
        Self::at(args.server.as_deref().unwrap_or(STANDALONE), args)
    }

    fn at(server: &str, args: &ReachArgs) -> anyhow::Result<Self> {
        let way = Way::to_server(server).context("--server")?;
        let authorization = args.token.as_deref().map(bearer).transpose()?;
        let replica = Replica { name: server.to_owned(), way, authorization };
        Ok(Self { replicas: vec![replica], default_namespace: None })
    }

    /// The selected namespace; `None` for all.
    pub fn namespace(&self, args: &ScopeArgs) -> Option<String> {
        if args.all_namespaces {
            return None;
        }
        args.namespace.clone().or_else(|| self.default_namespace.clone())
    }
}

/// The Authorization header of a token.
pub fn bearer(token: &str) -> anyhow::Result<HeaderValue> {
    let value = HeaderValue::try_from(format!("Bearer {}", token.trim()));
    let mut value = value.ok().context("the token contains invalid characters (--token)")?;
    value.set_sensitive(true);
    Ok(value)
}
