//! Accepted per second while nothing is delivered, beside bare group commit on the same disk.

use std::path::Path;

use anyhow::Result;
use bench_kit::body::json_of;
use bench_kit::stats::Spread;

use super::subject::{Down, Home, Subject};
use super::{Options, SIZE, cell, load, raw};
use crate::measure::{self, Run, measure};
use crate::subject::Listener;
use crate::{Programs, aim};
use bench_kit::table::{self, row};

const WARM_UP_SECONDS: f64 = 1.0;
/// The aims are those of so many clients.
const CLIENTS_OF_AIMS: usize = 64;
/// Accepted, as a part of what bare group commit takes; and accepted per second.
const AIM_RATIO: f64 = 0.25;
const AIM_PER_SECOND: f64 = 20_000.0;

/// Rounds with one number of clients.
struct Series {
    clients: usize,
    runs: Vec<Run>,
    /// Per second.
    raw: Vec<f64>,
}

pub async fn run(options: &Options, folder: &Path, programs: &Programs) -> Result<()> {
    let down = Down::new()?;
    let home = Home::new(folder, &down.url()?, options)?;
    let subject = home.start(programs).await?;
    // Nobody calls it: it is there to be taken from what others cost.
    let listener = Listener::start().await?;
    measure(&subject.target(), &listener, &load(16, WARM_UP_SECONDS, None)).await?;
    let mut all = Vec::new();
    for &clients in &options.clients {
        let mut series = Series { clients, runs: Vec::new(), raw: Vec::new() };
        for round in 0..options.rounds {
            series.take(round, &subject, &home, &listener, options).await?;
        }
        all.push(series);
    }
    print(&all, options);
    Ok(())
}

impl Series {
    /// Both, in turn.
    async fn take(
        &mut self,
        round: usize,
        subject: &Subject,
        home: &Home,
        listener: &Listener,
        options: &Options,
    ) -> Result<()> {
        let body = json_of(SIZE);
        for step in [round, round + 1] {
            if step % 2 == 0 {
                let raw = raw::per_second(home.path(), self.clients, &body, options.seconds);
                self.raw.push(raw.await?);
            } else {
                let load = load(self.clients, options.seconds, None);
                self.runs.push(measure(&subject.target(), listener, &load).await?);
            }
        }
        Ok(())
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.clients.to_string(),
            measure::spread(&self.runs, 0, |run| run.report.requests_per_second),
            cell(self.raw.iter().copied(), 0),
            self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.3}")),
            measure::spread(&self.runs, 1, |run| run.cpu_us),
            measure::spread(&self.runs, 2, |run| run.report.p50_ms()),
            measure::spread(&self.runs, 2, |run| run.report.p99_ms()),
        ]
    }

    /// Round by round: what disturbs a round disturbs both.
    fn ratio(&self) -> Option<Spread> {
        let runs = self.runs.iter().zip(&self.raw);
        Spread::of(runs.map(|(run, raw)| run.report.requests_per_second / raw))
    }

    fn per_second(&self) -> Option<Spread> {
        Spread::of(self.runs.iter().map(|run| run.report.requests_per_second))
    }
}

fn print(all: &[Series], options: &Options) {
    println!(
        "\nQueue, accepted while nothing is delivered: body of {SIZE} bytes, {} rounds of {} s; \
         median (min..max)",
        options.rounds, options.seconds
    );
    let header = ["clients", "accepted/s", "raw/s", "ratio", "CPU us/event", "p50 ms", "p99 ms"];
    let rows: Vec<_> = std::iter::once(row(header)).chain(all.iter().map(Series::row)).collect();
    table::print(&rows);
    let of_aims = all.iter().find(|series| series.clients == CLIENTS_OF_AIMS);
    if let Some((ratio, rate)) = of_aims.and_then(|series| series.ratio().zip(series.per_second()))
    {
        println!(
            "  {CLIENTS_OF_AIMS} clients: the aims, {AIM_RATIO} of raw and {AIM_PER_SECOND}/s at the \
             median, are {} and {}",
            aim::word(ratio.median >= AIM_RATIO),
            aim::word(rate.median >= AIM_PER_SECOND)
        );
    }
    measure::print_others(all.iter().flat_map(|series| &series.runs));
}
