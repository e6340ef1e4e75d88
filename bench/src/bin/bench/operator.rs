//! The operator as a process, and the resources that it is given.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bench_kit::child::{Started, sibling};
use tempfile::TempDir;
use tokio::process::Command;

use crate::Programs;

/// The namespace of every resource here.
pub const NAMESPACE: &str = "default";
/// The one app; its webhooks have the UUIDs of [`webhook_uuid`].
pub const APP: &str = "bench";
const APP_UUID: &str = "b0000000-0000-4000-8000-000000000000";

const ANY_PORTS: [&str; 6] = [
    "--trigger-addr",
    "127.0.0.1:0",
    "--app-api-addr",
    "127.0.0.1:0",
    "--admin-addr",
    "127.0.0.1:0",
];

/// A running operator; it ends when this is dropped.
pub struct Operator {
    process: Started,
    /// The base URL of the trigger port, without a slash at its end.
    pub trigger: String,
}

impl Operator {
    /// Starts `standalone` on the manifests in `dir/manifests`, with its data in `dir/data`.
    pub async fn standalone(programs: &Programs, dir: &Path, deadline: Duration) -> Result<Self> {
        Self::start(&mut standalone(programs, dir)?, dir, deadline).await
    }

    /// Starts `run` against the API server of a kubeconfig.
    pub async fn in_cluster(
        programs: &Programs,
        dir: &Path,
        kubeconfig: &Path,
        deadline: Duration,
    ) -> Result<Self> {
        let mut command = Command::new(binary(programs)?);
        command
            .arg("run")
            .args(ANY_PORTS)
            .args(["--listener-allow-url", "--listener-allow-cidr", "127.0.0.0/8"])
            .current_dir(dir)
            .env("KUBECONFIG", kubeconfig);
        Self::start(&mut command, dir, deadline).await
    }

    /// Starts what a command says.
    pub async fn start(command: &mut Command, dir: &Path, deadline: Duration) -> Result<Self> {
        let mut process = Started::new("webhook-operator", command, dir)?;
        let ready = process.line_after("ready ", deadline).await?;
        let trigger = ready
            .split_ascii_whitespace()
            .find_map(|word| word.strip_prefix("trigger="))
            .with_context(|| format!("no trigger= in `ready {ready}`"))?
            .trim_end_matches('/')
            .to_owned();
        Ok(Self { process, trigger })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// What [`Operator::standalone`] starts.
pub fn standalone(programs: &Programs, dir: &Path) -> Result<Command> {
    let mut command = Command::new(binary(programs)?);
    command
        .arg("standalone")
        .arg("--manifests")
        .arg(dir.join("manifests"))
        .arg("--data-dir")
        .arg(dir.join("data"))
        .args(ANY_PORTS);
    Ok(command)
}

/// The operator's program.
pub fn binary(programs: &Programs) -> Result<PathBuf> {
    match &programs.operator {
        Some(path) if path.is_file() => Ok(path.canonicalize()?),
        Some(path) => bail!("no operator at {}", path.display()),
        None => sibling("webhook-operator"),
    }
}

/// A directory for [`Operator::standalone`] with an app and `webhooks` webhooks of it.
pub fn standalone_dir(listener_url: &str, webhooks: usize) -> Result<TempDir> {
    /// The documents of one file: a file of all would be the odd case.
    const DOCUMENTS_PER_FILE: usize = 1000;
    let dir = TempDir::with_prefix("webhook-bench-")?;
    let manifests = dir.path().join("manifests");
    fs::create_dir(&manifests)?;
    fs::create_dir(dir.path().join("data"))?;
    fs::write(manifests.join("app.yaml"), app(listener_url))?;
    for first in (0..webhooks).step_by(DOCUMENTS_PER_FILE) {
        let last = webhooks.min(first + DOCUMENTS_PER_FILE);
        let documents: Vec<_> = (first..last).map(webhook).collect();
        fs::write(manifests.join(format!("webhooks-{first}.yaml")), documents.join("---\n"))?;
    }
    Ok(dir)
}

/// The app as a manifest, in JSON, which is YAML too.
pub fn app(listener_url: &str) -> String {
    app_with(listener_url, serde_json::Map::new())
}

/// The same with more in its `spec`.
pub fn app_with(listener_url: &str, spec: serde_json::Map<String, serde_json::Value>) -> String {
    let mut app = serde_json::json!({
        "apiVersion": "lenra.io/v1alpha1",
        "kind": "WebhookApp",
        "metadata": {"name": APP, "namespace": NAMESPACE},
        "spec": {"uuid": APP_UUID, "listener": {"url": listener_url}},
    });
    app["spec"].as_object_mut().expect("it is one").extend(spec);
    format!("{app}\n")
}

/// The `index`th webhook as a manifest, in JSON.
pub fn webhook(index: usize) -> String {
    webhook_with(index, serde_json::Map::new())
}

/// The same with more in its `spec`.
pub fn webhook_with(index: usize, spec: serde_json::Map<String, serde_json::Value>) -> String {
    let mut webhook = serde_json::json!({
        "apiVersion": "lenra.io/v1alpha1",
        "kind": "Webhook",
        "metadata": {"name": format!("bench-{index}"), "namespace": NAMESPACE},
        "spec": {
            "app": APP,
            "action": "a",
            "uuid": webhook_uuid(index),
            "props": props(index),
            "delivery": {"mode": "Sync"},
        },
    });
    webhook["spec"].as_object_mut().expect("it is one").extend(spec);
    format!("{webhook}\n")
}

/// The props of the `index`th webhook.
pub fn props(index: usize) -> serde_json::Value {
    serde_json::json!({"n": index})
}

fn webhook_uuid(index: usize) -> String {
    format!("b0000000-0000-4000-8000-{:012x}", index + 1)
}

/// The path of the `index`th webhook's URL.
pub fn trigger_path(index: usize) -> String {
    format!("/apps/{APP_UUID}/webhooks/{}", webhook_uuid(index))
}
