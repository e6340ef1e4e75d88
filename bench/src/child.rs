//! Processes that a program starts, and that end with it.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const LOG_TAIL_LINES: usize = 15;

/// A started process with its errors in a log file. Dropping it ends the process: asks it to,
/// waits as long as `GRACE`, then kills it, and its children by their process ids.
#[derive(Debug)]
pub struct Started {
    name: String,
    child: Child,
    pid: u32,
    log: PathBuf,
    stdin: Option<ChildStdin>,
    stdout: Option<Lines<BufReader<ChildStdout>>>,
}

/// How long a process may take to end by itself.
const GRACE: Duration = Duration::from_secs(8);
/// Between two looks at whether it has ended.
const END_POLL: Duration = Duration::from_millis(20);

impl Started {
    /// Starts `command` with pipes to its standard input and output, and its errors in
    /// `logs/NAME.log`.
    ///
    /// # Errors
    /// When the program cannot be started, e.g. as it does not exist.
    pub fn new(name: &str, command: &mut Command, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program(command)))?;
        Ok(Self {
            name: name.to_owned(),
            pid: child.id().context("it has been started just now")?,
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map(|stdout| BufReader::new(stdout).lines()),
            child,
            log,
        })
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Reads its standard output up to the first line that begins with `prefix`, and returns
    /// the rest of that line. Whatever follows is read and dropped, so that the process never
    /// waits for us.
    ///
    /// # Errors
    /// With the end of its log, when the line does not come before the deadline.
    pub async fn line_after(&mut self, prefix: &str, deadline: Duration) -> Result<String> {
        let mut lines = self.stdout.take().context("its output is read already")?;
        let line = timeout(deadline, find_line(&mut lines, prefix)).await;
        match line {
            Ok(Some(rest)) => {
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                Ok(rest)
            }
            Ok(None) => bail!("{} ended before `{prefix}`{}", self.name, self.log_tail()),
            Err(_) => bail!("{} said no `{prefix}` in {deadline:?}{}", self.name, self.log_tail()),
        }
    }

    /// Whether it has ended by itself.
    ///
    /// # Errors
    /// With the end of its log, when it has.
    pub fn check_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended: {status}{}", self.name, self.log_tail()),
        }
    }

    /// Ends it with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// With the end of its log, when it had ended by itself.
    pub async fn kill(mut self) -> Result<()> {
        self.check_running()?;
        Ok(self.child.kill().await?)
    }

    /// Stops it (SIGSTOP): it does nothing until [`Self::resume`].
    pub fn pause(&self) {
        signal(self.pid, Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        signal(self.pid, Signal::CONT);
    }

    /// The last lines of its errors, each on a line of its own; to be put behind a message.
    fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
        tail.iter().flat_map(|line| ["\n  | ", line]).collect()
    }

    /// Asks it to end, in both ways that the programs here know.
    fn ask_to_end(&mut self) {
        self.stdin = None;
        signal(self.pid, Signal::TERM);
    }

    fn ends_within(&mut self, grace: Duration) -> bool {
        let deadline = Instant::now() + grace;
        while Instant::now() < deadline {
            // An error says that it is no child any more.
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            thread::sleep(END_POLL);
        }
        false
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // A killed master would leave its workers: they must be known before.
        let children = crate::procfs::children(self.pid).unwrap_or_default();
        self.ask_to_end();
        if self.ends_within(GRACE) {
            return;
        }
        for pid in children.into_iter().chain([self.pid]) {
            signal(pid, Signal::KILL);
        }
        self.ends_within(GRACE);
    }
}

async fn find_line<R: AsyncRead + Unpin>(
    lines: &mut Lines<BufReader<R>>,
    prefix: &str,
) -> Option<String> {
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(rest) = line.strip_prefix(prefix) {
            return Some(rest.trim().to_owned());
        }
    }
    None
}

/// A process that has ended already is none to signal: the error says nothing new.
fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

fn program(command: &Command) -> String {
    let program: &OsStr = command.as_std().get_program();
    program.to_string_lossy().into_owned()
}

/// A program of the same build as the running one.
///
/// # Errors
/// When it has not been built beside it.
pub fn sibling(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if path.is_file() {
        return Ok(path);
    }
    bail!(
        "{} is missing: build the workspace with `cargo build --release --workspace`",
        path.display()
    )
}
