//! The operator as a process that is started and killed, and what its delivery API says is dead.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bench_kit::child::Started;
use bench_kit::http::{self, Client};
use hyper::StatusCode;
use serde::Deserialize;
use tokio::process::Command;
use uuid::Uuid;

use crate::ledger::Dead;

/// Longer than any start, with the recovery of its queue, may take.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// What a process is started from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program.
    pub program: PathBuf,
    /// The folder of `manifests`, `data` and the log.
    pub dir: PathBuf,
}

/// A process; it ends when this is dropped.
pub struct Operator {
    pub process: Started,
}

/// Where it serves.
pub struct Ports {
    /// `HOST:PORT` of the trigger port.
    pub trigger: String,
    /// `HOST:PORT` of the port for apps.
    pub app_api: String,
    /// `HOST:PORT` of the admin port.
    pub admin: String,
}

impl Operator {
    /// Starts it; it does not serve yet.
    pub fn start(setup: &Setup) -> Result<Self> {
        Self::start_with(setup, &[])
    }

    /// The same with further flags.
    pub fn start_with(setup: &Setup, flags: &[&str]) -> Result<Self> {
        let mut command = Command::new(&setup.program);
        command.arg("standalone");
        for (flag, folder) in [("--manifests", "manifests"), ("--data-dir", "data")] {
            command.arg(flag).arg(setup.dir.join(folder));
        }
        for flag in ["--trigger-addr", "--app-api-addr", "--admin-addr"] {
            command.args([flag, "127.0.0.1:0"]);
        }
        command.args(flags);
        Ok(Self { process: Started::new("webhook-operator", &mut command, &setup.dir)? })
    }

    /// Waits until it serves.
    pub async fn ready(&mut self) -> Result<Ports> {
        let line = self.process.line_after("ready ", START_DEADLINE).await?;
        let port = |name: &str| {
            let mut words = line.split_ascii_whitespace();
            let url = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            let url = url.with_context(|| format!("no {name}= in `ready {line}`"))?;
            http::authority(url).map(str::to_owned)
        };
        Ok(Ports { trigger: port("trigger")?, app_api: port("app-api")?, admin: port("admin")? })
    }
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Delivery>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delivery {
    event_id: Uuid,
    reason: Option<String>,
}

/// What is dead, and why.
pub async fn dead(admin: &str) -> Result<Dead> {
    let mut client = Client::new(admin);
    let (mut dead, mut cursor) = (Dead::new(), None);
    loop {
        let page = page(&mut client, "dead", cursor.as_deref()).await?;
        let reasons = page.items.into_iter();
        dead.extend(reasons.map(|one| (one.event_id, one.reason.unwrap_or_default())));
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(dead);
        }
    }
}

/// Whether there is anything that has not ended.
pub async fn is_anything_pending(admin: &str) -> Result<bool> {
    Ok(!page(&mut Client::new(admin), "pending", None).await?.items.is_empty())
}

async fn page(client: &mut Client, state: &str, cursor: Option<&str>) -> Result<Page> {
    let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    let path = format!("/api/deliveries?state={state}&limit=500{cursor}");
    let (status, body) = client.get(&path).await?;
    ensure!(status == StatusCode::OK, "{path}: {status} {}", String::from_utf8_lossy(&body));
    Ok(serde_json::from_slice(&body)?)
}

/// Writes the manifests of a run.
pub fn write_manifests(dir: &Path, manifests: &str) -> Result<()> {
    for folder in ["manifests", "data"] {
        std::fs::create_dir(dir.join(folder))?;
    }
    Ok(std::fs::write(dir.join("manifests/load.yaml"), manifests)?)
}
