//! The route table and the planner that feeds it: any history equals a rebuild from its end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;
use webhook_operator::plan::decide::ListenerPolicy;
use webhook_operator::plan::identity::IdentityKey;
use webhook_operator::plan::{
    AppInput, Change, Key, Kind, ObjectRef, Planner, ServiceInput, Settings, WebhookInput,
};
use webhook_operator::resources::{Webhook, WebhookApp};
use webhook_operator::routes::{self, Id, Route, Table};

const NOW: &str = "2026-11-23T00:00:00Z";

fn planner() -> Planner {
    Planner::new(Settings {
        external_url: "https://hooks.example.com".into(),
        listeners: ListenerPolicy { allow_url: true, ..ListenerPolicy::default() },
        identity: IdentityKey::new(&[1; 32]).unwrap(),
    })
}

fn uuid(n: u8) -> String {
    Uuid::from_bytes([n; 16]).to_string()
}

fn app(name: u8, created: u8, chosen: Option<u8>, service: bool) -> AppInput {
    let listener = if service {
        json!({"service": {"name": "shop", "port": 8080}})
    } else {
        json!({"url": "http://192.0.2.1/"})
    };
    let object = json!({
        "apiVersion": "lenra.io/v1alpha1", "kind": "WebhookApp",
        "metadata": {"name": format!("app-{name}"), "namespace": "team-a",
            "creationTimestamp": format!("2026-01-01T00:00:{:02}Z", created % 60)},
        "spec": {"uuid": chosen.map(uuid), "listener": listener},
    });
    AppInput::of(&serde_json::from_value::<WebhookApp>(object).unwrap())
}

fn webhook(name: u8, app: u8, created: u8, chosen: Option<u8>, suspend: bool) -> WebhookInput {
    let object = json!({
        "apiVersion": "lenra.io/v1alpha1", "kind": "Webhook",
        "metadata": {"name": format!("webhook-{name}"), "namespace": "team-a",
            "creationTimestamp": format!("2026-01-01T00:00:{:02}Z", created % 60)},
        "spec": {"app": format!("app-{app}"), "action": "run", "uuid": chosen.map(uuid), "suspend": suspend},
    });
    WebhookInput::of(&serde_json::from_value::<Webhook>(object).unwrap())
}

fn service() -> ServiceInput {
    let object = json!({
        "metadata": {"name": "shop", "namespace": "team-a"},
        "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 8080}]},
    });
    ServiceInput::of(&serde_json::from_value(object).unwrap())
}

fn key(name: String) -> Key {
    Key::new("team-a", name)
}

/// Few names and few UUIDs, so that objects meet.
fn change() -> impl Strategy<Value = Change> {
    let chosen = || proptest::option::of(0..3_u8);
    prop_oneof![
        4 => (0..4_u8, 0..4_u8, chosen(), any::<bool>())
            .prop_map(|(name, created, uuid, service)| Change::App(app(name, created, uuid, service))),
        2 => (0..4_u8).prop_map(|name| Change::AppGone(key(format!("app-{name}")))),
        6 => (0..8_u8, 0..4_u8, 0..4_u8, chosen(), any::<bool>())
            .prop_map(|(name, app, created, uuid, off)| Change::Webhook(webhook(name, app, created, uuid, off))),
        3 => (0..8_u8).prop_map(|name| Change::WebhookGone(key(format!("webhook-{name}")))),
        1 => Just(Change::Service(service())),
        1 => Just(Change::ServiceGone(key("shop".into()))),
    ]
}

/// What is there after all changes, as (kind, name) -> the last change of it.
fn survivors(changes: &[Change]) -> Vec<Change> {
    let mut last: BTreeMap<(u8, Key), Change> = BTreeMap::new();
    for change in changes {
        let place = match change {
            Change::App(app) => (0, app.meta.key.clone()),
            Change::AppGone(key) => (0, key.clone()),
            Change::Webhook(webhook) => (1, webhook.meta.key.clone()),
            Change::WebhookGone(key) => (1, key.clone()),
            Change::Service(service) => (2, service.key.clone()),
            Change::ServiceGone(key) => (2, key.clone()),
        };
        last.insert(place, change.clone());
    }
    let is_there = |change: &Change| {
        matches!(change, Change::App(_) | Change::Webhook(_) | Change::Service(_))
    };
    last.into_values().filter(is_there).collect()
}

/// Statuses as they would be written, by object.
fn statuses(planner: &Planner) -> BTreeMap<ObjectRef, serde_json::Value> {
    let now = NOW.parse().unwrap();
    let status = |object: &ObjectRef| match object.kind {
        Kind::WebhookApp => json!(planner.app_status(&object.key, now)),
        Kind::Webhook => json!(planner.webhook_status(&object.key, now)),
    };
    planner.objects().map(|object| (object.clone(), status(&object))).collect()
}

