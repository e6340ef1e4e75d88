//! Where the delivery API is: at a URL, or at each replica of an operator in a cluster.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use http::HeaderValue;
use kube::{Client, Config};

use super::cluster;
use super::replica::{Replica, Way};
use crate::cli::options::base_url;
use crate::plan::Key;
use crate::source::kubernetes::describe;

/// Where `standalone` serves the delivery API.
const STANDALONE: &str = "http://127.0.0.1:9090";

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Where the delivery API is, and who calls it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where")]
pub struct ReachArgs {
    /// URL of an admin port [default: the operator of the kubeconfig's cluster; without a kubeconfig
    /// http://127.0.0.1:9090, where standalone serves it]
    #[arg(long, env = "WEBHOOK_OPERATOR_SERVER", value_parser = base_url, value_name = "URL", conflicts_with_all = ["kubeconfig", "context"])]
    server: Option<String>,
    /// Kubeconfig file [default: KUBECONFIG, ~/.kube/config, or the pod's ServiceAccount]
    #[arg(long, env = "WEBHOOK_OPERATOR_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current one]
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
    /// ServiceAccount to call as, by a token that is made for this call
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = crate::cli::options::key, conflicts_with_all = ["token", "server"])]
    pub service_account: Option<Key>,
}

/// Which namespaces are meant.
#[derive(Debug, Args)]
pub struct ScopeArgs {
    /// Namespace of the webhooks [default: that of the kubeconfig's context; with a server, all]
    #[arg(short, long, value_name = "NAME", conflicts_with = "all_namespaces")]
    namespace: Option<String>,
    /// Webhooks of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

/// The replicas of an operator.
#[derive(Debug)]
pub struct Operator {
    /// Each as one may reach it.
    pub replicas: Vec<Replica>,
    /// The namespace of the kubeconfig's context, in a cluster.
    default_namespace: Option<String>,
}

impl Operator {
    /// Finds the operator that the flags name.
    pub async fn find(args: &ReachArgs) -> anyhow::Result<Self> {
        if let Some(server) = &args.server {
            return Self::at(server, args);
        }
        match cluster::config(args).await? {
            Some(config) => {
                let default_namespace = Some(config.default_namespace.clone());
                let replicas = cluster::replicas(config, args).await?;
                Ok(Self { replicas, default_namespace })
            }
            None => Self::at(STANDALONE, args),
        }
    }

    fn at(server: &str, args: &ReachArgs) -> anyhow::Result<Self> {
        let mut config = Config::new(server.parse().context("--server")?);
        config.connect_timeout = Some(CONNECT);
        // It is said that it did not work; it is not done twice.
        config.default_retry = false;
        let client = Client::try_from(config).map_err(|error| anyhow::anyhow!(describe(&error)))?;
        let authorization = args.token.as_deref().map(bearer).transpose()?;
        let replica = Replica { name: server.to_owned(), way: Way::Server(client), authorization };
        Ok(Self { replicas: vec![replica], default_namespace: None })
    }

    /// The namespace that is meant; `None` for all.
    pub fn namespace(&self, args: &ScopeArgs) -> Option<String> {
        if args.all_namespaces {
            return None;
        }
        args.namespace.clone().or_else(|| self.default_namespace.clone())
    }
}

/// A token as a header.
pub fn bearer(token: &str) -> anyhow::Result<HeaderValue> {
    let value = HeaderValue::try_from(format!("Bearer {}", token.trim()));
    let mut value = value.ok().context("the token has characters that no token has (--token)")?;
    value.set_sensitive(true);
    Ok(value)
}
