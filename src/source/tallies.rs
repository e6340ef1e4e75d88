//! Lets statuses say what became of each webhook's events: counted in rounds, and told slowly, so that
//! however many webhooks are busy the API server has little to write.

mod local;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

pub use local::LocalTallies;

use super::Brain;
use crate::moment::Moment;
use crate::plan::{Count, Counted, Died, Key, Recount};
use crate::routes::Id;

/// Between two webhooks whose numbers are told: at most 50 a second, beside the statuses that are
/// written for other reasons.
const PACE: Duration = Duration::from_millis(20);

/// Counts what became of events.
pub trait Tallies: Send + Sync {
    /// What became of the events of all webhooks: of what is not in it, there is nothing.
    ///
    /// # Errors
    /// When that is not known of all of them, with the reason in words: statuses stay as they are.
    fn count(&self) -> BoxFuture<'_, Result<HashMap<Id, Counted>, String>>;

    /// Why the latest delivery of a webhook that is dead has died, where it is known. Neither a secret
    /// nor a URL is in it.
    fn last_death<'a>(&'a self, webhook: &'a Key) -> BoxFuture<'a, Option<Box<str>>>;
}

/// Who counts, and how often.
#[derive(Clone)]
pub struct Counting {
    /// Who counts.
    pub tallies: Arc<dyn Tallies>,
    /// How long the numbers of a webhook's status stay at least.
    pub interval: Duration,
}

impl fmt::Debug for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counting").field("interval", &self.interval).finish_non_exhaustive()
    }
}

impl Counting {
    /// Tells `brain` the numbers that differ from those of statuses, for ever. For who writes statuses:
    /// what was counted and not written before is forgotten.
    pub async fn follow(&self, brain: &Brain) {
        brain.planner().forget_counts();
        let mut rounds =
            Rounds { counting: self, told: HashMap::new(), before: None, failed: false };
        loop {
            let next = Instant::now() + self.interval;
            rounds.round(brain).await;
            sleep_until(next).await;
        }
    }
}

/// One round after the other: the next begins when everything of the one before was told.
struct Rounds<'a> {
    counting: &'a Counting,
    /// When the numbers of a webhook were last told, where that is less than an interval ago.
    told: HashMap<Key, Instant>,
    /// When was counted before.
    before: Option<Moment>,
    /// Whether counting failed the last time.
    failed: bool,
}

impl Rounds<'_> {
    async fn round(&mut self, brain: &Brain) {
        let now = Moment::now();
        match self.counting.tallies.count().await {
            Ok(counted) => {
                self.failed = false;
                let recounts = brain.planner().recounts(&counted);
                self.tell(brain, recounts).await;
                self.before = Some(now);
            }
            Err(why) if self.failed => tracing::debug!(why, "deliveries still cannot be counted"),
            Err(why) => {
                self.failed = true;
                tracing::warn!(why, "deliveries cannot be counted: statuses keep their numbers");
            }
        }
    }

    async fn tell(&mut self, brain: &Brain, recounts: Vec<Recount>) {
        let mut pace = Instant::now();
        for (due, recount) in self.in_turn(recounts) {
            sleep_until(pace.max(due)).await;
            pace = Instant::now() + PACE;
            let Recount { key, counted, has_more_dead } = recount;
            let why = match has_more_dead {
                true => self.counting.tallies.last_death(&key).await,
                false => None,
            };
            brain.count(&key, Count { counted, died: Died { since: self.before, why } });
            self.told.insert(key, Instant::now());
        }
    }

    /// When each is to be told at the earliest, in that order.
    fn in_turn(&mut self, recounts: Vec<Recount>) -> Vec<(Instant, Recount)> {
        let (now, interval) = (Instant::now(), self.counting.interval);
        self.told.retain(|_, told| *told + interval > now);
        let due = |recount: &Recount| self.told.get(&recount.key).map_or(now, |at| *at + interval);
        let mut turns: Vec<_> = recounts.into_iter().map(|it| (due(&it), it)).collect();
        turns.sort_by(|(a, one), (b, other)| (a, &one.key).cmp(&(b, &other.key)));
        turns
    }
}

#[cfg(test)]
mod tests;
