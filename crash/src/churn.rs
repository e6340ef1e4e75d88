//! Webhooks come and go: each is created by the app API, triggered once and deleted. Nothing of them may be left in
//! memory or on the disk, or an app that uses a webhook for each of its orders fills the operator.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bench_kit::http::{Client, Headers};
use bench_kit::procfs::resident_bytes;
use bench_kit::{listener, table};
use hyper::StatusCode;
use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::operator::{self, Operator, Ports, Setup};

const APP: &str = "c0000000-0000-4000-8000-0000000000cc";
/// Clients that create, trigger and delete at once.
const CLIENTS: usize = 8;
/// How often memory and files are measured.
const SAMPLE: Duration = Duration::from_secs(1);
/// Rows are pruned every 30 s; this is several times as long.
const PRUNED_WITHIN: Duration = Duration::from_secs(150);
/// Growth that is none: memory of the allocator, and pages of the log.
const SLACK: u64 = 8 << 20;

/// What was measured, and what is left.
pub struct Report {
    webhooks: u64,
    seconds: f64,
    samples: Vec<Sample>,
    /// Rows of webhooks, apps and tallies once they were pruned, or after [`PRUNED_WITHIN`].
    rows: i64,
    /// Files of webhooks and statuses that are left.
    files: usize,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Resident memory of the operator, in bytes.
    memory: u64,
    /// Size of the queue's files, in bytes.
    queue: u64,
}

#[derive(Deserialize)]
struct Created {
    uuid: String,
}

