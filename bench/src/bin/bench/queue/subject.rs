//! An operator with one webhook whose events are stored.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use bench_kit::cores::any_loopback_port;
use serde_json::json;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use super::Options;
use crate::Programs;
use crate::measure::Target;
use crate::operator::{self, Operator};

/// It counts what it finds undelivered before it is ready.
const START_DEADLINE: Duration = Duration::from_secs(120);

/// The manifests of the operator, and its data; gone when this is dropped.
pub struct Home {
    dir: TempDir,
}

impl Home {
    /// A new one within a folder.
    pub fn new(folder: &Path, listener_url: &str, options: &Options) -> Result<Self> {
        let dir = TempDir::with_prefix_in("webhook-bench-", folder)?;
        let manifests = dir.path().join("manifests");
        fs::create_dir(&manifests)?;
        fs::create_dir(dir.path().join("data"))?;
        let delivery = [("delivery".to_owned(), json!({"concurrency": options.concurrency}))];
        let app = operator::app_with(listener_url, delivery.into_iter().collect());
        fs::write(manifests.join("app.yaml"), app)?;
        let queued = [("delivery".to_owned(), json!({"mode": "Queued"}))];
        let webhook = operator::webhook_with(0, queued.into_iter().collect());
        fs::write(manifests.join("webhook.yaml"), webhook)?;
        Ok(Self { dir })
    }

    /// The folder, which is on the same disk as the store.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Starts the operator, anew or for the first time.
    pub async fn start(&self, programs: &Programs) -> Result<Subject> {
        let operator = Operator::standalone(programs, self.path(), START_DEADLINE).await?;
        let url = format!("{}{}", operator.trigger, operator::trigger_path(0));
        Ok(Subject { url, pids: [operator.pid()], operator })
    }
}

/// A running operator; it ends when this is dropped.
pub struct Subject {
    pub operator: Operator,
    pub url: String,
    pids: [u32; 1],
}

impl Subject {
    /// It as the load sees it.
    pub fn target(&self) -> Target<'_> {
        Target { name: "operator", url: &self.url, pids: &self.pids }
    }

    pub fn pid(&self) -> u32 {
        self.operator.pid()
    }
}

/// A port that is taken and refuses connections, as long as this lives: a listener that is down.
pub struct Down {
    socket: Socket,
}

impl Down {
    pub fn new() -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&any_loopback_port().into())?;
        Ok(Self { socket })
    }

    pub fn url(&self) -> Result<String> {
        let address = self.socket.local_addr()?.as_socket();
        let address = address.ok_or_else(|| anyhow::anyhow!("it is bound to an address of IP"))?;
        Ok(format!("http://{address}/"))
    }
}

#[cfg(test)]
mod tests {
    use super::Down;
    use std::io::ErrorKind;
    use std::net::TcpStream;

    #[test]
    fn a_listener_that_is_down_refuses_connections() {
        let down = Down::new().unwrap();
        let address = down.url().unwrap();
        let address = address.trim_start_matches("http://").trim_end_matches('/');
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}
