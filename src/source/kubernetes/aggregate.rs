//! Aggregates the delivery counts of all replicas, for the replica that writes statuses.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kube::Config;
use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize;

use super::authorization;
use crate::moment::Moment;
use crate::peers::{Peers, Question};
use crate::plan::{Counted, Key};
use crate::resources::DeliveryCounts;
use crate::routes::Id;
use crate::source::{PlanRunner, Tallies};
use crate::store::HistoryScope;

/// The largest response of a replica, in bytes: some 300,000 webhooks.
const MAX_RESPONSE: usize = 64 << 20;

/// The counts of this replica and of the others. For a replica that does not respond, its last
/// counts are used. If the replicas share their store, its counts are those of all, and no replica is
/// asked.
pub struct AggregatedTallies {
    own: Arc<dyn Tallies>,
    runner: Arc<PlanRunner>,
    peers: Arc<Peers>,
    config: Config,
    /// The served namespaces; empty: all.
    namespaces: Vec<String>,
    peer_tallies: Mutex<PeerTallies>,
}

/// The counts of the other replicas.
#[derive(Default)]
struct PeerTallies {
    /// The latest counts of each replica.
    latest: HashMap<String, Vec<PeerTally>>,
    /// The number of dead deliveries at other replicas in the previous round.
    dead: HashMap<Id, i64>,
    /// The webhooks with more dead deliveries than in the previous round.
    more_dead: HashSet<Id>,
}

#[derive(Deserialize)]
struct TalliesResponse {
    items: Vec<PeerTally>,
}

/// A replica's counts of a webhook.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PeerTally {
    namespace: Arc<str>,
    webhook: Arc<str>,
    deliveries: Option<DeliveryCounts>,
    last_delivery: Option<Moment>,
}

/// The responses of one round.
#[derive(Default)]
struct Responses {
    latest: HashMap<String, Vec<PeerTally>>,
    /// The replicas whose responses are incomplete.
    missing: BTreeSet<String>,
}

impl AggregatedTallies {
    pub(super) fn new(
        own: Arc<dyn Tallies>,
        runner: Arc<PlanRunner>,
        peers: Arc<Peers>,
        config: Config,
        namespaces: Vec<String>,
    ) -> Self {
        let peers = peers.for_history(own.scope());
        Self { own, runner, peers, config, namespaces, peer_tallies: Mutex::default() }
    }

    async fn sum(&self) -> Result<HashMap<Id, Counted>, String> {
        let mut sum = self.own.count().await?;
        if self.peers.is_alone() {
            return Ok(sum);
        }
        let round = self.fetch().await?;
        let others = self.by_id(self.peer_tallies().update(round)?);
        self.peer_tallies().track_deaths(&others);
        for (id, counted) in others {
            add(sum.entry(id).or_default(), &counted);
        }
        Ok(sum)
    }

    /// Requests the counts with the operator's own token, for the namespaces that it may read.
    async fn fetch(&self) -> Result<Responses, String> {
        let login = authorization(&self.config).await;
        let login =
            login.map_err(|error| format!("no token for requests to other replicas: {error}"))?;
        let mut round = Responses::default();
        let every = [String::new()];
        let namespaces = if self.namespaces.is_empty() { &every[..] } else { &self.namespaces };
        for namespace in namespaces {
            let responses = self
                .peers
                .ask(&Question::tallies(namespace, false, login.clone(), MAX_RESPONSE))
                .await;
            let (complete, missing) = responses.read::<TalliesResponse>();
            for (replica, response) in complete {
                round.latest.entry(replica).or_default().extend(response.items);
            }
            round.missing.extend(missing);
        }
        round.latest.retain(|replica, _| !round.missing.contains(replica));
        Ok(round)
    }

    /// The counts of existing webhooks, by id.
    fn by_id(&self, tallies: Vec<PeerTally>) -> HashMap<Id, Counted> {
        let planner = self.runner.planner();
        let mut counted: HashMap<Id, Counted> = HashMap::new();
        for PeerTally { namespace, webhook, deliveries, last_delivery } in tallies {
            if let Some(id) = planner.webhook_id(&Key { namespace, name: webhook }) {
                add(counted.entry(id).or_default(), &Counted::new(deliveries, last_delivery));
            }
        }
        counted
    }

    fn peer_tallies(&self) -> MutexGuard<'_, PeerTallies> {
        self.peer_tallies.lock()
    }
}

impl PeerTallies {
    /// Stores the responses of a round. Returns the latest counts of all replicas.
    fn update(&mut self, round: Responses) -> Result<Vec<PeerTally>, String> {
        let Responses { latest: of, missing } = round;
        // A replica that neither responds nor is reported as missing no longer exists.
        self.latest.retain(|replica, _| missing.contains(replica));
        self.latest.extend(of);
        let unknown: Vec<_> =
            missing.into_iter().filter(|replica| !self.latest.contains_key(replica)).collect();
        if !unknown.is_empty() {
            return Err(format!("no counts of {} yet", unknown.join(", ")));
        }
        Ok(self.latest.values().flatten().cloned().collect())
    }

    fn track_deaths(&mut self, counted: &HashMap<Id, Counted>) {
        let dead: HashMap<Id, i64> =
            counted.iter().map(|(id, counted)| (*id, counted.dead())).collect();
        let before = |id: &Id| self.dead.get(id).copied().unwrap_or_default();
        let more = dead.iter().filter(|(id, dead)| **dead > before(id)).map(|(id, _)| *id);
        self.more_dead = more.collect();
        self.dead = dead;
    }
}

