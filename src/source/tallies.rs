//! Updates the delivery counts in webhook statuses: collected periodically, and reported to the
//! planner at a limited rate, so that many busy webhooks cause few writes to the API server.

mod local;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

pub use local::LocalTallies;

use super::PlanRunner;
use crate::moment::Moment;
use crate::plan::{Count, Counted, Died, Key, Recount};
use crate::routes::Id;
use crate::store::HistoryScope;

/// Minimum time between the reports of two webhooks: at most 50 status writes a second are caused
/// by counts.
const PACE: Duration = Duration::from_millis(20);

/// A source of delivery counts.
pub trait Tallies: Send + Sync {
    /// Whose deliveries are counted.
    fn scope(&self) -> HistoryScope;

    /// The counts of all webhooks. A webhook that is missing has no deliveries.
    ///
    /// # Errors
    /// The reason, if the counts of some webhooks are unavailable. Statuses then keep their counts.
    fn count(&self) -> BoxFuture<'_, Result<HashMap<Id, Counted>, String>>;

    /// Why the latest dead delivery of a webhook died, if known. The text contains no secret and no
    /// URL.
    fn last_death<'a>(&'a self, webhook: &'a Key) -> BoxFuture<'a, Option<Box<str>>>;
}

/// The source of the counts, and the interval.
#[derive(Clone)]
pub struct Counting {
    /// The source of the counts.
    pub tallies: Arc<dyn Tallies>,
    /// Minimum time between two updates of a webhook's counts.
    pub interval: Duration,
}

impl fmt::Debug for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counting").field("interval", &self.interval).finish_non_exhaustive()
    }
}

impl Counting {
    /// Reports the counts that differ from those in the statuses, for ever. For the process that
    /// writes statuses: counts that were reported but not written before are discarded.
    pub async fn follow(&self, runner: &PlanRunner) {
        runner.planner().forget_counts();
        let mut rounds =
            Rounds { counting: self, last_reported: HashMap::new(), previous: None, failed: false };
        loop {
            let next = Instant::now() + self.interval;
            rounds.round(runner).await;
            sleep_until(next).await;
        }
    }
}

/// The state between rounds. A round starts when all counts of the previous one were reported.
struct Rounds<'a> {
    counting: &'a Counting,
    /// When the counts of a webhook were last reported, if less than an interval ago.
    last_reported: HashMap<Key, Instant>,
    /// When the previous round counted.
    previous: Option<Moment>,
    /// Whether the previous round failed.
    failed: bool,
}

impl Rounds<'_> {
    async fn round(&mut self, runner: &PlanRunner) {
        let now = Moment::now();
        match self.counting.tallies.count().await {
            Ok(counted) => {
                self.failed = false;
                let recounts = runner.planner().recounts(&counted);
                self.report(runner, recounts).await;
                self.previous = Some(now);
            }
            Err(why) if self.failed => tracing::debug!(why, "cannot count deliveries"),
            Err(why) => {
                self.failed = true;
                tracing::warn!(why, "cannot count deliveries: statuses keep their counts");
            }
        }
    }

    async fn report(&mut self, runner: &PlanRunner, recounts: Vec<Recount>) {
        let mut pace = Instant::now();
        for (due, recount) in self.schedule(recounts) {
            sleep_until(pace.max(due)).await;
            pace = Instant::now() + PACE;
            let Recount { key, counted, has_more_dead } = recount;
            let why = match has_more_dead {
                true => self.counting.tallies.last_death(&key).await,
                false => None,
            };
            runner.count(&key, Count { counted, died: Died { since: self.previous, why } });
            self.last_reported.insert(key, Instant::now());
        }
    }

    /// When each count may be reported, in that order.
    fn schedule(&mut self, recounts: Vec<Recount>) -> Vec<(Instant, Recount)> {
        let (now, interval) = (Instant::now(), self.counting.interval);
        self.last_reported.retain(|_, last_reported| *last_reported + interval > now);
        let due = |recount: &Recount| {
            self.last_reported.get(&recount.key).map_or(now, |at| *at + interval)
        };
        let mut scheduled: Vec<_> = recounts.into_iter().map(|it| (due(&it), it)).collect();
        scheduled.sort_by(|(a, one), (b, other)| (a, &one.key).cmp(&(b, &other.key)));
        scheduled
    }
}

#[cfg(test)]
mod tests;
