//! The shim, built once for this process, and what it is told.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::support::http;
use crate::support::listener::Listener;
use crate::support::operator::{Folders, Operator, command, queued_manifest};

/// A machine whose disk fails as it is told: folders, and an operator over them behind the shim.
pub struct Machine {
    folders: Folders,
    /// Takes what is delivered.
    pub listener: Listener,
}

/// The webhook's retries: soon, and often enough for anything here.
const QUEUED: &str =
    "  delivery: {mode: Queued, ordering: ORDER, retry: {schedule: [200ms], maxAttempts: 100}}";

impl Machine {
    /// One whose webhook keeps the order, or does not.
    pub fn new(ordering: &str) -> Self {
        let (folders, listener) = (Folders::new(), Listener::start());
        let webhook = QUEUED.replace("ORDER", ordering);
        Self::of(folders, listener, &webhook)
    }

    /// One whose webhook takes what a provider has signed.
    pub fn verifying(provider: &str, secret: &str) -> Self {
        let (folders, listener) = (Folders::new(), Listener::start());
        folders.write(
            "secret.yaml",
            &format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: signing, namespace: team-a}}\nstringData: {{key: \"{secret}\"}}\n"
            ),
        );
        let verify =
            format!("  verify: [{{type: {provider}, secretRefs: [{{name: signing, key: key}}]}}]");
        Self::of(folders, listener, &verify)
    }

    fn of(folders: Folders, listener: Listener, webhook: &str) -> Self {
        folders.write("shop.yaml", &queued_manifest(&listener.url, "", webhook));
        // What the operator makes by itself is the folder within.
        fs::create_dir(folders.data()).unwrap();
        let machine = Self { folders, listener };
        machine.fail("none");
        machine
    }

    /// From the next operation on, the disk fails so: see `shim.c`.
    pub fn fail(&self, plan: &str) {
        let next = self.folders.data().join("next-plan");
        fs::write(&next, format!("{plan}\n")).unwrap();
        fs::rename(next, self.plan()).unwrap();
    }

    fn plan(&self) -> PathBuf {
        self.folders.data().join("plan")
    }

    /// The folder of the queue's files.
    pub fn queue(&self) -> PathBuf {
        self.folders.data().join("queue")
    }

    /// The queue's database.
    pub fn database(&self) -> PathBuf {
        self.queue().join("queue.sqlite3")
    }

    /// The command of an operator, with the shim before the disk.
    pub fn command(&self) -> Command {
        let mut command = self.plain_command();
        let data = self.folders.data().canonicalize().unwrap();
        command.env("LD_PRELOAD", built()).env("FAULTS_DIR", data.join("queue"));
        command.env("FAULTS_PLAN", self.plan());
        command
    }

    /// The command of an operator on the real disk.
    pub fn plain_command(&self) -> Command {
        let (manifests, data) = (self.folders.manifests(), self.folders.data());
        let mut command = command(&["standalone", "--manifests"]);
        command.arg(manifests).arg("--data-dir").arg(data);
        command
    }

    /// An operator that serves, with the shim before the disk.
    pub fn start(&self) -> Operator {
        let mut operator = Operator::spawn(self.command());
        operator.await_ready();
        operator
    }

    /// The ids of the calls that came so far, oldest first.
    pub fn received(&self) -> Vec<String> {
        let calls = std::iter::from_fn(|| self.listener.try_call());
        calls.map(|call| call.header("Webhook-Event-Id").unwrap().to_owned()).collect()
    }
}

/// An answer of a probe: its status, and what it says.
pub fn probe(operator: &Operator, path: &str) -> (u16, String) {
    let answer = http::request("GET", &format!("{}{path}", operator.admin), &[], b"");
    (answer.status, answer.body)
}

fn built() -> &'static PathBuf {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/shim.c");
        let shim = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("faults-{}.so", std::process::id()));
        let built = Command::new("cc")
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
            .arg(&shim)
            .args([source, "-ldl", "-lpthread"])
            .stdin(Stdio::null())
            .status();
        assert!(built.expect("a C compiler, `cc`").success(), "cc {source}");
        shim
    })
}
