use std::sync::Mutex;

use futures_util::FutureExt;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::plan::decide::ListenerPolicy;
use crate::plan::identity::IdentityKey;
use crate::plan::{AppInput, Change, Settings, WebhookInput};
use crate::resources::DeliveryCounts;
use crate::routes::Table;

const INTERVAL: Duration = Duration::from_secs(60);

/// Counts that the test sets; `None`: counting fails.
#[derive(Default)]
struct FakeTallies(Mutex<Option<HashMap<Id, Counted>>>);

impl FakeTallies {
    fn set(&self, ids: &[Id], pending: i64) {
        let deliveries = DeliveryCounts { pending, ..DeliveryCounts::default() };
        let counted = Counted::new(Some(deliveries), None);
        *self.0.lock().unwrap() = Some(ids.iter().map(|id| (*id, counted)).collect());
    }
}

impl Tallies for FakeTallies {
    fn scope(&self) -> HistoryScope {
        HistoryScope::AllReplicas
    }

    fn count(&self) -> BoxFuture<'_, Result<HashMap<Id, Counted>, String>> {
        let tallies = self.0.lock().unwrap().clone();
        async { tallies.ok_or_else(|| "a replica does not answer".into()) }.boxed()
    }

    fn last_death<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Option<Box<str>>> {
        async { None }.boxed()
    }
}

/// A runner with an app and webhooks.
fn runner(webhooks: usize) -> Arc<PlanRunner> {
    let settings = Settings {
        external_url: "https://hooks.example.com".into(),
        listeners: ListenerPolicy { allow_url: true, ..ListenerPolicy::default() },
        identity: IdentityKey::new(&[7; 32]).unwrap(),
        key_sets: Arc::default(),
    };
    let runner = Arc::new(PlanRunner::new(settings, Arc::new(Table::default())));
    let object = |kind: &str, name: String, spec: serde_json::Value| {
        json!({
            "apiVersion": "lenra.io/v1alpha1", "kind": kind,
            "metadata": {"namespace": "team-a", "name": name}, "spec": spec,
        })
    };
    let listener = json!({"listener": {"url": "http://192.0.2.1/"}});
    let app = serde_json::from_value(object("WebhookApp", "shop".into(), listener)).unwrap();
    runner.apply([Change::App(AppInput::of(&app))]);
    runner.apply((0..webhooks).map(|n| {
        let spec = json!({"app": "shop", "action": "run"});
        let webhook = object("Webhook", format!("webhook-{n}"), spec);
        Change::Webhook(WebhookInput::of(&serde_json::from_value(webhook).unwrap()))
    }));
    runner.pending().take_all();
    runner
}

fn ids(runner: &PlanRunner) -> Vec<Id> {
    runner.planner().routes().map(|(id, _)| id).collect()
}

/// Starts a task that counts.
fn start(runner: &Arc<PlanRunner>) -> Arc<FakeTallies> {
    let tallies = Arc::new(FakeTallies::default());
    let counting = Counting { tallies: tallies.clone(), interval: INTERVAL };
    let runner = runner.clone();
    tokio::spawn(async move { counting.follow(&runner).await });
    tallies
}

/// Advances the clock. Returns how many statuses became due.
async fn due_within(runner: &PlanRunner, time: Duration) -> usize {
    tokio::time::sleep(time).await;
    let due = runner.pending().take_all();
    let mut planner = runner.planner();
    for object in &due {
        let status =
            planner.webhook_status(&object.key, Timestamp::UNIX_EPOCH).expect("it differs");
        planner.observe(object, crate::plan::Observed::of_webhook(&status));
    }
    due.len()
}

