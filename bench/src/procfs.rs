//! What `/proc` says of processes and of the machine: CPU time and resident memory.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};

/// Clock ticks per second in `/proc`: a constant of Linux's interface to user space, whatever
/// the kernel's own timer runs at.
const TICKS_PER_SECOND: f64 = 100.0;

/// The user and system time of some processes together, in seconds.
///
/// The kernel scales these ticks by the scheduler's exact run time, so that the sum is not
/// sampled; its resolution is 10 ms.
///
/// # Errors
/// When one of the processes has ended.
pub fn cpu_seconds(pids: &[u32]) -> Result<f64> {
    let mut ticks = 0;
    for pid in pids {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("process {pid} has ended"))?;
        ticks += cpu_ticks(&stat).with_context(|| format!("/proc/{pid}/stat: {stat}"))?;
    }
    Ok(seconds(ticks))
}

/// The same for each thread of a process by its name, without the number at its end: threads of one
/// kind are one.
///
/// # Errors
/// When the process has ended.
pub fn cpu_seconds_by_thread(pid: u32) -> Result<BTreeMap<String, f64>> {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that ended since the directory was read is none.
        let stat = fs::read_to_string(entry?.path().join("stat")).unwrap_or_default();
        if let Some((name, ticks)) = thread_name(&stat).zip(cpu_ticks(&stat)) {
            *threads.entry(name.to_owned()).or_default() += seconds(ticks);
        }
    }
    Ok(threads)
}

/// CPU time that the whole machine has spent busy since it started, in seconds.
///
/// # Errors
/// When `/proc/stat` does not read as on Linux.
pub fn busy_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let ticks = busy_ticks(&stat).context("/proc/stat has no line of all CPUs")?;
    Ok(seconds(ticks))
}

/// The cores of the whole machine, of which [`busy_seconds`] is the sum; a process may be allowed
/// fewer.
///
/// # Errors
/// When `/proc/stat` cannot be read.
pub fn cores() -> Result<f64> {
    Ok(f64::from(core_lines(&fs::read_to_string("/proc/stat")?)))
}

/// Resident memory of a process, in bytes.
///
/// # Errors
/// When the process has ended.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} has ended"))?;
    let kib: u64 = field(&status, "VmRSS:").context("the process has no memory")?;
    Ok(kib * 1024)
}

/// The processes whose parent is `parent`.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn children(parent: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process that ended since the directory was read is nobody's child.
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        if field(&status, "PPid:") == Some(parent) {
            children.push(pid);
        }
    }
    Ok(children)
}

/// Fields 14 and 15 of a `stat` line; the second field, the command, may hold spaces.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_command) = stat.rsplit_once(')')?;
    let mut fields = after_command.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The second field, without its brackets and the number at its end.
fn thread_name(stat: &str) -> Option<&str> {
    let name = stat.split_once('(')?.1.rsplit_once(')')?.0;
    Some(name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-'))
}

/// user, nice, system, (idle, iowait,) irq, softirq and steal of the first line.
fn busy_ticks(stat: &str) -> Option<u64> {
    let all = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> =
        all.split_ascii_whitespace().take(8).map_while(|field| field.parse().ok()).collect();
    let &[user, nice, system, _idle, _iowait, irq, softirq, steal] = fields.as_slice() else {
        return None;
    };
    Some(user + nice + system + irq + softirq + steal)
}

/// Each core has a line of its own behind the first one: `cpu0`, `cpu1` and so on.
fn core_lines(stat: &str) -> u32 {
    let is_core = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    stat.lines().filter(is_core).map(|_| 1).sum()
}

/// The number after `name` in a `status` file.
fn field<N: std::str::FromStr>(status: &str, name: &str) -> Option<N> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn seconds(ticks: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "ticks stay far below 2^52")]
    let ticks = ticks as f64;
    ticks / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::{busy_ticks, core_lines, cpu_ticks, field, thread_name};

    #[test]
    fn cpu_time_is_found_behind_a_command_with_spaces_and_brackets() {
        let stat = "42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1 0 77";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(thread_name(stat), Some("a ) b"));
        assert_eq!(thread_name("42 (trigger-12) S 1"), Some("trigger"));
    }

    #[test]
    fn waiting_is_not_busy_and_the_line_of_all_cores_is_none() {
        let stat = "cpu  1 2 3 1000 1000 4 5 6 0 0\ncpu0 9 9 9 9 9 9 9 9 0 0\n";
        assert_eq!(busy_ticks(stat), Some(21));
        assert_eq!(core_lines(stat), 1);
    }

    #[test]
    fn a_status_field_is_the_number_after_its_name() {
        let status = "Name:\tx\nPPid:\t7\nVmRSS:\t  1234 kB\n";
        assert_eq!(field(status, "VmRSS:"), Some(1234_u64));
        assert_eq!(field(status, "PPid:"), Some(7_u32));
        assert_eq!(field::<u32>(status, "Gone:"), None);
    }
}
