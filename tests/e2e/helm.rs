//! Helm with the project's chart, as an administrator of the node uses it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::admin::Admin;
use crate::support::process::target;

/// Name and namespace of the release, and of its objects.
pub const RELEASE: &str = "webhook-operator";

/// The values that every installation here needs: the image that `make e2e` made, and volumes that there
/// are.
const NEEDED: [&str; 3] =
    ["image.repository=webhook-operator", "image.tag=e2e", "persistence.storageClass=e2e"];

/// Helm for one cluster; what it remembers goes with it.
pub struct Helm {
    kubeconfig: PathBuf,
    home: TempDir,
    /// The values that are set, beyond the defaults of the chart.
    values: Vec<String>,
}

impl Helm {
    /// Helm for a cluster.
    pub fn new(admin: &Admin) -> Self {
        Self {
            kubeconfig: admin.kubeconfig().to_owned(),
            home: TempDir::with_prefix("webhook-helm-").expect("a temporary directory"),
            values: NEEDED.map(str::to_owned).into(),
        }
    }

    /// From now on, also sets these values: `key=value`.
    pub fn set(&mut self, values: &[&str]) {
        self.values.extend(values.iter().map(|value| (*value).to_owned()));
    }

    /// Installs the chart from its folder, and waits until it is ready.
    pub fn install(&self) {
        self.with_chart("install", &chart());
    }

    /// Upgrades to the chart in a folder, and waits until it is ready.
    pub fn upgrade(&self, chart: &Path) {
        self.with_chart("upgrade", chart);
    }

    /// Uninstalls, and waits until everything is gone.
    pub fn uninstall(&self) {
        self.run(&["uninstall", RELEASE, "--namespace", RELEASE, "--wait", "--timeout=120s"]);
    }

    /// Runs it, which must succeed; returns what it prints.
    pub fn run(&self, args: &[&str]) -> String {
        let home = |folder: &str| self.home.path().join(folder);
        let output = Command::new(target().join("cluster/helm"))
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HELM_CACHE_HOME", home("cache"))
            .env("HELM_CONFIG_HOME", home("config"))
            .env("HELM_DATA_HOME", home("data"))
            .output()
            .expect("start helm");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "helm {args:?}: {said}{errors}{}", self.cluster());
        said
    }

    /// What the cluster says of its pods, for the message of a failure.
    fn cluster(&self) -> String {
        let asked = [
            &["get", "pods,persistentvolumeclaims", "-A", "-o", "wide"][..],
            &["get", "events", "-A", "--sort-by=.lastTimestamp"],
        ];
        let told = asked.map(|args| {
            let mut kubectl = Command::new(target().join("cluster/webhook-cluster"));
            kubectl
                .arg("kubectl")
                .args(args)
                .env("KUBECONFIG", &self.kubeconfig)
                .env("KUBERC", "off");
            let output = kubectl.output().expect("start kubectl");
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        });
        told.join("\n")
    }

    fn with_chart(&self, verb: &str, chart: &Path) {
        let chart = chart.to_str().expect("a path in UTF-8");
        let mut args = vec![verb, RELEASE, chart, "--namespace", RELEASE];
        args.extend(["--wait", "--timeout=180s"]);
        args.extend(self.values.iter().flat_map(|value| ["--set", value]));
        self.run(&args);
    }
}

/// The chart's folder.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/webhook-operator")
}

/// A copy of the chart's folder, to change.
pub fn copy_of_chart() -> TempDir {
    let copy = TempDir::with_prefix("webhook-chart-").expect("a temporary directory");
    let contents = chart().join(".");
    let copied = Command::new("cp").arg("-r").args([contents, copy.path().into()]).status();
    assert!(copied.expect("start cp").success());
    copy
}
