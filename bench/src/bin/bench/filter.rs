//! What a filter costs: three comparisons over an event, beside a walk over the same JSON, in turn on
//! one core. Both run in this process, without HTTP.

use std::hint::black_box;

use anyhow::{Context as _, Result};
use bench_kit::affinity::Pinned;
use bench_kit::body::json_of;
use bench_kit::stats::Spread;
use bench_kit::table::{self, row};
use clap::Args;
use serde::de::IgnoredAny;
use webhook_operator::expression::{Expression, Inputs};

use crate::{aim, alone};

/// Three comparisons, one of them of the last member that is looked for.
const FILTER: &str =
    r#"event.type == "paid" && event.items[0].id >= 1000 && event.items[0].gift == false"#;
/// The aim: CPU time of an evaluation, as a share of that of a walk.
const AIM: f64 = 1.3;

#[derive(Args, Clone)]
#[group(skip)]
pub struct Options {
    /// How often each is measured.
    #[arg(long, default_value_t = Options::default().rounds)]
    rounds: usize,
    /// How long each is measured each time.
    #[arg(long, default_value_t = Options::default().seconds)]
    seconds: f64,
    /// Bytes of the events.
    #[arg(long, value_delimiter = ',', default_values_t = Options::default().sizes)]
    sizes: Vec<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self { rounds: 9, seconds: 0.3, sizes: vec![1024, 100 * 1024] }
    }
}

pub fn run(options: &Options) -> Result<()> {
    let pinned = Pinned::to_last_core()?;
    for &size in &options.sizes {
        all_rounds(size, options)?.print(size, options, &pinned);
    }
    Ok(())
}

/// CPU microseconds, each once a round.
#[derive(Default)]
struct Series {
    filter_us: Vec<f64>,
    walk_us: Vec<f64>,
}

fn all_rounds(size: usize, options: &Options) -> Result<Series> {
    let event = json_of(size);
    let filter = Expression::compile(FILTER)?;
    // A filter that fails would look cheap.
    anyhow::ensure!(holds(&filter, &event), "the filter does not hold of the event");
    serde_json::from_slice::<IgnoredAny>(&event).context("the event is not JSON")?;
    let mut series = Series::default();
    let filter_us = || {
        alone::cpu_us(size, options.seconds, || {
            black_box(holds(&filter, black_box(&event)));
        })
    };
    let walk_us = || {
        alone::cpu_us(size, options.seconds, || {
            black_box(serde_json::from_slice::<IgnoredAny>(black_box(&event)).is_ok());
        })
    };
    for round in 0..options.rounds {
        // Each round begins with the other one.
        if round % 2 == 0 {
            series.filter_us.push(filter_us()?);
            series.walk_us.push(walk_us()?);
        } else {
            series.walk_us.push(walk_us()?);
            series.filter_us.push(filter_us()?);
        }
    }
    Ok(series)
}

fn holds(filter: &Expression, event: &[u8]) -> bool {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let inputs = Inputs { event, headers: b"{}", props: b"null", query: b"{}", now };
    filter.holds(inputs).unwrap_or(false)
}

impl Series {
    fn print(&self, size: usize, options: &Options, pinned: &Pinned) {
        println!(
            "\nFilter: three comparisons, event of {size} bytes, {} rounds of {} s, on core {}; median \
             (min..max)",
            options.rounds,
            options.seconds,
            pinned.core()
        );
        let cost = |figures: &[f64]| {
            let spread = Spread::of(figures.iter().copied());
            spread.map_or_else(String::new, |spread| format!("{spread:.2}"))
        };
        table::print(&[
            row(["", "CPU us"]),
            vec!["filter".to_owned(), cost(&self.filter_us)],
            vec!["walk".to_owned(), cost(&self.walk_us)],
        ]);
        let ratios = self.filter_us.iter().zip(&self.walk_us).map(|(filter, walk)| filter / walk);
        if let Some(ratio) = Spread::of(ratios) {
            println!("  CPU filter / walk: {ratio:.3}; {}", aim::at_most(AIM, ratio));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_and_a_walk_have_a_cost() {
        let options = Options { rounds: 2, seconds: 0.0, ..Options::default() };
        let Series { filter_us, walk_us } = all_rounds(1024, &options).unwrap();
        assert!(filter_us.len() == 2 && walk_us.iter().chain(&filter_us).all(|us| *us > 0.0));
    }
}
