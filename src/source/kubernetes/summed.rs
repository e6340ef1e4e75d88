//! Aggregates the delivery counts of all replicas, for the replica that writes statuses.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kube::Config;
use serde::Deserialize;

use super::authorization;
use crate::moment::Moment;
use crate::peers::{Peers, Question};
use crate::plan::{Counted, Key};
use crate::resources::DeliveryCounts;
use crate::routes::Id;
use crate::source::{Brain, Tallies};

/// The largest response of a replica, in bytes: some 300,000 webhooks.
const MAX_ANSWER: usize = 64 << 20;

/// The counts of this replica and of the others. For a replica that does not respond, its last
/// counts are used.
pub struct SummedTallies {
    own: Arc<dyn Tallies>,
    brain: Arc<Brain>,
    peers: Arc<Peers>,
    config: Config,
    /// The served namespaces; empty: all.
    namespaces: Vec<String>,
    known: Mutex<Known>,
}

/// The counts of the other replicas.
#[derive(Default)]
struct Known {
    /// The latest counts of each replica.
    of: HashMap<String, Vec<Tally>>,
    /// The number of dead deliveries at other replicas in the previous round.
    dead: HashMap<Id, i64>,
    /// The webhooks with more dead deliveries than in the previous round.
    more_dead: HashSet<Id>,
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Tally>,
}

/// A replica's counts of a webhook.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tally {
    namespace: Arc<str>,
    webhook: Arc<str>,
    deliveries: Option<DeliveryCounts>,
    last_delivery: Option<Moment>,
}

/// The responses of one round.
#[derive(Default)]
struct Round {
    of: HashMap<String, Vec<Tally>>,
    /// The replicas whose responses are incomplete.
    missing: BTreeSet<String>,
}

impl SummedTallies {
    pub(super) fn new(
        own: Arc<dyn Tallies>,
        brain: Arc<Brain>,
        peers: Arc<Peers>,
        config: Config,
        namespaces: Vec<String>,
    ) -> Self {
        Self { own, brain, peers, config, namespaces, known: Mutex::default() }
    }

    async fn sum(&self) -> Result<HashMap<Id, Counted>, String> {
        let mut sum = self.own.count().await?;
        if self.peers.is_alone() {
            return Ok(sum);
        }
        let round = self.ask().await?;
        let others = self.identified(self.known().after(round)?);
        self.known().compare(&others);
        for (id, counted) in others {
            add(sum.entry(id).or_default(), &counted);
        }
        Ok(sum)
    }

    /// Requests the counts with the operator's own token, for the namespaces that it may read.
    async fn ask(&self) -> Result<Round, String> {
        let login = authorization(&self.config).await;
        let login =
            login.map_err(|error| format!("no token for requests to other replicas: {error}"))?;
        let mut round = Round::default();
        let every = [String::new()];
        let namespaces = if self.namespaces.is_empty() { &every[..] } else { &self.namespaces };
        for namespace in namespaces {
            let answers = self
                .peers
                .ask(&Question::tallies(namespace, false, login.clone(), MAX_ANSWER))
                .await;
            let (given, missing) = answers.read::<Answer>();
            for (replica, answer) in given {
                round.of.entry(replica).or_default().extend(answer.items);
            }
            round.missing.extend(missing);
        }
        round.of.retain(|replica, _| !round.missing.contains(replica));
        Ok(round)
    }

    /// The counts of existing webhooks, by id.
    fn identified(&self, tallies: Vec<Tally>) -> HashMap<Id, Counted> {
        let planner = self.brain.planner();
        let mut counted: HashMap<Id, Counted> = HashMap::new();
        for Tally { namespace, webhook, deliveries, last_delivery } in tallies {
            if let Some(id) = planner.webhook_id(&Key { namespace, name: webhook }) {
                add(counted.entry(id).or_default(), &Counted::new(deliveries, last_delivery));
            }
        }
        counted
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Stores the responses of a round. Returns the latest counts of all replicas.
    fn after(&mut self, round: Round) -> Result<Vec<Tally>, String> {
        let Round { of, missing } = round;
        // A replica that neither responds nor is reported as missing no longer exists.
        self.of.retain(|replica, _| missing.contains(replica));
        self.of.extend(of);
        let unknown: Vec<_> =
            missing.into_iter().filter(|replica| !self.of.contains_key(replica)).collect();
        if !unknown.is_empty() {
            return Err(format!("no counts of {} yet", unknown.join(", ")));
        }
        Ok(self.of.values().flatten().cloned().collect())
    }

    fn compare(&mut self, counted: &HashMap<Id, Counted>) {
        let dead: HashMap<Id, i64> =
            counted.iter().map(|(id, counted)| (*id, counted.dead())).collect();
        let before = |id: &Id| self.dead.get(id).copied().unwrap_or_default();
        let more = dead.iter().filter(|(id, dead)| **dead > before(id)).map(|(id, _)| *id);
        self.more_dead = more.collect();
        self.dead = dead;
    }
}

impl Tallies for SummedTallies {
    fn count(&self) -> BoxFuture<'_, Result<HashMap<Id, Counted>, String>> {
        self.sum().boxed()
    }

