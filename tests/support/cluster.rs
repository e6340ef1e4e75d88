//! A real Kubernetes API server for the tests: started fresh, ended with its owner.

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::admin::Admin;
use super::process::Process;

/// A start takes about 3 s; the rest is for a machine that compiles beside it.
const START_DEADLINE: Duration = Duration::from_secs(120);

/// An API server with its own data, which ends when this is dropped.
///
/// It has the namespaces of Kubernetes and no controllers: no `ServiceAccount`
/// `default`, no garbage collection, no pods. It derefs to its administrator.
pub struct Cluster {
    /// Before `dir`, for the drop: the process writes there until it has ended.
    process: Option<Process>,
    admin: Admin,
    dir: TempDir,
}

impl Cluster {
    /// Starts an empty API server and returns when it is ready.
    ///
    /// # Panics
    ///
    /// When the binary is not built, and when the server does not get ready.
    pub fn start() -> Self {
        let dir = TempDir::with_prefix("webhook-cluster-").expect("a temporary directory");
        let (process, server) = start_process(dir.path(), "0");
        Self { process: Some(process), admin: Admin::new(dir.path(), server), dir }
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
        let (_, port) = self.server().rsplit_once(':').expect("a port in the URL");
        let (process, server) = start_process(self.dir.path(), port);
        assert_eq!(server, self.server());
        self.process = Some(process);
    }
}

impl Deref for Cluster {
    type Target = Admin;

    fn deref(&self) -> &Admin {
        &self.admin
    }
}

fn start_process(dir: &Path, port: &str) -> (Process, String) {
    Process::start(&["control-plane", "--port", port], dir, START_DEADLINE)
}
