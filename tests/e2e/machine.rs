//! What a node could leave on the machine, as far as the machine shows it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Settings of the kernel that kubelet would change.
const SETTINGS: [&str; 4] =
    ["kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "vm/panic_on_oom"];

/// Folders that programs of a node make where they are not told otherwise.
const FOLDERS: [&str; 8] = [
    "/run/containerd",
    "/run/netns",
    "/run/xtables.lock",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
];

/// Mounts, links, routes, firewall rules, control groups, process namespaces, folders and settings,
/// each as one line.
pub fn look() -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    seen.extend(lines("mount", &read("/proc/self/mounts")));
    seen.extend(lines("route", &read("/proc/self/net/route")));
    seen.extend(entries("/sys/class/net").map(|link| format!("link {link}")));
    seen.extend(firewall());
    seen.extend(control_groups(Path::new("/sys/fs/cgroup"), 2));
    seen.extend(process_namespaces());
    let folders = FOLDERS.iter().filter(|folder| Path::new(folder).exists());
    seen.extend(folders.map(|folder| format!("folder {folder}")));
    seen.extend(SETTINGS.map(|name| format!("{name} = {}", read(&format!("/proc/sys/{name}")))));
    seen
}

/// What is there now and was not there before.
pub fn new_since(before: &BTreeSet<String>) -> BTreeSet<String> {
    look().difference(before).cloned().collect()
}

fn firewall() -> Vec<String> {
    let output = Command::new("iptables-save").output().expect("iptables-save");
    assert!(output.status.success(), "{output:?}");
    let rules = String::from_utf8_lossy(&output.stdout).into_owned();
    // Comments hold the time, and headers of chains their counters.
    lines("rule", &rules).filter(|line| !line.starts_with("rule #")).collect()
}

/// Two levels are enough: hierarchies, and the groups at their roots.
fn control_groups(folder: &Path, depth: usize) -> Vec<String> {
    let mut groups = vec![format!("control group {}", folder.display())];
    let below = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in below.filter(|entry| depth > 0 && entry.file_type().is_ok_and(|t| t.is_dir())) {
        groups.extend(control_groups(&entry.path(), depth - 1));
    }
    groups
}

/// Processes of a node are in a namespace of their own; each is told with one of them.
fn process_namespaces() -> BTreeSet<String> {
    let pids = entries("/proc").filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let namespaces = pids.filter_map(|pid| fs::read_link(format!("/proc/{pid}/ns/pid")).ok());
    namespaces.map(|namespace| format!("processes in {}", namespace.display())).collect()
}

fn lines(what: &str, text: &str) -> impl Iterator<Item = String> {
    text.lines().map(move |line| format!("{what} {line}")).collect::<Vec<_>>().into_iter()
}

fn entries(folder: &str) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
