//! A real Kubernetes API server for the tests: started fresh, ended with its owner.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// A start takes about 3 s; the rest is for a machine that compiles beside it.
const START_DEADLINE: Duration = Duration::from_secs(120);
/// The server gives up a graceful end by itself before this.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
const LOG_TAIL_LINES: usize = 40;

/// An API server with its own data, which ends when this is dropped.
///
/// It has the namespaces of Kubernetes and no controllers: no `ServiceAccount`
/// `default`, no garbage collection, no pods.
pub struct Cluster {
    /// Before `dir`, for the drop: the process writes there until it has ended.
    process: Option<Process>,
    dir: TempDir,
    kubeconfig: PathBuf,
    server: String,
}

/// What a kubectl that has ended left behind.
#[derive(Debug)]
pub struct KubectlOutput {
    pub ok: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Cluster {
    /// Starts an empty API server and returns when it is ready.
    ///
    /// # Panics
    ///
    /// When the binary is not built, and when the server does not get ready.
    pub fn start() -> Self {
        let dir = TempDir::with_prefix("webhook-cluster-").expect("a temporary directory");
        let (process, server) = Process::start(dir.path(), "0");
        Self { process: Some(process), kubeconfig: dir.path().join("kubeconfig"), dir, server }
    }

    /// The kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The URL of the API server; the same after a restart.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Runs kubectl as administrator.
    pub fn kubectl(&self, args: &[&str]) -> KubectlOutput {
        self.kubectl_stdin(args, "")
    }

    /// Runs kubectl as administrator with `stdin` for its `-f -`.
    pub fn kubectl_stdin(&self, args: &[&str], stdin: &str) -> KubectlOutput {
        let mut child = Command::new(binary())
            .arg("kubectl")
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            // Nothing of the user's own kubectl: settings, or what a cluster
            // of an earlier test on the same port served.
            .env("KUBERC", "off")
            .env("KUBECACHEDIR", self.dir.path().join("kubectl-cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start kubectl");
        let mut pipe = child.stdin.take().expect("a pipe to kubectl");
        let output = thread::scope(|scope| {
            // A kubectl that refuses its arguments ends without reading.
            scope.spawn(move || pipe.write_all(stdin.as_bytes()).ok());
            child.wait_with_output().expect("wait for kubectl")
        });
        KubectlOutput {
            ok: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Applies manifests.
    ///
    /// # Panics
    ///
    /// With kubectl's message, when one of them is refused.
    pub fn apply(&self, yaml: &str) {
        let output = self.kubectl_stdin(&["apply", "-f", "-"], yaml);
        assert!(output.ok, "refused: {}\n{yaml}", output.stderr);
    }

    /// Applies manifests that the API server must refuse; returns its message.
    ///
    /// # Panics
    ///
    /// When they are accepted.
    pub fn apply_refused(&self, yaml: &str) -> String {
        let output = self.kubectl_stdin(&["apply", "-f", "-"], yaml);
        assert!(!output.ok, "accepted: {}\n{yaml}", output.stdout);
        output.stderr
    }

    /// A kubeconfig of an existing `ServiceAccount`, valid for an hour.
    ///
    /// # Panics
    ///
    /// When there is no such `ServiceAccount`.
    pub fn kubeconfig_as(&self, namespace: &str, service_account: &str) -> PathBuf {
        let output = self.kubectl(&["create", "token", service_account, "-n", namespace]);
        assert!(output.ok, "no token: {}", output.stderr);
        let path = self.dir.path().join(format!("kubeconfig-{namespace}-{service_account}"));
        let authority = self.dir.path().join("certificates/apiserver.crt");
        let content = format!(
            "apiVersion: v1
kind: Config
clusters:
- name: test
  cluster: {{server: '{}', certificate-authority: '{}'}}
users:
- name: {service_account}
  user: {{token: '{}'}}
contexts:
- name: {service_account}
  context: {{cluster: test, user: {service_account}, namespace: {namespace}}}
current-context: {service_account}
",
            self.server,
            authority.display(),
            output.stdout.trim(),
        );
        fs::write(&path, content).expect("write the kubeconfig");
        path
    }

    /// Stops the API server; its data stays.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts the API server again with the same data on the same port, after
    /// stopping it if it runs.
    ///
    /// # Panics
    ///
    /// When the server does not get ready.
    pub fn restart(&mut self) {
        self.stop();
        let (_, port) = self.server.rsplit_once(':').expect("a port in the URL");
        let (process, server) = Process::start(self.dir.path(), port);
        assert_eq!(server, self.server);
        self.process = Some(process);
    }
}

/// In a mutex only so that tests can share a `Cluster`.
type Lines = Mutex<Receiver<String>>;

/// A running API server; dropping it ends it and waits for that.
struct Process {
    child: Child,
    /// The server ends when this is closed, also when a killed test closes it.
    stdin: Option<ChildStdin>,
    /// What the server says; disconnected when it has ended.
    lines: Lines,
}

impl Process {
    /// Returns with the server's URL when it is ready.
    fn start(dir: &Path, port: &str) -> (Self, String) {
        let log = dir.join("log");
        let mut process = Self::spawn(dir, port, &log);
        let failure = match process.lines().recv_timeout(START_DEADLINE) {
            Ok(line) => match line.strip_prefix("ready ") {
                Some(server) => return (process, server.to_owned()),
                None => format!("said {line:?}"),
            },
            Err(RecvTimeoutError::Timeout) => format!("is not ready after {START_DEADLINE:?}"),
            Err(RecvTimeoutError::Disconnected) => {
                format!("ended: {:?}", process.child.wait())
            }
        };
        panic!("the test API server {failure}\n{}", tail(&log));
    }

    fn spawn(dir: &Path, port: &str, log: &Path) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(log);
        let mut child = Command::new(binary())
            .args(["control-plane", "--port", port, "--dir"])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.expect("create the log"))
            .spawn()
            .expect("start the test API server");
        let stdout = child.stdout.take().expect("a pipe from the server");
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
fn binary() -> PathBuf {
    let path = env::var_os("WEBHOOK_CLUSTER_BIN").map_or_else(
        || {
            let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
            Path::new(env!("CARGO_MANIFEST_DIR")).join(target).join("cluster/webhook-cluster")
        },
        PathBuf::from,
    );
    assert!(path.is_file(), "no test API server at {}: run `make cluster`", path.display());
    path
}

fn tail(log: &Path) -> String {
    let content = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = content.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
