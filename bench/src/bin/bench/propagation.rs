//! From a webhook's creation in the API server to the first 200 of its URL.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bench_kit::child::Started;
use bench_kit::stats::quantile;
use clap::Args;
use hyper::StatusCode;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::operator::{self, Operator};
use crate::subject::Listener;
use crate::{Programs, aim};
use bench_kit::http::{self, Client};
use bench_kit::table::{self, row};

const CLUSTER_DEADLINE: Duration = Duration::from_secs(120);
const OPERATOR_DEADLINE: Duration = Duration::from_secs(60);
const KUBECTL_DEADLINE: Duration = Duration::from_secs(60);
/// The first webhook may wait for the operator's first look at everything.
const FIRST_DEADLINE: Duration = Duration::from_secs(30);
/// A sample that takes longer fails the run.
const SAMPLE_DEADLINE: Duration = Duration::from_secs(10);
/// Between two requests to a URL that is not there yet: the resolution of a sample.
const POLL: Duration = Duration::from_millis(1);
/// Between two samples, so that one does not pay for the statuses of the one before.
const PAUSE: Duration = Duration::from_millis(50);
/// The aim, at the 99th percentile.
const AIM_MS: f64 = 100.0;

#[derive(Args, Clone)]
#[group(skip)]
pub struct Options {
    /// Webhooks to create, one after the other.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
}

pub async fn run(options: &Options, programs: &Programs) -> Result<()> {
    let listener = Listener::start().await?;
    let cluster = Cluster::start(&programs.cluster).await?;
    cluster.install_crds(programs).await?;
    let operator =
        Operator::in_cluster(programs, cluster.dir.path(), &cluster.kubeconfig, OPERATOR_DEADLINE)
            .await?;
    let mut bench = Bench {
        api: Client::new(&cluster.proxy_address),
        trigger: Client::new(http::authority(&operator.trigger)?),
    };
    create(&mut bench.api, "webhookapps", operator::app(&listener.url())).await?;
    bench.sample(0, FIRST_DEADLINE).await.context("the first webhook")?;
    let mut samples = Vec::new();
    for index in 1..=options.samples as usize {
        sleep(PAUSE).await;
        samples.push(bench.sample(index, SAMPLE_DEADLINE).await?);
    }
    print(&samples);
    Ok(())
}

/// When one webhook's URL answered 200.
struct Sample {
    /// Milliseconds from when the creation was sent.
    since_sent: f64,
    /// Milliseconds from when the API server had answered; 0 if the URL was faster.
    since_answered: f64,
}

/// Connections to the API server and to the operator.
struct Bench {
    api: Client,
    trigger: Client,
}

impl Bench {
    /// Creates a webhook, asking for its URL from the first moment on.
    async fn sample(&mut self, index: usize, deadline: Duration) -> Result<Sample> {
        let sent = Instant::now();
        let answered = async {
            create(&mut self.api, "webhooks", operator::webhook(index)).await?;
            Ok::<_, anyhow::Error>(Instant::now())
        };
        let served = async {
            timeout(deadline, first_200(&mut self.trigger, index))
                .await
                .with_context(|| format!("webhook {index} is not served after {deadline:?}"))?
        };
        let (answered, served) = tokio::try_join!(answered, served)?;
        Ok(Sample {
            since_sent: milliseconds(served.duration_since(sent)),
            since_answered: milliseconds(served.saturating_duration_since(answered)),
        })
    }
}

async fn create(api: &mut Client, plural: &str, manifest: String) -> Result<()> {
    let path = format!("/apis/lenra.io/v1alpha1/namespaces/{}/{plural}", operator::NAMESPACE);
    let (status, body) = api.post(&path, manifest).await?;
    ensure!(
        status == StatusCode::CREATED,
        "creation is answered {status}: {}",
        String::from_utf8_lossy(&body)
    );
    Ok(())
}

