//! `webhook-operator standalone`: the operator on a folder of YAML files.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use ipnet::IpNet;
use tokio::sync::watch;

use super::options::{Addresses, ServeArgs, base_url, key, time};
use super::serve::{self, Parts, Running, control_runtime};
use super::{output, signals};
use crate::app_token::Tokens;
use crate::moment::Moment;
use crate::peers::Peers;
use crate::plan::decide::ListenerPolicy;
use crate::plan::instance::instance;
use crate::plan::{Key, Kind, Reach, Settings};
use crate::source::files::{self, Files};
use crate::source::{LocalTallies, PlanRunner, owners, pruning};

/// How many URLs are printed; the others are in the status files.
const PRINTED_URLS: usize = 50;

/// Flags of `standalone`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct StandaloneArgs {
    #[command(subcommand)]
    command: Option<StandaloneCommand>,
    /// Folder of YAML files: WebhookApp, Webhook, Secret, Service; reloaded when they change
    #[arg(long, env = "WEBHOOK_OPERATOR_MANIFESTS", value_name = "DIR", required = true)]
    manifests: Option<PathBuf>,
    /// Directory of the queue, the identity key, statuses and webhooks created by the app API
    #[arg(long, env = "WEBHOOK_OPERATOR_DATA_DIR", value_name = "DIR", default_value = "./data")]
    data_dir: PathBuf,
    /// Address of the trigger port (public)
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_TRIGGER_ADDR",
        default_value = "127.0.0.1:8080",
        value_name = "ADDR"
    )]
    trigger_addr: SocketAddr,
    /// Address of the app API
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_APP_API_ADDR",
        default_value = "127.0.0.1:8081",
        value_name = "ADDR"
    )]
    app_api_addr: SocketAddr,
    /// Address of the admin port: probes, metrics and the delivery API
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_ADMIN_ADDR",
        default_value = "127.0.0.1:9090",
        value_name = "ADDR"
    )]
    admin_addr: SocketAddr,
    /// Base URL of trigger URLs [default: http://<trigger-addr>]
    #[arg(long, env = "WEBHOOK_OPERATOR_EXTERNAL_URL", value_parser = base_url, value_name = "URL")]
    external_url: Option<String>,
    /// URL at which listeners reach the app API [default: http://<app-api-addr>]
    #[arg(long, env = "WEBHOOK_OPERATOR_APP_API_URL", value_parser = base_url, value_name = "URL")]
    app_api_url: Option<String>,
    /// Loopback, link-local or metadata networks in which listeners are allowed
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_LISTENER_ALLOW_CIDR",
        value_delimiter = ',',
        default_value = "127.0.0.0/8,::1/128",
        value_name = "CIDR"
    )]
    listener_allow_cidr: Vec<IpNet>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum StandaloneCommand {
    /// Print a token with which an app can call the app API
    Token(TokenArgs),
}

#[derive(Debug, Args)]
struct TokenArgs {
    /// Data directory of the standalone operator
    #[arg(long, env = "WEBHOOK_OPERATOR_DATA_DIR", value_name = "DIR", default_value = "./data")]
    data_dir: PathBuf,
    /// The WebhookApp
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = key)]
    app: Key,
    /// Value of the annotation lenra.io/token-generation of the WebhookApp, if it has one
    #[arg(long, value_name = "TEXT")]
    token_generation: Option<String>,
    /// Lifetime of the token
    #[arg(long, default_value = "24h", value_parser = time, value_name = "TIME")]
    ttl: Duration,
}

impl StandaloneArgs {
    /// The arguments of `demo`: everything in one folder, on free loopback ports.
    pub fn for_demo(
        manifests: PathBuf,
        data_dir: PathBuf,
        ports: Addresses,
        serve: ServeArgs,
    ) -> Self {
        Self {
            command: None,
            manifests: Some(manifests),
            data_dir,
            trigger_addr: ports.trigger,
            app_api_addr: ports.app_api,
            admin_addr: ports.admin,
            external_url: None,
            app_api_url: None,
            listener_allow_cidr: vec![IpNet::from(ports.trigger.ip())],
            serve,
        }
    }

    fn ports(&self) -> Addresses {
        Addresses {
            trigger: self.trigger_addr,
            app_api: self.app_api_addr,
            admin: self.admin_addr,
            peer: None,
        }
    }
}

/// Serves until SIGTERM or SIGINT, or prints a token.
pub fn standalone(args: StandaloneArgs) -> anyhow::Result<()> {
    if let Some(StandaloneCommand::Token(args)) = &args.command {
        return token(args);
    }
    control_runtime()?.block_on(async {
        let standalone = Standalone::start(args, signals::stop()?).await?;
        standalone.print_ready();
        standalone.print_urls();
        standalone.finished().await;
        Ok(())
    })
}

