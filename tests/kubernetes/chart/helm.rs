//! Helm at work on the chart, and what it renders.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Without a cluster Helm assumes a version that is older than the chart's least.
const KUBERNETES: &str = "1.34.4";

/// The namespace and the release of what is rendered.
pub const NAME: &str = "webhook-operator";

/// A path of the project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The chart's folder.
pub fn chart() -> PathBuf {
    project("charts/webhook-operator")
}

/// What `tests/cluster/build.sh` puts beside the test API server.
///
/// # Panics
/// When it is not there.
pub fn tool(name: &str) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let path = project("").join(target).join("cluster").join(name);
    assert!(path.exists(), "no {}: run `make cluster`", path.display());
    path
}

/// Runs Helm: what it prints, or what it says against it.
pub fn helm(args: &[&str], kubeconfig: Option<&Path>) -> Result<String, String> {
    let mut command = Command::new(tool("helm"));
    // Never the cluster of who runs the tests.
    command.args(args).env("KUBECONFIG", kubeconfig.unwrap_or_else(|| Path::new("/dev/null")));
    let output = command.output().expect("start Helm");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8 of Helm");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Renders a release of the chart with further flags.
pub fn try_render_release(release: &str, flags: &[&str]) -> Result<String, String> {
    let chart = chart();
    let args = ["template", release, chart.to_str().expect("UTF-8"), "--namespace", NAME];
    helm(&[&args[..], &["--kube-version", KUBERNETES], flags].concat(), None)
}

/// Renders the chart with further flags.
pub fn try_render(flags: &[&str]) -> Result<String, String> {
    try_render_release(NAME, flags)
}

/// Renders the chart with further flags, which it must accept.
pub fn render(flags: &[&str]) -> String {
    try_render(flags).unwrap_or_else(|said| panic!("helm template {flags:?}: {said}"))
}

/// Lints the chart, warnings being mistakes.
pub fn lint(flags: &[&str]) -> Result<String, String> {
    let chart = chart();
    let args = ["lint", "--strict", "--kube-version", KUBERNETES, chart.to_str().expect("UTF-8")];
    helm(&[&args[..], flags].concat(), None)
}

/// The objects of a rendering.
pub fn objects(rendered: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(rendered).expect("YAML of Helm");
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// The one object of a kind.
pub fn object(rendered: &str, kind: &str) -> Value {
    let mut found = objects(rendered).into_iter().filter(|object| object["kind"] == kind);
    let object = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    object
}