/// When the webhook's URL first answered 200.
async fn first_200(trigger: &mut Client, index: usize) -> Result<Instant> {
    let path = operator::trigger_path(index);
    loop {
        let (status, body) = trigger.post(&path, "{}").await?;
        match status {
            StatusCode::OK => return Ok(Instant::now()),
            // Not known yet, or known and not ready.
            StatusCode::NOT_FOUND | StatusCode::SERVICE_UNAVAILABLE => sleep(POLL).await,
            _ => bail!("webhook {index} answers {status}: {}", String::from_utf8_lossy(&body)),
        }
    }
}

/// An API server of its own, and a way to it in clear text; both end when this is dropped.
struct Cluster {
    /// `HOST:PORT` of a `kubectl proxy`.
    proxy_address: String,
    kubeconfig: PathBuf,
    program: PathBuf,
    /// In the order of the drop.
    _proxy: Started,
    _control_plane: Started,
    dir: TempDir,
}

impl Cluster {
    async fn start(program: &Path) -> Result<Self> {
        let program = program.canonicalize().with_context(|| {
            format!("{} is missing: it is built from tests/cluster", program.display())
        })?;
        let dir = TempDir::with_prefix("webhook-bench-cluster-")?;
        let kubeconfig = dir.path().join("kubeconfig");
        let mut command = Command::new(&program);
        command.arg("control-plane").arg("--dir").arg(dir.path());
        let mut control_plane = Started::new("control-plane", &mut command, dir.path())?;
        control_plane.line_after("ready ", CLUSTER_DEADLINE).await?;
        let mut command = kubectl(&program, &kubeconfig);
        command.args(["proxy", "--port=0"]);
        let mut proxy = Started::new("kubectl-proxy", &mut command, dir.path())?;
        let proxy_address = proxy.line_after("Starting to serve on ", KUBECTL_DEADLINE).await?;
        Ok(Self {
            proxy_address,
            kubeconfig,
            program,
            _proxy: proxy,
            _control_plane: control_plane,
            dir,
        })
    }

    async fn install_crds(&self, programs: &Programs) -> Result<()> {
        let crds = Command::new(operator::binary(programs)?).arg("crds").output().await?;
        ensure!(crds.status.success(), "crds: {}", String::from_utf8_lossy(&crds.stderr));
        self.kubectl(&["apply", "--server-side", "-f", "-"], &crds.stdout).await?;
        self.kubectl(&["wait", "--for=condition=Established", "crd", "--all"], b"").await
    }

    async fn kubectl(&self, args: &[&str], stdin: &[u8]) -> Result<()> {
        let mut child = kubectl(&self.program, &self.kubeconfig)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        // One that refuses its arguments ends without reading: its message says more.
        let _ = child.stdin.take().context("a pipe to kubectl")?.write_all(stdin).await;
        let output = timeout(KUBECTL_DEADLINE, child.wait_with_output())
            .await
            .with_context(|| format!("kubectl {args:?} has not ended"))??;
        ensure!(
            output.status.success(),
            "kubectl {args:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }
}

/// kubectl, without the settings of whoever runs this.
fn kubectl(program: &Path, kubeconfig: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("kubectl").env("KUBECONFIG", kubeconfig).env("KUBERC", "off");
    command.env("KUBECACHEDIR", kubeconfig.with_file_name("kubectl-cache"));
    command
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn print(samples: &[Sample]) {
    println!(
        "\nPropagation: {} webhooks, from creation to the first 200 of the URL, in ms",
        samples.len()
    );
    let since_sent: Vec<_> = samples.iter().map(|sample| sample.since_sent).collect();
    let since_answered: Vec<_> = samples.iter().map(|sample| sample.since_answered).collect();
    table::print(&[
        row(["", "p50", "p99", "max"]),
        quantiles("since the creation was sent", &since_sent),
        quantiles("since it was answered", &since_answered),
    ]);
    let reached = quantile(&since_sent, 0.99).is_some_and(|p99| p99 < AIM_MS);
    println!("  the aim, p99 under {AIM_MS} ms since it was sent, is {}", aim::word(reached));
}

fn quantiles(name: &str, figures: &[f64]) -> Vec<String> {
    let figure = |at| quantile(figures, at).map_or_else(String::new, |ms| format!("{ms:.1}"));
    vec![name.to_owned(), figure(0.5), figure(0.99), figure(1.0)]
}