    /// The reason of deliveries that died at other replicas is unknown.
    fn last_death<'a>(&'a self, webhook: &'a Key) -> BoxFuture<'a, Option<Box<str>>> {
        let id = self.brain.planner().webhook_id(webhook);
        let is_elsewhere = id.is_some_and(|id| self.known().more_dead.contains(&id));
        if is_elsewhere { async { None }.boxed() } else { self.own.last_death(webhook) }
    }
}

fn add(sum: &mut Counted, more: &Counted) {
    let last = more.last_delivery().map(|time| std::time::SystemTime::from(time.0).into());
    sum.took(last);
    if let Some(more) = more.deliveries {
        let DeliveryCounts { succeeded, dead, pending } =
            sum.deliveries.get_or_insert_with(DeliveryCounts::default);
        for (count, more) in
            [(succeeded, more.succeeded), (dead, more.dead), (pending, more.pending)]
        {
            *count = count.saturating_add(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tallies(dead: i64) -> Vec<Tally> {
        let deliveries = Some(DeliveryCounts { dead, ..DeliveryCounts::default() });
        let (namespace, webhook) = ("team-a".into(), "pay".into());
        vec![Tally { namespace, webhook, deliveries, last_delivery: None }]
    }

    fn round(of: &[(&str, i64)], missing: &[&str]) -> Round {
        let of = of.iter().map(|(name, dead)| ((*name).to_owned(), tallies(*dead))).collect();
        Round { of, missing: missing.iter().map(ToString::to_string).collect() }
    }

    fn dead(tallies: Vec<Tally>) -> i64 {
        tallies.iter().filter_map(|tally| Some(tally.deliveries?.dead)).sum()
    }

    #[test]
    fn of_a_replica_that_does_not_answer_the_last_numbers_count() {
        let mut known = Known::default();
        assert_eq!(known.after(round(&[("a", 1), ("b", 10)], &[])).map(dead), Ok(11));
        assert_eq!(known.after(round(&[("a", 2)], &["b"])).map(dead), Ok(12));
        assert_eq!(known.after(round(&[("a", 2), ("b", 20)], &[])).map(dead), Ok(22));
        // It has been taken away.
        assert_eq!(known.after(round(&[("a", 2)], &[])).map(dead), Ok(2));
    }

    #[test]
    fn while_nothing_is_known_of_a_replica_there_is_no_sum() {
        let mut known = Known::default();
        let why = known.after(round(&[("a", 1)], &["b", "c"])).map(dead);
        assert_eq!(why, Err("no counts of b, c yet".into()));
        assert_eq!(known.after(round(&[("a", 1), ("b", 2)], &[])).map(dead), Ok(3));
    }

    #[test]
    fn numbers_are_added_and_the_latest_delivery_is_the_last_one() {
        let counts = |succeeded, dead, pending| DeliveryCounts { succeeded, dead, pending };
        let of = |counts, second: u64| Counted::new(counts, Some(Moment(second * 1000)));
        let mut sum = Counted::default();
        for more in [of(Some(counts(1, 2, 3)), 5), of(None, 9), of(Some(counts(10, 20, 30)), 7)] {
            add(&mut sum, &more);
        }
        assert_eq!(sum, of(Some(counts(11, 22, 33)), 9));
    }

    #[test]
    fn it_is_known_where_more_has_died() {
        let (mut known, id) =
            (Known::default(), Id { app: uuid::Uuid::nil(), webhook: uuid::Uuid::nil() });
        for (dead, is_more) in [(1, true), (1, false), (3, true), (2, false)] {
            let deliveries = Some(DeliveryCounts { dead, ..DeliveryCounts::default() });
            known.compare(&HashMap::from([(id, Counted::new(deliveries, None))]));
            assert_eq!(known.more_dead.contains(&id), is_more, "{dead}");
        }
    }
}
