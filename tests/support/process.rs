//! A `webhook-cluster` that serves: started, awaited, and ended with its owner.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The process gives up a graceful end by itself before this.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
const LOG_TAIL_LINES: usize = 40;

/// In a mutex only so that tests can share what holds it.
type Lines = Mutex<Receiver<String>>;

/// A running cluster or node; dropping it ends it and waits for that.
pub struct Process {
    child: Child,
    /// It ends when this is closed, also when a killed test closes it.
    stdin: Option<ChildStdin>,
    /// What it says; disconnected when it has ended.
    lines: Lines,
}

impl Process {
    /// Runs a subcommand that keeps its files in `dir`; returns with the API server's URL when
    /// it says that it is ready.
    ///
    /// # Panics
    ///
    /// When the binary is not built, and with the end of its log when it is not ready in time.
    pub fn start(args: &[&str], dir: &Path, deadline: Duration) -> (Self, String) {
        let log = dir.join("log");
        let mut process = Self::spawn(args, dir, &log);
        let failure = match process.lines().recv_timeout(deadline) {
            Ok(line) => match line.strip_prefix("ready ") {
                Some(server) => return (process, server.to_owned()),
                None => format!("said {line:?}"),
            },
            Err(RecvTimeoutError::Timeout) => format!("is not ready after {deadline:?}"),
            Err(RecvTimeoutError::Disconnected) => format!("ended: {:?}", process.child.wait()),
        };
        panic!("the test {} {failure}\n{}", args[0], tail(&log));
    }

    fn spawn(args: &[&str], dir: &Path, log: &Path) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(log);
        let mut child = Command::new(binary())
            .args(args)
            .arg("--dir")
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.expect("create the log"))
            .spawn()
            .expect("start webhook-cluster");
        let stdout = child.stdout.take().expect("a pipe from webhook-cluster");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { stdin: child.stdin.take(), child, lines: Mutex::new(lines) }
    }

    /// Ends it with SIGKILL: it has no time to clear anything.
    pub fn kill(mut self) {
        self.child.kill().expect("kill webhook-cluster");
    }

    fn lines(&mut self) -> &Receiver<String> {
        self.lines.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stdin = None;
        while self.lines().recv_timeout(STOP_DEADLINE).is_ok() {}
        // Without effect on one that has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where `tests/cluster/build.sh` puts the binary, or what `WEBHOOK_CLUSTER_BIN` names.
pub fn binary() -> PathBuf {
    let path = env::var_os("WEBHOOK_CLUSTER_BIN")
        .map_or_else(|| target().join("cluster/webhook-cluster"), PathBuf::from);
    assert!(path.is_file(), "no test cluster at {}: run `make cluster`", path.display());
    path
}

/// The folder that cargo builds into.
pub fn target() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Path::new(env!("CARGO_MANIFEST_DIR")).join(target)
}

fn tail(log: &Path) -> String {
    let content = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = content.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
