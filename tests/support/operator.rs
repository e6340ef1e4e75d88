//! The program itself, started as a user starts it.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::http;

/// How long anything may take that takes milliseconds on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The UUID of the app in [`manifest`].
pub const APP: &str = "14361375-54d4-4ddb-8d2d-0dd212e13cd1";

/// The UUID of the webhook in [`manifest`].
pub const WEBHOOK: &str = "c14990db-96a1-44c6-b13a-8ab12db96f61";

/// The folders of a standalone operator; gone with it.
pub struct Folders {
    root: tempfile::TempDir,
}

impl Folders {
    /// Empty folders.
    pub fn new() -> Self {
        let root = tempfile::TempDir::with_prefix("webhook-operator-").unwrap();
        fs::create_dir(root.path().join("manifests")).unwrap();
        Self { root }
    }

    /// The folder of manifests.
    pub fn manifests(&self) -> PathBuf {
        self.root.path().join("manifests")
    }

    /// The data dir.
    pub fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// Writes a manifest.
    pub fn write(&self, name: &str, yaml: &str) {
        // Renamed into place, so that nobody reads half of it.
        let temporary = self.root.path().join("next");
        fs::write(&temporary, yaml).unwrap();
        fs::rename(temporary, self.manifests().join(name)).unwrap();
    }

    /// Deletes a manifest.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.manifests().join(name)).unwrap();
    }

    /// Waits until the status file of an object says what is asked for.
    pub fn await_status(&self, kind: &str, key: &str, says: impl Fn(&str) -> bool) -> String {
        let path = self.data().join(format!("status/{kind}/{key}.yaml"));
        let mut last = String::new();
        eventually(&format!("{} to say so", path.display()), || {
            last = fs::read_to_string(&path).unwrap_or_default();
            says(&last).then(|| last.clone())
        })
    }
}

/// An operator process. Ended when dropped.
pub struct Operator {
    child: Child,
    /// The data dir, where no test has one of its own.
    _data: Option<tempfile::TempDir>,
    lines: Receiver<String>,
    log: Arc<Mutex<VecDeque<String>>>,
    /// `http://...` of the trigger port.
    pub trigger: String,
    /// `http://...` of the app API.
    pub app_api: String,
    /// `http://...` of the admin port.
    pub admin: String,
}

impl Operator {
    /// `standalone` over these folders, on free ports.
    pub fn standalone(folders: &Folders, flags: &[&str]) -> Self {
        let (manifests, data) = (folders.manifests(), folders.data());
        let mut args = vec!["standalone", "--manifests", manifests.to_str().unwrap()];
        args.extend(["--data-dir", data.to_str().unwrap()]);
        args.extend(flags);
        Self::start(&args, None)
    }

    /// `run` against an API server, on free ports.
    pub fn run(kubeconfig: &Path, flags: &[&str]) -> Self {
        let mut args = vec!["run", "--listener-allow-url", "--listener-allow-cidr", "127.0.0.0/8"];
        args.extend(flags);
        Self::start(&args, Some(kubeconfig))
    }

    /// Any subcommand that serves; with a kubeconfig, in a data dir of its own.
    pub fn start(args: &[&str], kubeconfig: Option<&Path>) -> Self {
        let mut command = command(args);
        let data = kubeconfig.map(|_| tempfile::TempDir::with_prefix("webhook-operator-").unwrap());
        if let Some(data) = &data {
            command.arg("--data-dir").arg(data.path());
        }
        if let Some(kubeconfig) = kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        let mut operator = Self::spawn(command);
        operator._data = data;
        operator.await_ready();
        operator
    }

    /// Starts a command that serves, on free ports, and does not wait for it.
    pub fn spawn(mut command: Command) -> Self {
        on_free_ports(&mut command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let errors = BufReader::new(child.stderr.take().unwrap());
        let kept = log.clone();
        thread::spawn(move || {
            errors
                .lines()
                .map_while(Result::ok)
                .for_each(|line| kept.lock().unwrap().push_back(line));
        });
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        Self {
            child,
            _data: None,
            lines,
            log,
            trigger: String::new(),
            app_api: String::new(),
            admin: String::new(),
        }
    }

    /// Waits until it serves.
    pub fn await_ready(&mut self) {
        assert!(self.is_ready(), "no ready line; the log: {:#?}", self.log());
    }

    /// Waits until it serves or ends, and says whether it serves.
    pub fn is_ready(&mut self) -> bool {
        let line = match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => {
                panic!("it neither serves nor ends: {:#?}", self.log())
            }
        };
        let urls = line.strip_prefix("ready ").unwrap_or_else(|| panic!("not ready: {line}"));
        let url = |name: &str| {
            let mut pairs = urls.split(' ').filter_map(|pair| pair.split_once('='));
            pairs.find(|(n, _)| *n == name).map(|(_, url)| url.to_owned()).unwrap()
        };
        (self.trigger, self.app_api, self.admin) = (url("trigger"), url("app-api"), url("admin"));
        true
    }

    /// The next line on stdout after the ready line.
    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line on stdout")
    }

    /// The URL of the webhook in [`manifest`].
    pub fn url(&self) -> String {
        format!("{}/apps/{APP}/webhooks/{WEBHOOK}", self.trigger)
    }

    /// The log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().cloned().collect()
    }

    /// Waits until the log has a line with all of these words.
    pub fn await_log(&self, words: &[&str]) -> String {
        let matches = |line: &&String| words.iter().all(|word| line.contains(word));
        let found = poll(|| self.log().iter().find(matches).cloned());
        found.unwrap_or_else(|| panic!("no log line with {words:?}: {:#?}", self.log()))
    }

    /// Waits until `/readyz` answers 200.
    pub fn await_synced(&self) {
        let url = format!("{}/readyz", self.admin);
        eventually("/readyz", || {
            (http::request("GET", &url, &[], b"").status == 200).then_some(())
        });
    }

    /// Ends it with SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        poll(|| self.child.try_wait().unwrap()).expect("the operator to end")
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with these arguments.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_webhook-operator"));
    command.args(args).stdin(Stdio::null());
    command
}

/// The same, for one that serves: on a port that is free, where none is given.
pub fn on_free_ports(command: &mut Command) -> &mut Command {
    for flag in ["--trigger-addr", "--app-api-addr", "--admin-addr"] {
        if !command.get_args().any(|given| given == flag) {
            command.args([flag, "127.0.0.1:0"]);
        }
    }
    command
}

/// Runs a subcommand that ends by itself.
pub fn output(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// What makes a webhook answer as its listener answers.
pub const SYNC: &str = "  delivery: {mode: Sync}";

/// An app and a webhook with known UUIDs, which answers as its listener answers. `app` and `webhook` are
/// further lines of their specs.
pub fn manifest(listener: &str, app: &str, webhook: &str) -> String {
    queued_manifest(listener, app, &format!("{SYNC}\n{webhook}"))
}

/// The same, whose triggers are answered once they are stored.
pub fn queued_manifest(listener: &str, app: &str, webhook: &str) -> String {
    format!(
        "apiVersion: lenra.io/v1alpha1
kind: WebhookApp
metadata: {{name: shop, namespace: team-a}}
spec:
  uuid: {APP}
  listener:
    url: {listener}
{app}
---
apiVersion: lenra.io/v1alpha1
kind: Webhook
metadata: {{name: payments, namespace: team-a}}
spec:
  uuid: {WEBHOOK}
  app: shop
  action: exampleListener
{webhook}
"
    )
}

/// Polls until there is a value; fails after [`PATIENCE`].
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    poll(look).unwrap_or_else(|| panic!("waited in vain for {what}"))
}

fn poll<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
