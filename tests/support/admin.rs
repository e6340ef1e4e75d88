//! What an administrator does with a cluster of the tests: kubectl and kubeconfigs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use super::process::binary;

/// The administrator of the cluster whose files are in a folder.
pub struct Admin {
    dir: PathBuf,
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

impl Admin {
    /// Of the cluster that keeps its files in `dir` and serves at `server`.
    pub fn new(dir: &Path, server: String) -> Self {
        Self { dir: dir.to_owned(), kubeconfig: dir.join("kubeconfig"), server }
    }

    /// The kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The URL of the API server; the same after a restart.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// What the API server was asked for: a line of JSON, an `Event` of `audit.k8s.io/v1`, for
    /// each request when it was answered. A watch is told when it ends.
    pub fn audit_log(&self) -> PathBuf {
        self.dir.join("audit.log")
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
            .env("KUBECACHEDIR", self.dir.join("kubectl-cache"))
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
        let path = self.dir.join(format!("kubeconfig-{namespace}-{service_account}"));
        let authority = self.dir.join("certificates/apiserver.crt");
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
}
