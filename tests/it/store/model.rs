//! Any history gives what the simplest store gives: leases, crashes and late answers in every order.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;
use webhook_operator::moment::Moment;
use webhook_operator::resources::Ordering;
use webhook_operator::store::{
    Accepted, DeadReason, DeliveryState, DuplicateKey, Filter, History, Lease, NewEvent, Next,
    Queue as _, Take, Tally, ids,
};
use webhook_operator::verify::Repeats;

use crate::store::engines::compared_with_the_model;
use crate::store::world::{LEASE, MANY, NOW, World, attempted, failed};
use crate::support::model_store::ModelStore;

const WEBHOOKS: [&str; 3] = ["a", "fifo", "fifo-b"];

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// An event comes to a webhook, perhaps a copy of another one.
    Accept {
        webhook: usize,
        copy_of: Option<u8>,
        by_hand: bool,
        parallel: bool,
    },
    /// Some of what is due is leased.
    Take {
        most: usize,
    },
    /// An answer comes, early or late, to a lease that was given at some time.
    Settle {
        lease: Index,
        next: u8,
    },
    /// Time passes.
    Wait {
        seconds: u64,
    },
    /// The process is killed and started anew.
    Crash,
    GiveUp,
    Replay {
        delivery: Index,
    },
    ReplayAll {
        webhook: usize,
        state: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..WEBHOOKS.len(), proptest::option::weighted(0.5, 0..3_u8), any::<bool>(), proptest::bool::weighted(0.1))
            .prop_map(|(webhook, copy_of, by_hand, parallel)| Step::Accept { webhook, copy_of, by_hand, parallel }),
        5 => (1..20_usize).prop_map(|most| Step::Take { most }),
        8 => (any::<Index>(), 0..4_u8).prop_map(|(lease, next)| Step::Settle { lease, next }),
        3 => (1..50_u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Crash),
        1 => Just(Step::GiveUp),
        1 => any::<Index>().prop_map(|delivery| Step::Replay { delivery }),
        1 => (0..WEBHOOKS.len(), 0..4_u8).prop_map(|(webhook, state)| Step::ReplayAll { webhook, state }),
    ]
}

/// A delivery and a lease of it, in both.
struct Pair<T> {
    ours: T,
    model: T,
}

/// Both stores, and what was made in them.
struct Both {
    world: World,
    model: ModelStore,
    now: Moment,
    deliveries: Vec<Pair<Uuid>>,
    leases: Vec<(Pair<Lease>, u32)>,
}

impl Both {
    fn new(world: World) -> Self {
        let model = ModelStore::default();
        Self { world, model, now: NOW, deliveries: Vec::new(), leases: Vec::new() }
    }

    async fn step(mut self, step: Step) -> Self {
        match step {
            Step::Accept { webhook, copy_of, by_hand, parallel } => {
                let window = Duration::from_secs(60);
                let repeats = if by_hand { Repeats::ByHand } else { Repeats::ByItself };
                let key = |key| DuplicateKey { hash: [key; 16], repeats, window };
                self.accept(WEBHOOKS[webhook], copy_of.map(key), parallel).await;
            }
            Step::Take { most } => self.take(most).await,
            Step::Settle { lease, next } if !self.leases.is_empty() => {
                self.settle(lease.index(self.leases.len()), next).await;
            }
            Step::Wait { seconds } => {
                self.now = self.now + Duration::from_secs(seconds);
                // A store that is opened again must not find itself in the past.
                self.world.clock.set(self.now);
            }
            Step::Crash => {
                self.world = self.world.restart();
                self.model.reopen();
                // The ids of events that were duplicates are forgotten by a crash, but not by the model: both go on from the
                // same one, or the ids of later deliveries are in another order.
                let last = self.model.ids().next(self.now);
                self.world.store.ids().follow(ids::key(last));
                self.leases.clear();
            }
            Step::GiveUp => self.give_up().await,
            Step::Replay { delivery } if !self.deliveries.is_empty() => {
                let Pair { ours, model } = &self.deliveries[delivery.index(self.deliveries.len())];
                let ours = self.world.store.replay(*ours, self.now).await.unwrap().unwrap();
                let model = self.model.replay(*model, self.now).await.unwrap().unwrap();
                self.deliveries.push(Pair { ours, model });
            }
            Step::ReplayAll { webhook, state } => self.replay_all(WEBHOOKS[webhook], state).await,
            Step::Settle { .. } | Step::Replay { .. } => {}
        }
        self
    }

    async fn accept(&mut self, webhook: &str, duplicate: Option<DuplicateKey>, parallel: bool) {
        let ordering = match webhook.starts_with("fifo") && !parallel {
            true => Ordering::Fifo,
            false => Ordering::Parallel,
        };
        let event = NewEvent {
            id: self.world.store.ids().next(self.now),
            route: self.world.route_with(webhook, ordering),
            duplicate,
            now: self.now,
            ..self.world.event(webhook, b"{}")
        };
        let id = event.id;
        // Both make ids of replays after it.
        self.model.ids().follow(ids::key(id));
        let model = self.model.accept(event.clone()).await;
        let ours = self.world.store.accept(event).await;
        assert_eq!(ours, model);
        if !matches!(ours, Ok(Accepted::Duplicate(_))) {
            self.deliveries.push(Pair { ours: id, model: id });
        }
    }

