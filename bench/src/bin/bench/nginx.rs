//! nginx as a reverse proxy to the listener, with its own configuration and nothing of Debian's.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bench_kit::child::Started;
use bench_kit::{cores, procfs};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::sleep;

const START_DEADLINE: Duration = Duration::from_secs(10);
const START_POLL: Duration = Duration::from_millis(20);

/// A running nginx; it ends when this is dropped.
pub struct Nginx {
    process: Started,
    /// The base URL, without a slash at its end.
    pub url: String,
    /// Last, for the drop: nginx writes there until it has ended.
    _dir: TempDir,
}

impl Nginx {
    /// Starts nginx in front of the listener at `upstream` (`HOST:PORT`) and returns when all
    /// its workers are there.
    pub async fn start(program: &Path, upstream: &str) -> Result<Self> {
        let dir = TempDir::with_prefix("webhook-bench-nginx-")?;
        let workers = std::thread::available_parallelism()?.get();
        let address = free_address()?;
        let configuration = dir.path().join("nginx.conf");
        fs::write(&configuration, configure(workers, &address, upstream))?;
        let mut nginx = Self {
            process: spawn(program, dir.path(), &configuration)?,
            url: format!("http://{address}"),
            _dir: dir,
        };
        nginx.wait_ready(&address, workers).await?;
        Ok(nginx)
    }

    /// The master and its workers.
    pub fn pids(&self) -> Result<Vec<u32>> {
        let mut pids = procfs::children(self.process.pid())?;
        pids.push(self.process.pid());
        Ok(pids)
    }

    async fn wait_ready(&mut self, address: &str, workers: usize) -> Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            self.process.check_running()?;
            if self.pids()?.len() > workers && TcpStream::connect(address).await.is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("nginx has not started in {START_DEADLINE:?}");
            }
            sleep(START_POLL).await;
        }
    }
}

fn spawn(program: &Path, dir: &Path, configuration: &Path) -> Result<Started> {
    let start = |program: &Path| {
        let mut command = Command::new(program);
        // Without `-e` it would try its compiled-in log before it reads the configuration.
        command.arg("-e").arg("stderr").arg("-p").arg(dir).arg("-c").arg(configuration);
        Started::new("nginx", &mut command, dir)
    };
    start(program)
        // Debian's place, which is on the path of root alone.
        .or_else(
            |error| {
                if is_missing(&error) { start(Path::new("/usr/sbin/nginx")) } else { Err(error) }
            },
        )
        .map_err(|error| if is_missing(&error) { missing(program) } else { error })
}

fn is_missing(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == ErrorKind::NotFound)
}

fn missing(program: &Path) -> anyhow::Error {
    anyhow::anyhow!(
        "{} is not installed: install Debian's package nginx-light (or nginx), \
         or leave it out with --subjects",
        program.display()
    )
}

/// A port that nobody listens on just now: nginx cannot say which one it took.
fn free_address() -> Result<String> {
    let socket = TcpListener::bind(cores::any_loopback_port()).context("take a free port")?;
    Ok(socket.local_addr()?.to_string())
}

/// As lean as nginx can be made for this task, so that the comparison is with its best.
fn configure(workers: usize, address: &str, upstream: &str) -> String {
    format!(
        r#"daemon off;
worker_processes {workers};
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    # A connection lives as long as the run, as it does with the other subjects.
    keepalive_requests 1000000000;
    # Bodies stay in memory, as they do with the other subjects.
    client_max_body_size 32m;
    client_body_buffer_size 1m;
    upstream listener {{
        server {upstream};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {address} reuseport;
        location / {{
            proxy_pass http://listener;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"#
    )
}
