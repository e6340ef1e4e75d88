//! What the load is sent to, each a process or some, all in front of the same listener.

use std::time::Duration;

use anyhow::{Result, ensure};
use bench_kit::body::json_of;
use bench_kit::child::{Started, sibling};
use clap::ValueEnum;
use hyper::StatusCode;
use tempfile::TempDir;
use tokio::process::Command;

use crate::Programs;
use crate::measure::Target;
use crate::nginx::Nginx;
use crate::operator::{self, Operator};
use bench_kit::http::{self, Client};

const START_DEADLINE: Duration = Duration::from_secs(30);

/// The kinds of subjects, in the order in which they are loaded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Kind {
    /// webhook-operator, a Sync webhook.
    Operator,
    /// The bare hyper forwarder, which wraps and forwards the same body.
    Forwarder,
    /// nginx as a reverse proxy.
    Nginx,
    /// The listener itself, for reference.
    Listener,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Forwarder => "forwarder",
            Self::Nginx => "nginx",
            Self::Listener => "listener",
        }
    }
}

/// One subject, ready to be loaded.
pub struct Subject {
    pub kind: Kind,
    pub url: String,
    /// All its processes.
    pub pids: Vec<u32>,
    _running: Running,
}

/// What keeps a subject running; it ends when this is dropped.
#[expect(dead_code, reason = "held for their drop alone")]
enum Running {
    Elsewhere,
    Process(Started),
    Nginx(Nginx),
    Operator(Operator, TempDir),
}

impl Subject {
    /// Starts a subject in front of the listener and sees it answer.
    pub async fn start(kind: Kind, listener: &Listener, programs: &Programs) -> Result<Self> {
        let subject = match kind {
            Kind::Operator => Self::operator(listener, programs).await?,
            Kind::Forwarder => Self::forwarder(listener).await?,
            Kind::Nginx => Self::nginx(listener, programs).await?,
            Kind::Listener => Self {
                kind,
                url: listener.url(),
                pids: vec![listener.pid()],
                _running: Running::Elsewhere,
            },
        };
        subject.see_it_answer().await?;
        Ok(subject)
    }

    /// It as the load sees it.
    pub fn target(&self) -> Target<'_> {
        Target { name: self.kind.name(), url: &self.url, pids: &self.pids }
    }

    async fn operator(listener: &Listener, programs: &Programs) -> Result<Self> {
        let dir = operator::standalone_dir(&listener.url(), 1)?;
        let operator = Operator::standalone(programs, dir.path(), START_DEADLINE).await?;
        Ok(Self {
            kind: Kind::Operator,
            url: format!("{}{}", operator.trigger, operator::trigger_path(0)),
            pids: vec![operator.pid()],
            _running: Running::Operator(operator, dir),
        })
    }

    async fn forwarder(listener: &Listener) -> Result<Self> {
        let mut command = Command::new(sibling("bench-forwarder")?);
        command.arg("--listener").arg(&listener.address);
        let mut process = Started::new("bench-forwarder", &mut command, listener.dir.path())?;
        let address = process.line_after("ready ", START_DEADLINE).await?;
        Ok(Self {
            kind: Kind::Forwarder,
            url: format!("http://{address}/"),
            pids: vec![process.pid()],
            _running: Running::Process(process),
        })
    }

    async fn nginx(listener: &Listener, programs: &Programs) -> Result<Self> {
        let nginx = Nginx::start(&programs.nginx, &listener.address).await?;
        Ok(Self {
            kind: Kind::Nginx,
            url: format!("{}/", nginx.url),
            pids: nginx.pids()?,
            _running: Running::Nginx(nginx),
        })
    }

    /// One request, so that a subject that is set up wrongly is found before it is measured.
    async fn see_it_answer(&self) -> Result<()> {
        let authority = http::authority(&self.url)?;
        let path = &self.url["http://".len() + authority.len()..];
        let (status, body) = Client::new(authority).post(path, json_of(1024)).await?;
        ensure!(
            status == StatusCode::OK,
            "{} answers {status}: {}",
            self.kind.name(),
            String::from_utf8_lossy(&body)
        );
        Ok(())
    }
}

/// The trivial listener behind every subject; it ends when this is dropped.
pub struct Listener {
    process: Started,
    /// `HOST:PORT`.
    pub address: String,
    /// For logs; last, for the drop.
    dir: TempDir,
}

impl Listener {
    pub async fn start() -> Result<Self> {
        let dir = TempDir::with_prefix("webhook-bench-")?;
        let mut command = Command::new(sibling("bench-listener")?);
        let mut process = Started::new("bench-listener", &mut command, dir.path())?;
        let address = process.line_after("ready ", START_DEADLINE).await?;
        Ok(Self { process, address, dir })
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}
