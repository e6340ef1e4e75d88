//! A run: rounds in which the operator is started and killed under load, then a last start in which
//! everything has to come to its end.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::ledger::{Dead, Ledger};
use crate::listener::Listener;
use crate::load::{self, WEBHOOKS};
use crate::operator::{self, Operator, Ports, Setup};
use crate::scenario::{Round, Scenario};
use crate::sender::{self, Shared, Target};

/// Without any progress for so long, what is missing is lost.
const STALLED: Duration = Duration::from_secs(60);
/// Between two looks at what is missing.
const LOOK: Duration = Duration::from_millis(500);
/// Between two lines that say how far it is.
const TELL: Duration = Duration::from_secs(10);
/// After an operator that was stopped goes on, before it is killed: late answers come in.
const AFTER_STOP: Duration = Duration::from_secs(3);

/// What a run did, and what came of it.
pub struct Report {
    pub ledger: Rc<RefCell<Ledger>>,
    pub dead: Dead,
    pub counts: Counts,
    /// Whether the store still held something that had not ended.
    pub pending: bool,
}

/// How often what was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub kills_serving: u32,
    pub kills_starting: u32,
    pub listener_kills: u32,
    pub late_answers: u64,
    pub seconds_to_drain: f64,
}

/// What a run is made of.
struct Run {
    setup: Setup,
    scenario: Scenario,
    rng: Rng,
    listener: Listener,
    ledger: Rc<RefCell<Ledger>>,
    target: watch::Sender<Target>,
    stop: watch::Sender<bool>,
    counts: Counts,
}

/// Kills the operator for `time`, then lets everything come to its end.
///
/// # Errors
/// When the operator ends by itself, does not start, or does not answer as agreed.
pub async fn run(setup: Setup, scenario: Scenario, time: Duration, seed: u64) -> Result<Report> {
    let ledger = Rc::new(RefCell::new(Ledger::default()));
    let listener = Listener::start(ledger.clone()).await?;
    operator::write_manifests(&setup.dir, &load::manifests(&listener.url()))?;
    let (target, target_seen) = watch::channel(None);
    let (stop, stop_seen) = watch::channel(false);
    let shared = Shared { ledger: ledger.clone(), target: target_seen, stop: stop_seen };
    let senders = spawn_senders(Rc::new(shared));
    let (rng, counts) = (Rng::with_seed(seed), Counts::default());
    let run = Run { setup, scenario, rng, listener, ledger, target, stop, counts };
    run.rounds_and_end(time, senders).await
}

fn spawn_senders(shared: Rc<Shared>) -> JoinSet<()> {
    let mut senders = JoinSet::new();
    for (webhook, declared) in WEBHOOKS.iter().enumerate() {
        for lane in 0..declared.senders {
            let shared = shared.clone();
            senders.spawn_local(async move { sender::send(webhook, lane, &shared).await });
        }
    }
    senders
}

impl Run {
    async fn rounds_and_end(mut self, time: Duration, senders: JoinSet<()>) -> Result<Report> {
        let (begun, mut told) = (Instant::now(), Instant::now());
        let mut number = 0;
        while begun.elapsed() < time {
            let round = self.scenario.round(number, &mut self.rng);
            self.round(number, round)
                .await
                .with_context(|| format!("round {number}: {round:?}"))?;
            number += 1;
            if told.elapsed() > TELL {
                told = Instant::now();
                eprintln!("  {number} rounds, {} deliveries", self.ledger.borrow().deliveries());
            }
        }
        self.stop.send_replace(true);
        senders.join_all().await;
        let (dead, pending) = self.end().await.context("the last start")?;
        self.counts.late_answers = self.listener.answered_late();
        Ok(Report { ledger: self.ledger, dead, counts: self.counts, pending })
    }

    async fn round(&mut self, number: u32, round: Round) -> Result<()> {
        self.listener.set_late(round.late);
        let mut operator = Operator::start(&self.setup)?;
        let mut death = Instant::now() + round.life;
        let ready = if round.from_start {
            timeout_at(death, operator.ready()).await.ok().transpose()?
        } else {
            let ports = operator.ready().await?;
            death = Instant::now() + round.life;
            Some(ports)
        };
        match ready {
            Some(ports) => {
                self.counts.kills_serving += 1;
                self.target.send_replace(Some((number, ports.trigger.into())));
                self.live(&operator, round, death).await?;
            }
            None => self.counts.kills_starting += 1,
        }
        operator.process.kill().await?;
        // Only now nothing can be stored any more of what had no answer.
        self.target.send_replace(None);
        self.listener.up().await
    }

    /// What happens while it serves, until the moment of its death. A listener that is down then may
    /// stay so until after it.
    async fn live(&mut self, operator: &Operator, round: Round, death: Instant) -> Result<()> {
        if round.kills_listener {
            let left = death.saturating_duration_since(Instant::now());
            sleep(left.mul_f64(self.rng.f64())).await;
            self.listener.down().await;
            self.counts.listener_kills += 1;
            sleep(left.mul_f64(self.rng.f64())).await;
            if Instant::now() < death {
                self.listener.up().await?;
            }
        }
        sleep_until(death).await;
        if let Some(time) = round.stopped {
            operator.process.pause();
            sleep(time).await;
            operator.process.resume();
            sleep(AFTER_STOP).await;
        }
        Ok(())
    }

    /// The last start: returns once nothing is missing and nothing pending, or nothing moves any more.
    async fn end(&mut self) -> Result<(Dead, bool)> {
        self.listener.set_late(false);
        let mut operator = Operator::start(&self.setup)?;
        let Ports { admin, .. } = operator.ready().await?;
        let (begun, mut moved, mut last) = (Instant::now(), Instant::now(), 0);
        loop {
            operator.process.check_running()?;
            let dead = operator::dead(&admin).await?;
            let pending = operator::is_anything_pending(&admin).await?;
            let progress = self.ledger.borrow().deliveries() + dead.len() as u64;
            if progress > std::mem::replace(&mut last, progress) {
                moved = Instant::now();
            }
            let missing = !self.ledger.borrow().missing(&dead).is_empty();
            if (!missing && !pending) || moved.elapsed() > STALLED {
                self.counts.seconds_to_drain = begun.elapsed().as_secs_f64();
                return Ok((dead, pending));
            }
            sleep(LOOK).await;
        }
    }
}
