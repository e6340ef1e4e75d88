//! The processes of pods, as the machine sees them.

use std::fs;
use std::process::Command;

/// Ends the operator in a pod with SIGKILL, as the kernel does when memory runs out: it can finish
/// nothing and give nothing back. Its container starts again.
pub fn kill_operator(pod: &str) {
    let variable = format!("POD_NAME={pod}");
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_pod = pids.filter(|pid| has(*pid, "environ", &variable) && has(*pid, "cmdline", "run"));
    let found: Vec<_> = of_pod.map(|pid| pid.to_string()).collect();
    assert_eq!(found.len(), 1, "the operator's process in {pod}");
    let killed = Command::new("kill").args(["-KILL", &found[0]]).status().expect("start kill");
    assert!(killed.success());
}

/// Whether one of the words in a file of a process is this one.
fn has(pid: u32, file: &str, word: &str) -> bool {
    let words = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    words.split(|byte| *byte == 0).any(|found| found == word.as_bytes())
}