impl Tallies for AggregatedTallies {
    fn scope(&self) -> HistoryScope {
        HistoryScope::AllReplicas
    }

    fn count(&self) -> BoxFuture<'_, Result<HashMap<Id, Counted>, String>> {
        self.sum().boxed()
    }

    /// The reason of deliveries that died at other replicas is unknown.
    fn last_death<'a>(&'a self, webhook: &'a Key) -> BoxFuture<'a, Option<Box<str>>> {
        let id = self.runner.planner().webhook_id(webhook);
        let is_elsewhere = id.is_some_and(|id| self.peer_tallies().more_dead.contains(&id));
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
    use crate::peers::Credentials;
    use crate::plan::Settings;
    use crate::plan::decide::ListenerPolicy;
    use crate::plan::identity::IdentityKey;

    /// Counts of a store of this scope, in which a webhook has one success.
    struct Own(HistoryScope);

    impl Tallies for Own {
        fn scope(&self) -> HistoryScope {
            self.0
        }

        fn count(&self) -> BoxFuture<'_, Result<HashMap<Id, Counted>, String>> {
            let id = Id { app: uuid::Uuid::nil(), webhook: uuid::Uuid::nil() };
            let deliveries = DeliveryCounts { succeeded: 1, ..DeliveryCounts::default() };
            let counted = HashMap::from([(id, Counted::new(Some(deliveries), None))]);
            async { Ok(counted) }.boxed()
        }

        fn last_death<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Option<Box<str>>> {
            async { None }.boxed()
        }
    }

    /// The counts of a replica whose only peer does not exist.
    async fn sum_with_a_lost_peer(scope: HistoryScope) -> Result<HashMap<Id, Counted>, String> {
        let identity = || IdentityKey::new(&[7; 32]).unwrap();
        let settings = Settings {
            external_url: "https://hooks.example.com".into(),
            listeners: ListenerPolicy::default(),
            identity: identity(),
            key_sets: Arc::default(),
        };
        let runner = Arc::new(PlanRunner::new(settings, Arc::default()));
        let (port, me) = ("127.0.0.1:1".parse().unwrap(), "operator-0_0".parse().unwrap());
        let peers = Peers::new(vec![port], me, Credentials::new(&identity()).unwrap());
        let config = Config::new("http://127.0.0.1:1".parse().unwrap());
        let tallies =
            AggregatedTallies::new(Arc::new(Own(scope)), runner, Arc::new(peers), config, vec![]);
        tallies.count().await
    }

    #[tokio::test]
    async fn with_a_shared_store_its_counts_are_those_of_all_and_nobody_is_asked() {
        let counted = sum_with_a_lost_peer(HistoryScope::AllReplicas).await;
        assert_eq!(counted, Own(HistoryScope::AllReplicas).count().await);
        let why = sum_with_a_lost_peer(HistoryScope::ThisReplica).await.unwrap_err();
        assert!(why.contains("no counts of 127.0.0.1:1 yet"), "{why}");
    }

    fn tallies(dead: i64) -> Vec<PeerTally> {
        let deliveries = Some(DeliveryCounts { dead, ..DeliveryCounts::default() });
        let (namespace, webhook) = ("team-a".into(), "pay".into());
        vec![PeerTally { namespace, webhook, deliveries, last_delivery: None }]
    }

    fn round(of: &[(&str, i64)], missing: &[&str]) -> Responses {
        let of = of.iter().map(|(name, dead)| ((*name).to_owned(), tallies(*dead))).collect();
        Responses { latest: of, missing: missing.iter().map(ToString::to_string).collect() }
    }

    fn dead(tallies: Vec<PeerTally>) -> i64 {
        tallies.iter().filter_map(|tally| Some(tally.deliveries?.dead)).sum()
    }

    #[test]
    fn of_a_replica_that_does_not_answer_the_last_numbers_count() {
        let mut peer_tallies = PeerTallies::default();
        assert_eq!(peer_tallies.update(round(&[("a", 1), ("b", 10)], &[])).map(dead), Ok(11));
        assert_eq!(peer_tallies.update(round(&[("a", 2)], &["b"])).map(dead), Ok(12));
        assert_eq!(peer_tallies.update(round(&[("a", 2), ("b", 20)], &[])).map(dead), Ok(22));
        // It was scaled down.
        assert_eq!(peer_tallies.update(round(&[("a", 2)], &[])).map(dead), Ok(2));
    }

    #[test]
    fn while_nothing_is_known_of_a_replica_there_is_no_sum() {
        let mut peer_tallies = PeerTallies::default();
        let why = peer_tallies.update(round(&[("a", 1)], &["b", "c"])).map(dead);
        assert_eq!(why, Err("no counts of b, c yet".into()));
        assert_eq!(peer_tallies.update(round(&[("a", 1), ("b", 2)], &[])).map(dead), Ok(3));
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
        let (mut peer_tallies, id) =
            (PeerTallies::default(), Id { app: uuid::Uuid::nil(), webhook: uuid::Uuid::nil() });
        for (dead, is_more) in [(1, true), (1, false), (3, true), (2, false)] {
            let deliveries = Some(DeliveryCounts { dead, ..DeliveryCounts::default() });
            peer_tallies.track_deaths(&HashMap::from([(id, Counted::new(deliveries, None))]));
            assert_eq!(peer_tallies.more_dead.contains(&id), is_more, "{dead}");
        }
    }
}
