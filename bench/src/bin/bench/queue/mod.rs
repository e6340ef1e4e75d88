//! The durable queue: what is accepted and delivered per second beside the limit that the disk sets,
//! how long an event waits when nothing else does, and what a million undelivered ones take.

mod accept;
mod backlog;
mod idle;
mod raw;
mod subject;
mod through;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use bench_kit::stats::Spread;
use clap::{Args, ValueEnum};
use hyper::StatusCode;

use crate::Programs;
use crate::measure::Load;

/// Bytes of the bodies.
const SIZE: usize = 1024;

#[derive(Args, Clone)]
#[group(skip)]
pub struct Options {
    /// What to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Options::default().parts)]
    parts: Vec<Part>,
    /// How often `accept` measures each number of clients.
    #[arg(long, default_value_t = Options::default().rounds)]
    rounds: usize,
    /// How long each time.
    #[arg(long, default_value_t = Options::default().seconds)]
    seconds: f64,
    /// Connections of the load, for `accept`.
    #[arg(long, value_delimiter = ',', default_values_t = Options::default().clients)]
    clients: Vec<usize>,
    /// How long `through` sends.
    #[arg(long, default_value_t = Options::default().through_seconds)]
    through_seconds: f64,
    /// Events per second that `through` sends first; then as many as are taken.
    #[arg(long, default_value_t = Options::default().rate)]
    rate: f64,
    /// Attempts that the app may make at once, for `through`.
    #[arg(long, default_value_t = Options::default().concurrency)]
    concurrency: usize,
    /// Events of `idle`, one after the other.
    #[arg(long, default_value_t = Options::default().samples)]
    samples: usize,
    /// Undelivered events of `backlog`.
    #[arg(long, default_value_t = Options::default().undelivered)]
    undelivered: u64,
    /// Where the store is, and the file of bare group commit; by default where this program is. A
    /// folder in memory would make a sync cost nothing.
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Part {
    /// Accepted per second while nothing is delivered.
    Accept,
    /// Accepted and delivered per second.
    Through,
    /// From the 202 to the call, one event at a time.
    Idle,
    /// Memory and CPU with many undelivered events.
    Backlog,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            parts: vec![Part::Accept, Part::Through, Part::Idle, Part::Backlog],
            rounds: 3,
            seconds: 3.0,
            clients: vec![1, 16, 64, 256],
            through_seconds: 20.0,
            rate: 8000.0,
            concurrency: 64,
            samples: 500,
            undelivered: 1_000_000,
            folder: None,
        }
    }
}

pub async fn run(options: &Options, programs: &Programs) -> Result<()> {
    let folder = options.folder()?;
    for part in &options.parts {
        match part {
            Part::Accept => accept::run(options, &folder, programs).await?,
            Part::Through => through::run(options, &folder, programs).await?,
            Part::Idle => idle::run(options, &folder, programs).await?,
            Part::Backlog => backlog::run(options, &folder, programs).await?,
        }
    }
    Ok(())
}

impl Options {
    fn folder(&self) -> Result<PathBuf> {
        match &self.folder {
            Some(folder) => Ok(folder.canonicalize()?),
            None => {
                let program = std::env::current_exe()?;
                Ok(program.parent().context("a program is in a folder")?.to_owned())
            }
        }
    }
}

/// A load of events that are to be stored.
fn load(clients: usize, seconds: f64, rate: Option<f64>) -> Load {
    let status = StatusCode::ACCEPTED;
    Load { size: SIZE, seconds, clients, headers: Vec::new(), status, rate, requests: None }
}

/// The spread of some figures, with so many digits.
fn cell(figures: impl IntoIterator<Item = f64>, digits: usize) -> String {
    Spread::of(figures).map_or_else(String::new, |spread| format!("{spread:.digits$}"))
}
