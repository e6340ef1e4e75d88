//! What verification costs: the same requests to a webhook that verifies and to one that does not, and
//! HMAC-SHA256 alone, in turn on one core. Then what content decoding costs.

use anyhow::Result;
use bench_kit::affinity::Pinned;
use bench_kit::body::json_of;
use bench_kit::stats::Spread;
use clap::Args;
use hyper::StatusCode;

use crate::measure::{self, Load, Run, measure};
use crate::pair::Pair;
use crate::subject::Listener;
use crate::{Programs, aim, decoding, github, hmac};
use bench_kit::table::{self, row};

/// Before the first round, for connections, caches and buffers.
const WARM_UP_SECONDS: f64 = 1.0;
/// The aim: CPU time per request of a verified one, as a share of what an unverified one and the
/// HMAC of its body take together.
const AIM: f64 = 1.1;

#[derive(Args, Clone)]
#[group(skip)]
pub struct Options {
    /// How often each is measured.
    #[arg(long, default_value_t = Options::default().rounds)]
    rounds: usize,
    /// How long each webhook is loaded each time; HMAC alone takes a third of it.
    #[arg(long, default_value_t = Options::default().seconds)]
    seconds: f64,
    /// Connections of the load. As many bodies at once must find room in the operator.
    #[arg(long, default_value_t = Options::default().clients)]
    clients: usize,
    /// Bytes of the bodies.
    #[arg(long, value_delimiter = ',', default_values_t = Options::default().sizes)]
    sizes: Vec<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self { rounds: 9, seconds: 1.5, clients: 8, sizes: vec![1024, 100 * 1024, 5_000_000] }
    }
}

pub async fn run(options: &Options, programs: &Programs) -> Result<()> {
    let pinned = Pinned::to_last_core()?;
    let listener = Listener::start().await?;
    let pair = Pair::start(&listener, programs).await?;
    for &size in &options.sizes {
        let series = all_rounds(&pair, &listener, size, options).await?;
        series.print(size, options, &pinned);
    }
    let rounds = (options.rounds, options.seconds, options.clients);
    decoding::run(&pair, &listener, rounds, &pinned).await
}

/// What was measured, each once a round.
#[derive(Default)]
struct Series {
    unverified: Vec<Run>,
    verified: Vec<Run>,
    /// CPU microseconds.
    hmac_us: Vec<f64>,
}

#[derive(Clone, Copy)]
enum Step {
    Unverified,
    Verified,
    Hmac,
}

async fn all_rounds(
    pair: &Pair,
    listener: &Listener,
    size: usize,
    options: &Options,
) -> Result<Series> {
    let body = json_of(size);
    let load = Load {
        size,
        seconds: options.seconds,
        clients: options.clients,
        headers: github::headers(&body),
        status: StatusCode::OK,
        rate: None,
        requests: None,
    };
    let warm_up = Load { seconds: WARM_UP_SECONDS, ..load.clone() };
    measure(&pair.unverified(), listener, &warm_up).await?;
    measure(&pair.verified(), listener, &warm_up).await?;
    let mut series = Series::default();
    for round in 0..options.rounds {
        // Each round begins with another one, so that none always follows the same one.
        let mut steps = [Step::Unverified, Step::Verified, Step::Hmac];
        steps.rotate_left(round % 3);
        for step in steps {
            series.take(step, pair, listener, &load, &body).await?;
        }
    }
    Ok(series)
}

impl Series {
    async fn take(
        &mut self,
        step: Step,
        pair: &Pair,
        listener: &Listener,
        load: &Load,
        body: &[u8],
    ) -> Result<()> {
        match step {
            Step::Unverified => {
                self.unverified.push(measure(&pair.unverified(), listener, load).await?);
            }
            Step::Verified => self.verified.push(measure(&pair.verified(), listener, load).await?),
            // In this very thread: it has the same core as the operator.
            Step::Hmac => {
                self.hmac_us.push(hmac::cpu_us(&github::key(), body, load.seconds / 3.0)?);
            }
        }
        Ok(())
    }

    fn print(&self, size: usize, options: &Options, pinned: &Pinned) {
        println!(
            "\nVerification: GitHub's, body of {size} bytes, {} clients, {} rounds of {} s, all on \
             core {}; median (min..max)",
            options.clients,
            options.rounds,
            options.seconds,
            pinned.core()
        );
        table::print(&self.rows());
        if let Some(ratio) = self.spread(Figures::ratio) {
            println!(
                "  CPU verified / (unverified + HMAC-SHA256 alone): {ratio:.3}; {}",
                aim::at_most(AIM, ratio)
            );
        }
        measure::print_others(self.unverified.iter().chain(&self.verified));
    }

    fn rows(&self) -> [Vec<String>; 5] {
        let cost = |figure: fn(Figures) -> f64| {
            self.spread(figure).map_or_else(String::new, |spread| format!("{spread:.2}"))
        };
        let webhook = |name: &str, runs: &[Run]| {
            let cpu_us = measure::spread(runs, 2, |run| run.cpu_us);
            let per_second = measure::spread(runs, 0, |run| run.report.requests_per_second);
            vec![name.to_owned(), cpu_us, per_second]
        };
        [
            row(["", "CPU us/request", "requests/s"]),
            webhook("unverified", &self.unverified),
            webhook("verified", &self.verified),
            vec!["verified - unverified".to_owned(), cost(Figures::difference)],
            vec!["HMAC-SHA256 alone".to_owned(), cost(|figures| figures.hmac)],
        ]
    }

    /// The spread of something that the figures of a round tell together: what disturbs a round
    /// disturbs all three.
    fn spread(&self, tell: impl Fn(Figures) -> f64) -> Option<Spread> {
        let webhooks = self.unverified.iter().zip(&self.verified);
        Spread::of(webhooks.zip(&self.hmac_us).map(|((unverified, verified), &hmac)| {
            tell(Figures { unverified: unverified.cpu_us, verified: verified.cpu_us, hmac })
        }))
    }
}

/// The three figures of one round, in CPU microseconds.
#[derive(Clone, Copy)]
struct Figures {
    unverified: f64,
    verified: f64,
    hmac: f64,
}

impl Figures {
    fn ratio(self) -> f64 {
        self.verified / (self.unverified + self.hmac)
    }

    fn difference(self) -> f64 {
        self.verified - self.unverified
    }
}

#[cfg(test)]
mod tests {
    use super::Figures;

    #[test]
    fn a_verification_that_costs_its_hmac_alone_has_the_ratio_of_one() {
        let figures = Figures { unverified: 20.0, verified: 25.0, hmac: 5.0 };
        assert_eq!((figures.ratio(), figures.difference()), (1.0, 5.0));
    }
}