/// A running standalone operator.
pub struct Standalone {
    /// The ports that it serves on.
    pub ports: Addresses,
    /// The planner and the route table.
    pub runner: Arc<PlanRunner>,
    scheme: &'static str,
    server: Running,
    files: tokio::task::JoinHandle<()>,
}

impl Standalone {
    /// Reads the manifests, writes the statuses, and serves until `stop` turns true.
    pub async fn start(args: StandaloneArgs, stop: watch::Receiver<bool>) -> anyhow::Result<Self> {
        let manifests = args.manifests.clone().context("--manifests is missing")?;
        // Checked before anything is created, so that a mistyped folder leaves no data dir behind.
        std::fs::read_dir(&manifests).with_context(|| {
            format!("cannot read the folder {} (--manifests)", manifests.display())
        })?;
        let bound = serve::bind(args.ports(), args.serve.threads())?;
        let ports = bound.addresses;
        let scheme = args.serve.tls.scheme();
        let external_url =
            args.external_url.clone().unwrap_or_else(|| format!("{scheme}://{}", ports.trigger));
        let app_api_url =
            args.app_api_url.clone().unwrap_or_else(|| format!("http://{}", ports.app_api));

        let listener_addresses = args.serve.addresses(&args.listener_allow_cidr);
        let listeners = ListenerPolicy {
            allow_url: true,
            addresses: listener_addresses.clone(),
            reach: Reach::Address,
            ..ListenerPolicy::default()
        };
        let identity = files::identity_key(&args.data_dir)?;
        let queue = args.serve.queue.open(&args.data_dir)?;
        let tokens = Arc::new(Tokens::new(&identity));
        let settings = Settings { external_url, listeners, identity, key_sets: Arc::default() };
        let runner = Arc::new(PlanRunner::new(settings, args.serve.metrics.table()));
        owners::restore(&runner, &*queue).await.context("cannot read the queue (--data-dir)")?;
        let files = Arc::new(Files::open(manifests, args.data_dir.clone(), runner.clone())?);
        let loading = files.clone();
        tokio::task::spawn_blocking(move || loading.load()).await??;

        let synced = watch::channel(true);
        tokio::spawn(owners::record(runner.clone(), queue.clone(), synced.1.clone(), Moment::now));
        tokio::spawn(pruning::prune(runner.clone(), queue.clone(), synced.1.clone()));
        let own = LocalTallies::new(queue.clone(), runner.routes().clone());
        let counting = args.serve.counting(Arc::new(own));
        let parts = Parts {
            runner: runner.clone(),
            store: files.clone(),
            queue,
            tokens,
            reviewer: None,
            access: None,
            peers: Arc::new(Peers::none()),
            app_api_url,
            listener_addresses,
            synced: synced.1,
            leading: None,
        };
        let server = Running::start(bound, &args.serve, parts, stop.clone())?;
        let followed = runner.clone();
        let files = tokio::spawn(async move {
            tokio::select! {
                () = files.run(stop) => {}
                () = counting.follow(&followed) => {}
            }
        });
        Ok(Self { ports, runner, scheme, server, files })
    }

    /// The trigger URL of a webhook.
    pub fn url_of(&self, namespace: &str, name: &str) -> Option<String> {
        self.runner.planner().webhook_url(&Key::new(namespace, name))
    }

    /// Resolves when all connections are drained.
    pub async fn finished(self) {
        self.server.finished().await;
        let _ = self.files.await;
    }

    fn print_ready(&self) {
        serve::print_ready(self.scheme, self.ports);
    }

    fn print_urls(&self) {
        let planner = self.runner.planner();
        let mut keys: Vec<Key> = planner
            .objects()
            .filter_map(|object| (object.kind == Kind::Webhook).then_some(object.key))
            .collect();
        keys.sort();
        for key in keys.iter().take(PRINTED_URLS) {
            let url = planner.webhook_url(key);
            output::line(&format!("webhook {key} {}", url.as_deref().unwrap_or("(no such app)")));
        }
        if keys.len() > PRINTED_URLS {
            let more = keys.len() - PRINTED_URLS;
            output::line(&format!("and {more} more: see the status files in the data directory"));
        }
    }
}

fn token(args: &TokenArgs) -> anyhow::Result<()> {
    if !args.data_dir.is_dir() {
        bail!(
            "the data directory {} does not exist: start standalone once, or set --data-dir",
            args.data_dir.display()
        );
    }
    let identity = files::identity_key(&args.data_dir)?;
    let instance = instance(None, args.token_generation.as_deref());
    output::line(&Tokens::new(&identity).issue(&args.app, &instance, serve::now(), args.ttl));
    Ok(())
}
