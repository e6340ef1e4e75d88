//! What content decoding costs: the same JSON to one webhook, plain and as gzip, and inflating it
//! alone, in turn on one core.

use std::hint::black_box;
use std::io::Read as _;

use anyhow::Result;
use bench_kit::affinity::Pinned;
use bench_kit::body::{gzip, json_of};
use bench_kit::stats::Spread;
use bench_kit::table::{self, row};
use flate2::read::GzDecoder;
use hyper::StatusCode;

use crate::alone;
use crate::measure::{self, Load, Run, measure};
use crate::pair::Pair;
use crate::subject::Listener;

/// Bytes of the JSON.
const SIZE: usize = 100 * 1024;

/// What was measured, each once a round.
#[derive(Default)]
struct Series {
    plain: Vec<Run>,
    gzip: Vec<Run>,
    /// CPU microseconds.
    inflate_us: Vec<f64>,
}

#[derive(Clone, Copy)]
enum Step {
    Plain,
    Gzip,
    Inflate,
}

/// Measures so many rounds, of so many seconds for each webhook.
pub async fn run(
    pair: &Pair,
    listener: &Listener,
    (rounds, seconds, clients): (usize, f64, usize),
    pinned: &Pinned,
) -> Result<()> {
    let encoded = gzip(&json_of(SIZE));
    let status = StatusCode::OK;
    let headers = Vec::new();
    let plain = Load { size: SIZE, seconds, clients, headers, status, rate: None, requests: None };
    let coded = Load { headers: vec![("Content-Encoding", "gzip".to_owned())], ..plain.clone() };
    let mut series = Series::default();
    for round in 0..rounds {
        let mut steps = [Step::Plain, Step::Gzip, Step::Inflate];
        steps.rotate_left(round % 3);
        for step in steps {
            match step {
                Step::Plain => {
                    series.plain.push(measure(&pair.unverified(), listener, &plain).await?);
                }
                Step::Gzip => {
                    series.gzip.push(measure(&pair.unverified(), listener, &coded).await?)
                }
                Step::Inflate => series.inflate_us.push(inflate_us(&encoded, seconds / 3.0)?),
            }
        }
    }
    series.print(encoded.len(), pinned);
    Ok(())
}

/// CPU microseconds of inflating a body into a buffer that grows, as its length is not known.
fn inflate_us(encoded: &[u8], seconds: f64) -> Result<f64> {
    alone::cpu_us(SIZE, seconds, || {
        let mut plain = Vec::new();
        let read = GzDecoder::new(black_box(encoded)).read_to_end(&mut plain);
        black_box(read.map(|_| plain).is_ok());
    })
}

impl Series {
    fn print(&self, encoded_len: usize, pinned: &Pinned) {
        println!(
            "\nContent decoding: {SIZE} bytes of JSON, {encoded_len} as gzip, {} rounds, all on core {}; \
             median (min..max)",
            self.plain.len(),
            pinned.core()
        );
        let webhook = |name: &str, runs: &[Run]| {
            vec![name.to_owned(), measure::spread(runs, 2, |run| run.cpu_us)]
        };
        let cost = |spread: Option<Spread>| {
            spread.map_or_else(String::new, |spread| format!("{spread:.2}"))
        };
        table::print(&[
            row(["", "CPU us/request"]),
            webhook("plain", &self.plain),
            webhook("gzip", &self.gzip),
            vec!["gzip - plain".to_owned(), cost(self.spread(|plain, gzip, _| gzip - plain))],
            vec!["flate2 alone".to_owned(), cost(Spread::of(self.inflate_us.iter().copied()))],
        ]);
        if let Some(ratio) = self.spread(|plain, gzip, inflate| gzip / (plain + inflate)) {
            println!("  CPU gzip / (plain + flate2 alone): {ratio:.3}");
        }
    }

    /// The spread of something that the figures of a round tell together.
    fn spread(&self, tell: impl Fn(f64, f64, f64) -> f64) -> Option<Spread> {
        let webhooks = self.plain.iter().zip(&self.gzip);
        let rounds = webhooks.zip(&self.inflate_us);
        Spread::of(rounds.map(|((plain, gzip), &inflate)| tell(plain.cpu_us, gzip.cpu_us, inflate)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inflating_has_a_cost() {
        assert!(inflate_us(&gzip(&json_of(SIZE)), 0.0).unwrap() > 0.0);
    }
}