fn contents(table: &Table, ids: impl IntoIterator<Item = Id>) -> HashMap<Id, Arc<Route>> {
    ids.into_iter().filter_map(|id| Some((id, table.get(id)?))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_history_of_resources_leaves_the_routes_and_statuses_of_a_fresh_start(
        changes in proptest::collection::vec(change(), 1..60),
        reversed in any::<bool>(),
    ) {
        let (mut lived, table) = (planner(), Table::default());
        for change in &changes {
            table.apply(lived.apply(change.clone()).routes);
        }
        let mut fresh = planner();
        let mut remaining = survivors(&changes);
        if reversed {
            remaining.reverse();
        }
        let rebuilt = Table::default();
        for change in remaining {
            rebuilt.apply(fresh.apply(change).routes);
        }
        let expected: HashMap<Id, Arc<Route>> = fresh.routes().collect();
        prop_assert_eq!(rebuilt.len(), expected.len());
        prop_assert_eq!(table.len(), expected.len());
        prop_assert_eq!(&contents(&table, expected.keys().copied()), &expected);
        prop_assert_eq!(statuses(&lived), statuses(&fresh));
    }

    #[test]
    fn a_status_that_changed_is_always_announced(
        changes in proptest::collection::vec(change(), 1..40),
    ) {
        let mut planner = planner();
        let mut before = statuses(&planner);
        for change in changes {
            let step = planner.apply(change);
            let after = statuses(&planner);
            for (object, status) in &after {
                let counted = object.kind == Kind::WebhookApp && step.counts.contains(&object.key);
                let announced = counted || step.statuses.contains(object);
                prop_assert!(announced || before.get(object) == Some(status), "{object:?}");
            }
            before = after;
        }
    }
}

fn route(n: u8) -> Arc<Route> {
    let mut planner = planner();
    planner.apply(Change::App(app(0, 0, Some(0), false)));
    planner.apply(Change::Webhook(webhook(n, 0, 0, Some(n), false)));
    planner.routes().next().unwrap().1
}

#[derive(Clone, Debug)]
enum Operation {
    Apply(u8, u8),
    Delete(u8),
    Reset(Vec<(u8, u8)>),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        5 => (0..20_u8, 0..3_u8).prop_map(|(id, route)| Operation::Apply(id, route)),
        3 => (0..20_u8).prop_map(Operation::Delete),
        1 => proptest::collection::vec((0..20_u8, 0..3_u8), 0..10).prop_map(Operation::Reset),
    ]
}

proptest! {
    #[test]
    fn the_table_holds_what_a_plain_map_would_hold(
        operations in proptest::collection::vec(operation(), 1..50),
    ) {
        let choices = [route(0), route(1), route(2)];
        let id = |n: u8| Id { app: Uuid::from_bytes([n; 16]), webhook: Uuid::from_bytes([n / 2; 16]) };
        let (table, mut model) = (Table::default(), HashMap::new());
        for operation in operations {
            match operation {
                Operation::Apply(n, route) => {
                    let route = choices[usize::from(route)].clone();
                    table.apply([routes::Change::Apply(id(n), route.clone())]);
                    model.insert(id(n), route);
                }
                Operation::Delete(n) => {
                    table.apply([routes::Change::Delete(id(n))]);
                    model.remove(&id(n));
                }
                Operation::Reset(all) => {
                    model = all.into_iter().map(|(n, r)| (id(n), choices[usize::from(r)].clone())).collect();
                    table.reset(model.clone());
                }
            }
        }
        prop_assert_eq!(table.len(), model.len());
        prop_assert_eq!(contents(&table, (0..20).map(id)), model);
    }
}

#[test]
fn a_webhook_is_never_found_under_another_app() {
    let mut planner = planner();
    let table = Table::default();
    for change in [
        Change::App(app(0, 0, Some(1), false)),
        Change::App(app(1, 0, Some(2), false)),
        Change::Webhook(webhook(0, 0, 0, Some(3), false)),
    ] {
        table.apply(planner.apply(change).routes);
    }
    let uuid = |n: u8| Uuid::from_bytes([n; 16]);
    assert!(table.get(Id { app: uuid(1), webhook: uuid(3) }).is_some());
    assert!(table.get(Id { app: uuid(2), webhook: uuid(3) }).is_none());
}

#[test]
fn the_older_of_two_apps_keeps_a_uuid_and_the_younger_gets_it_when_the_older_goes() {
    let mut planner = planner();
    let older = app(1, 0, Some(9), false);
    planner.apply(Change::App(app(0, 5, Some(9), false)));
    planner.apply(Change::App(older.clone()));
    let now = NOW.parse().unwrap();
    let younger = key("app-0".into());
    let reason =
        |planner: &Planner| planner.app_status(&younger, now).unwrap().conditions[0].reason.clone();
    assert_eq!(reason(&planner), "UUIDConflict");
    assert_eq!(planner.app_status(&younger, now).unwrap().uuid, None);
    let step = planner.apply(Change::AppGone(older.meta.key));
    assert!(step.statuses.iter().any(|object| object.key == younger));
    assert_eq!(reason(&planner), "Succeeded");
}

#[test]
fn a_status_as_it_is_observed_is_not_written_again() {
    let mut planner = planner();
    planner.apply(Change::App(app(0, 0, None, false)));
    let now = NOW.parse().unwrap();
    let key = key("app-0".into());
    let status = planner.app_status(&key, now).unwrap();
    let observed = webhook_operator::plan::Observed::of_app(&status);
    planner.observe(&ObjectRef { kind: Kind::WebhookApp, key: key.clone() }, observed);
    let later = "2027-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(planner.app_status(&key, later), None);
}