    /// Which of those that are due at the same moment come first is the store's to say: as many are taken
    /// as there are, where there are fewer than wanted.
    async fn take(&mut self, most: usize) {
        let all = 1000;
        let take = |most| Take {
            app: self.world.app,
            most,
            concurrency: MANY,
            now: self.now,
            lease: LEASE,
        };
        let mut model = self.model.take(take(all)).await.unwrap().leased;
        let mut ours = self.world.store.take(take(most)).await.unwrap().leased;
        assert_eq!(ours.len(), model.len().min(most));
        ours.extend(self.world.store.take(take(all)).await.unwrap().leased);
        assert_eq!(ours.len(), model.len());
        for leased in ours {
            let id = self.model_of(leased.lease.delivery);
            let same = model.iter().position(|other| other.lease.delivery == id);
            let other = model.swap_remove(same.expect("the model does not have it due"));
            assert_eq!(
                (leased.attempt, &leased.webhook.name),
                (other.attempt, &other.webhook.name)
            );
            self.leases.push((Pair { ours: leased.lease, model: other.lease }, leased.attempt));
        }
    }

    async fn settle(&mut self, index: usize, next: u8) {
        let (Pair { ours, model }, number) = &self.leases[index];
        let next = match next {
            0 | 1 => Next::Succeeded,
            2 => Next::Retry(self.now + Duration::from_secs(5)),
            _ => Next::Dead(DeadReason::Rejected),
        };
        let attempted = match next {
            Next::Succeeded => attempted(*number),
            _ => failed(*number),
        };
        let ours = self.world.store.settle(*ours, attempted.clone(), next).await;
        let model = self.model.settle(*model, attempted, next).await;
        assert_eq!(ours, model);
    }

    async fn give_up(&mut self) {
        let (app, reason) = (self.world.app, DeadReason::AppDeleted);
        while self.world.store.give_up(app, reason, self.now).await.unwrap() > 0 {}
        self.model.give_up(app, reason, self.now).await.unwrap();
    }

    async fn replay_all(&mut self, webhook: &str, state_index: u8) {
        let state = [
            None,
            Some(DeliveryState::Pending),
            Some(DeliveryState::Succeeded),
            Some(DeliveryState::Dead),
        ];
        let filter = Filter {
            webhook: Some(webhook.into()),
            state: state[usize::from(state_index)],
            ..Filter::default()
        };
        let before = self.ids().await;
        let ours = self.world.store.replay_all(filter.clone(), None, 5, self.now).await.unwrap();
        let model = self.model.replay_all(filter, None, 5, self.now).await.unwrap();
        assert_eq!(ours.count, model.count);
        // Both go from the latest back: the new ones belong together in their order.
        let after = self.ids().await;
        let fresh = |before: &[Uuid], after: Vec<Uuid>| -> Vec<Uuid> {
            after.into_iter().filter(|id| !before.contains(id)).collect()
        };
        let ours = fresh(&before.ours, after.ours);
        let model = fresh(&before.model, after.model);
        assert_eq!(ours.len(), model.len());
        let pairs = ours.into_iter().zip(model).map(|(ours, model)| Pair { ours, model });
        self.deliveries.extend(pairs);
    }

    async fn ids(&self) -> Pair<Vec<Uuid>> {
        let all = async |store: &dyn History| -> Vec<Uuid> {
            let lines = store.list(Filter::default(), None, 10_000).await.unwrap();
            lines.iter().map(|line| line.id).collect()
        };
        Pair { ours: all(&*self.world.store).await, model: all(&self.model).await }
    }

    fn model_of(&self, ours: Uuid) -> Uuid {
        self.deliveries.iter().find(|pair| pair.ours == ours).expect("it is not known").model
    }

    async fn compare(&self) {
        let ids = self.ids().await;
        assert_eq!(ids.ours.len(), ids.model.len());
        for Pair { ours, model } in &self.deliveries {
            let ours = self.world.store.show(*ours).await.unwrap().unwrap();
            let model = self.model.show(*model).await.unwrap().unwrap();
            let said = |line: &webhook_operator::store::Summary| {
                (
                    line.state,
                    line.reason,
                    line.generation,
                    line.attempts,
                    line.due,
                    line.last_status,
                )
            };
            assert_eq!(said(&ours.summary), said(&model.summary));
            assert_eq!(ours.summary.finished, model.summary.finished);
            assert_eq!(ours.attempts, model.attempts);
        }
        assert_eq!(tallies(&*self.world.store).await, tallies(&self.model).await);
    }
}

/// By the names of webhooks; of those that had a delivery.
async fn tallies(store: &dyn History) -> BTreeMap<String, Tally> {
    let all = store.tallies().await.unwrap().into_iter();
    let named = all.map(|(webhook, tally)| (webhook.name.to_string(), tally));
    named.filter(|(_, tally)| *tally != Tally::default()).collect()
}

fn any_history_is_as_the_model_has_it<F: Future<Output = World>>(new_world: fn() -> F, cases: u32) {
    let config = ProptestConfig { cases, max_shrink_iters: 200, ..ProptestConfig::default() };
    proptest!(config, |(steps in proptest::collection::vec(step(), 1..60))| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut both = Both::new(new_world().await);
            for step in steps {
                both = both.step(step).await;
            }
            both.compare().await;
        });
    });
}

compared_with_the_model!(any_history_is_as_the_model_has_it);