#[tokio::test(start_paused = true)]
async fn numbers_are_reported_once_an_interval_and_only_where_they_changed() {
    let runner = runner(3);
    let ids = ids(&runner);
    let tallies = start(&runner);
    tallies.set(&ids[..2], 1);
    assert_eq!(due_within(&runner, Duration::from_secs(1)).await, 2);
    assert_eq!(due_within(&runner, 2 * INTERVAL).await, 0, "nothing changed");
    tallies.set(&ids, 2);
    assert_eq!(due_within(&runner, INTERVAL).await, 3);
    for pending in 3..6 {
        tallies.set(&ids, pending);
        assert_eq!(due_within(&runner, INTERVAL / 2).await, 0);
        assert_eq!(due_within(&runner, INTERVAL / 2).await, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn numbers_stay_for_an_interval_though_fewer_are_reported_before_them() {
    let runner = runner(3);
    let ids = ids(&runner);
    let tallies = start(&runner);
    tallies.set(&ids, 1);
    assert_eq!(due_within(&runner, 2 * PACE - PACE / 2).await, 2);
    assert_eq!(due_within(&runner, PACE).await, 1);
    let last = Key::new("team-a", "webhook-2");
    let id = runner.planner().routes().find(|(_, route)| route.name == last.name).unwrap().0;
    let counted = tallies.0.lock().unwrap().as_mut().unwrap().insert(id, Counted::default());
    assert!(counted.is_some());
    // The next round has started, with this webhook as its first.
    assert_eq!(due_within(&runner, INTERVAL - 2 * PACE).await, 0);
    assert_eq!(due_within(&runner, 2 * PACE).await, 1);
}

#[tokio::test(start_paused = true)]
async fn many_numbers_are_reported_slowly_and_completely() {
    let runner = runner(10_000);
    let ids = ids(&runner);
    let tallies = start(&runner);
    tallies.set(&ids, 1);
    let mut reported = 0;
    for _ in 0..200 {
        let due = due_within(&runner, Duration::from_secs(1)).await;
        assert!(due <= 51, "{due} in a second");
        reported += due;
    }
    assert!(reported > 9_900, "{reported}");
    assert_eq!(reported + due_within(&runner, INTERVAL).await, ids.len());
}

#[tokio::test(start_paused = true)]
async fn numbers_stay_while_counting_fails_and_deleted_webhooks_are_not_counted() {
    let runner = runner(1);
    let ids = ids(&runner);
    let tallies = start(&runner);
    let key = Key::new("team-a", "webhook-0");
    tallies.set(&ids, 4);
    assert_eq!(due_within(&runner, INTERVAL).await, 1);
    *tallies.0.lock().unwrap() = None;
    assert_eq!(due_within(&runner, 3 * INTERVAL).await, 0);
    let counted = || runner.planner().webhook(&key).unwrap().input.meta.observed.counted();
    assert_eq!(counted().deliveries.unwrap().pending, 4);
    tallies.set(&[], 0);
    assert_eq!(due_within(&runner, INTERVAL).await, 1);
    assert_eq!(counted().deliveries, Some(DeliveryCounts::default()));
}

#[tokio::test(start_paused = true)]
async fn a_new_writer_keeps_the_numbers_until_it_has_counted() {
    let runner = runner(1);
    let key = Key::new("team-a", "webhook-0");
    let deliveries = DeliveryCounts { succeeded: 7, dead: 1, pending: 0 };
    let counted = Counted::new(Some(deliveries), Some(Moment(5_000)));
    // From an earlier term as the writer, and never written.
    let died = Died::default();
    runner.count(&key, Count { counted: Counted::default(), died: died.clone() });
    runner.planner().forget_counts();
    let object = crate::plan::ObjectRef { kind: crate::plan::Kind::Webhook, key: key.clone() };
    runner.count(&key, Count { counted, died });
    let status = runner.planner().webhook_status(&key, Timestamp::UNIX_EPOCH).unwrap();
    runner.planner().observe(&object, crate::plan::Observed::of_webhook(&status));
    runner.apply([Change::AppGone(Key::new("team-a", "shop"))]);
    let status = runner.planner().webhook_status(&key, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(status.conditions[0].reason, "AppNotFound");
    assert_eq!(
        (status.deliveries, status.last_delivery),
        (Some(deliveries), counted.last_delivery())
    );
}
