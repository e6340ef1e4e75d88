//! An operator with one webhook, which the client sends to and the attackers know.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bench_kit::child::Started;
use bench_kit::http;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::process::Command;
use tokio_rustls::TlsConnector;

const START_DEADLINE: Duration = Duration::from_secs(60);
/// The name in the operator's certificate.
pub const SERVER_NAME: &str = "hooks.example";
const APP: &str = "14361375-54d4-4ddb-8d2d-0dd212e13cd1";
const WEBHOOK: &str = "c14990db-96a1-44c6-b13a-8ab12db96f61";

/// Where triggers go.
#[derive(Clone)]
pub struct Target {
    /// Of the trigger port.
    pub address: SocketAddr,
    /// Of the webhook's URL.
    pub path: String,
    /// For the client, if the operator serves TLS.
    pub tls: Option<TlsConnector>,
}

/// An operator; it ends when this is dropped, and its folder goes.
pub struct Setting {
    pub operator: Started,
    pub target: Target,
    _dir: TempDir,
}

impl Setting {
    /// Starts one, and waits until it serves.
    pub async fn start(program: &Path, listener: SocketAddr, is_tls: bool) -> Result<Self> {
        let dir = TempDir::with_prefix("webhook-attack-")?;
        for folder in ["manifests", "data"] {
            std::fs::create_dir(dir.path().join(folder))?;
        }
        std::fs::write(dir.path().join("manifests/webhook.yaml"), manifest(listener))?;
        let mut command = Command::new(program);
        command.arg("standalone");
        for (flag, folder) in [("--manifests", "manifests"), ("--data-dir", "data")] {
            command.arg(flag).arg(dir.path().join(folder));
        }
        for flag in ["--trigger-addr", "--app-api-addr", "--admin-addr"] {
            command.args([flag, "127.0.0.1:0"]);
        }
        let tls = is_tls.then(|| certificate(dir.path(), &mut command)).transpose()?;
        let mut operator = Started::new("webhook-operator", &mut command, dir.path())?;
        let line = operator.line_after("ready ", START_DEADLINE).await?;
        let mut words = line.split_ascii_whitespace();
        let url = words.find_map(|word| word.strip_prefix("trigger=")).context("no trigger=")?;
        let address = http::authority(&url.replacen("https:", "http:", 1))?.parse()?;
        let path = format!("/apps/{APP}/webhooks/{WEBHOOK}");
        Ok(Self { operator, target: Target { address, path, tls }, _dir: dir })
    }
}

/// Has the operator serve TLS by a certificate of its own, which the client trusts.
fn certificate(dir: &Path, command: &mut Command) -> Result<TlsConnector> {
    let made = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()])?;
    let (chain, key) = (dir.join("chain.pem"), dir.join("key.pem"));
    std::fs::write(&chain, made.cert.pem())?;
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    command.arg("--tls-cert-file").arg(chain).arg("--tls-key-file").arg(key);
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config).into())
}

fn manifest(listener: SocketAddr) -> String {
    format!(
        "apiVersion: lenra.io/v1alpha1
kind: WebhookApp
metadata: {{name: shop, namespace: default}}
spec: {{uuid: {APP}, listener: {{url: \"http://{listener}/\"}}}}
---
apiVersion: lenra.io/v1alpha1
kind: Webhook
metadata: {{name: payments, namespace: default}}
spec: {{uuid: {WEBHOOK}, app: shop, action: paid, delivery: {{mode: Sync}}}}
"
    )
}