/// Lets so many webhooks come and go.
///
/// # Errors
/// When the operator does not start, ends, or does not answer as agreed.
pub async fn run(setup: &Setup, webhooks: u64) -> Result<Report> {
    let listener = listener::start()?;
    operator::write_manifests(&setup.dir, &manifest(&listener.to_string()))?;
    // What is delivered is kept for a second and not for a week: history is no leak.
    let mut operator = Operator::start_with(setup, &["--retention", "1s"])?;
    let ports = Rc::new(operator.ready().await?);
    let token = token(setup).await?;
    let files_before = count_files(&setup.dir.join("data"))?;
    let (begun, left) = (Instant::now(), Rc::new(Cell::new(webhooks)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (ports, token, left) = (ports.clone(), token.clone(), left.clone());
        clients.spawn_local(async move { churn(&ports, &token, &left).await });
    }
    let (pid, queue) = (operator.process.pid(), setup.dir.join("data/queue"));
    let mut samples = Vec::new();
    let mut done = std::pin::pin!(async {
        while let Some(client) = clients.join_next().await {
            client??;
        }
        anyhow::Ok(())
    });
    loop {
        if let Ok(ended) = timeout(SAMPLE, &mut done).await {
            ended?;
            break;
        }
        samples.push(Sample { memory: resident_bytes(pid)?, queue: bytes_in(&queue)? });
    }
    let seconds = begun.elapsed().as_secs_f64();
    let rows = rows_left(&queue.join("queue.sqlite3")).await?;
    operator.process.check_running()?;
    let files = count_files(&setup.dir.join("data"))?.saturating_sub(files_before);
    operator.process.kill().await?;
    Ok(Report { webhooks, seconds, samples, rows, files })
}

/// What one client does.
async fn churn(ports: &Ports, token: &str, left: &Cell<u64>) -> Result<()> {
    let (mut api, mut trigger) = (Client::new(&ports.app_api), Client::new(&ports.trigger));
    let bearer = Headers::from([("authorization", format!("Bearer {token}"))]);
    while left.get() > 0 {
        left.set(left.get() - 1);
        let new = r#"{"action": "a", "props": {"order": 1}}"#;
        let (status, body) = api.post_with("/app/webhooks", &bearer, new).await?;
        ensure!(status == StatusCode::OK, "create: {status} {}", String::from_utf8_lossy(&body));
        let Created { uuid } = serde_json::from_slice(&body)?;
        let path = format!("/apps/{APP}/webhooks/{uuid}");
        let (status, body) = trigger.post(&path, "{}").await?;
        let is_accepted = status == StatusCode::ACCEPTED;
        ensure!(is_accepted, "trigger: {status} {}", String::from_utf8_lossy(&body));
        let (status, body) = api.delete_with(&format!("/app/webhooks/{uuid}"), &bearer).await?;
        ensure!(status.is_success(), "delete: {status} {}", String::from_utf8_lossy(&body));
    }
    Ok(())
}

fn manifest(listener: &str) -> String {
    format!(
        "apiVersion: lenra.io/v1alpha1
kind: WebhookApp
metadata: {{name: shop, namespace: default}}
spec: {{uuid: {APP}, listener: {{url: \"http://{listener}/\"}}}}
"
    )
}

async fn token(setup: &Setup) -> Result<String> {
    let mut command = Command::new(&setup.program);
    command.args(["standalone", "token", "--app", "default/shop", "--data-dir"]);
    let output = command.arg(setup.dir.join("data")).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Waits until no row is left of webhooks that were deleted; returns how many there are.
async fn rows_left(file: &Path) -> Result<i64> {
    let begun = Instant::now();
    loop {
        let rows = rows(file)?;
        if rows == 0 || begun.elapsed() > PRUNED_WITHIN {
            return Ok(rows);
        }
        sleep(SAMPLE).await;
    }
}

fn rows(file: &Path) -> Result<i64> {
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    database.busy_timeout(Duration::from_secs(5))?;
    let sql = "SELECT (SELECT count(*) FROM webhook) + (SELECT count(*) FROM app)
        + (SELECT count(*) FROM tally) + (SELECT count(*) FROM delivery)";
    Ok(database.query_row(sql, (), |row| row.get(0))?)
}

fn bytes_in(folder: &Path) -> Result<u64> {
    let sizes = files(folder)?.into_iter().map(|file| {
        // A file that has gone since the folder was read has no size.
        fs::metadata(file).map_or(0, |metadata| metadata.len())
    });
    Ok(sizes.sum())
}

fn count_files(folder: &Path) -> Result<usize> {
    Ok(files(folder)?.len())
}

/// All files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder { &mut folders } else { &mut files }.push(entry.path());
        }
    }
    Ok(files)
}

impl Report {
    /// Whether nothing is left and nothing grew.
    pub fn is_good(&self) -> bool {
        self.rows == 0 && self.files == 0 && self.growth().is_none()
    }

    /// What grew from the first half to the second: more than by a tenth and [`SLACK`]. Rows are pruned every 30 s, so
    /// a run of less than two minutes shows only what grows fast.
    fn growth(&self) -> Option<&'static str> {
        let (first, second) = self.halves();
        let grew = |of: fn(&Sample) -> u64| {
            let most = |samples: &[Sample]| samples.iter().map(of).max().unwrap_or(0);
            most(second) > most(first) + most(first) / 10 + SLACK
        };
        let (memory, queue) = (grew(|sample| sample.memory), grew(|sample| sample.queue));
        memory.then_some("memory").or(queue.then_some("the queue's files"))
    }

    fn halves(&self) -> (&[Sample], &[Sample]) {
        self.samples.split_at(self.samples.len() / 2)
    }

    /// Prints what was measured, and what is wrong.
    pub fn print(&self) {
        let Self { webhooks, seconds, rows, files, .. } = self;
        println!("{webhooks} webhooks created, triggered and deleted in {seconds:.0} s");
        let mut lines = vec![table::row(["after", "memory MiB", "queue MiB"])];
        // Ten lines, however long it took.
        let step = (self.samples.len() / 10).max(1);
        for (second, sample) in self.samples.iter().enumerate().step_by(step) {
            let mib = |bytes: u64| format!("{}.{}", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20);
            lines.push(table::row([
                &*format!("{} s", second + 1),
                &mib(sample.memory),
                &mib(sample.queue),
            ]));
        }
        table::print(&lines);
        if *rows > 0 {
            println!("WRONG {rows} rows of deleted webhooks are left in the queue");
        }
        if *files > 0 {
            println!("WRONG {files} files of deleted webhooks are left");
        }
        if let Some(what) = self.growth() {
            println!("WRONG {what} grew from the first half of the time to the second");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(memory: &[u64]) -> Report {
        let samples = memory.iter().map(|mib| Sample { memory: mib << 20, queue: 1 << 20 });
        Report { webhooks: 1, seconds: 1.0, samples: samples.collect(), rows: 0, files: 0 }
    }

    #[test]
    fn what_goes_up_and_down_is_good_and_what_only_goes_up_is_not() {
        assert!(report(&[40, 60, 50, 60, 45, 61]).is_good());
        assert!(!report(&[40, 50, 60, 70, 80, 90]).is_good());
        assert!(!Report { rows: 1, ..report(&[40, 40]) }.is_good());
        assert!(!Report { files: 1, ..report(&[40, 40]) }.is_good());
    }
}
