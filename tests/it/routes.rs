//! The route table and the planner that feeds it: any history equals a rebuild from its end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;
use webhook_operator::moment::Moment;
use webhook_operator::plan::decide::ListenerPolicy;
use webhook_operator::plan::identity::IdentityKey;
use webhook_operator::plan::{
    AppInput, Change, EventReason, Key, Kind, ObjectRef, Observed, Planner, Reachability,
    ServiceInput, Settings, SliceInput, Step, WebhookInput,
};
use webhook_operator::resources::{DeliveryMode, Ordering, Webhook, WebhookApp};
use webhook_operator::routes::{self, App, DedupBy, Host, Id, Route, RouteState, Table, Upstream};
use webhook_operator::verify::jwt::NAMESPACE_SETS;

const NOW: &str = "2026-11-23T00:00:00Z";

fn planner() -> Planner {
    Planner::new(Settings {
        external_url: "https://hooks.example.com".into(),
        listeners: ListenerPolicy { allow_url: true, ..ListenerPolicy::default() },
        identity: IdentityKey::new(&[1; 32]).unwrap(),
        key_sets: Arc::default(),
    })
}

fn uuid(n: u8) -> String {
    Uuid::from_bytes([n; 16]).to_string()
}

fn app(name: u8, created: u8, chosen: Option<u8>, service: Option<u8>) -> AppInput {
    let listener = match service {
        Some(n) => json!({"service": {"name": format!("service-{n}"), "port": 80}}),
        None => json!({"url": "http://192.0.2.1/"}),
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

/// One without its port cannot be called.
fn service(name: u8, with_port: bool) -> ServiceInput {
    let ports = if with_port { json!([{"port": 80}]) } else { json!([]) };
    let object = json!({
        "metadata": {"name": format!("service-{name}"), "namespace": "team-a"},
        "spec": {"clusterIP": "10.96.0.7", "selector": {"app": "shop"}, "ports": ports},
    });
    ServiceInput::of(&serde_json::from_value(object).unwrap())
}

/// A slice of a service, with these endpoints; an odd number is not ready, 4 and 5 are no Pods.
fn slice(name: u8, service: u8, endpoints: &[u8]) -> SliceInput {
    let target = |n: u8| {
        (n < 4).then(|| json!({"kind": "Pod", "namespace": "team-a", "name": format!("pod-{n}")}))
    };
    let endpoint = |n: &u8| {
        json!({
            "addresses": [format!("10.0.0.{n}")],
            "conditions": {"ready": n.is_multiple_of(2)},
            "targetRef": target(*n),
        })
    };
    let object = json!({
        "metadata": {"name": format!("slice-{name}"), "namespace": "team-a",
            "labels": {"kubernetes.io/service-name": format!("service-{service}")}},
        "addressType": "IPv4",
        "ports": [{"port": 8080}],
        "endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>(),
    });
    SliceInput::of(&serde_json::from_value(object).unwrap()).unwrap()
}

fn app_ref(name: u8) -> ObjectRef {
    ObjectRef { kind: Kind::WebhookApp, key: key(format!("app-{name}")) }
}

fn key(name: String) -> Key {
    Key::new("team-a", name)
}

/// Few names and few UUIDs, so that objects meet.
fn change() -> impl Strategy<Value = Change> {
    let chosen = || proptest::option::of(0..3_u8);
    prop_oneof![
        4 => (0..4_u8, 0..4_u8, chosen(), proptest::option::of(0..3_u8))
            .prop_map(|(name, created, uuid, service)| Change::App(app(name, created, uuid, service))),
        2 => (0..4_u8).prop_map(|name| Change::AppGone(key(format!("app-{name}")))),
        6 => (0..8_u8, 0..4_u8, 0..4_u8, chosen(), any::<bool>())
            .prop_map(|(name, app, created, uuid, off)| Change::Webhook(webhook(name, app, created, uuid, off))),
        3 => (0..8_u8).prop_map(|name| Change::WebhookGone(key(format!("webhook-{name}")))),
        3 => (0..3_u8, any::<bool>()).prop_map(|(name, port)| Change::Service(service(name, port))),
        1 => (0..3_u8).prop_map(|name| Change::ServiceGone(key(format!("service-{name}")))),
        3 => (0..4_u8, 0..3_u8, proptest::collection::vec(0..6_u8, 0..4))
            .prop_map(|(name, service, endpoints)| Change::Slice(slice(name, service, &endpoints))),
        1 => (0..4_u8).prop_map(|name| Change::SliceGone(key(format!("slice-{name}")))),
    ]
}

/// A planner and what it feeds, with a cluster in which Services are looked up.
struct World {
    planner: Planner,
    table: Table,
    services: BTreeMap<Key, ServiceInput>,
    slices: BTreeMap<Key, SliceInput>,
}

impl World {
    fn new() -> Self {
        Self {
            planner: planner(),
            table: Table::default(),
            services: BTreeMap::new(),
            slices: BTreeMap::new(),
        }
    }

    /// Makes a change in the cluster and tells of it; answers the look-ups that follow.
    fn apply(&mut self, change: Change) -> Step {
        match &change {
            Change::Service(service) => {
                self.services.insert(service.key.clone(), service.clone());
            }
            Change::ServiceGone(key) => drop(self.services.remove(key)),
            Change::Slice(slice) => {
                self.slices.insert(slice.key.clone(), slice.clone());
            }
            Change::SliceGone(key) => drop(self.slices.remove(key)),
            _ => {}
        }
        let mut step = self.tell(change);
        for service in std::mem::take(&mut step.look_ups) {
            for change in self.look_up(&service) {
                let Step { statuses, counts, .. } = self.tell(change);
                step.statuses.extend(statuses);
                step.counts.extend(counts);
            }
        }
        step
    }

    fn look_up(&self, key: &Key) -> Vec<Change> {
        let services = self.services.get(key).cloned().map(Change::Service);
        let slices = self.slices.values().filter(|slice| slice.service == key.name).cloned();
        let settled = [Change::ServiceSettled(key.clone())];
        services.into_iter().chain(slices.map(Change::Slice)).chain(settled).collect()
    }

    fn tell(&mut self, change: Change) -> Step {
        let mut step = self.planner.apply(change);
        std::mem::take(&mut step.endpoints).into_iter().for_each(|(cell, ready)| cell.set(ready));
        self.table.apply_apps(std::mem::take(&mut step.apps));
        self.table.apply(std::mem::take(&mut step.routes));
        step
    }

    /// What the calls of each route go to.
    fn upstreams(&self) -> HashMap<Id, Option<Vec<(Host, u16)>>> {
        let upstream = |route: &Route| match &route.app.target.as_ref()?.upstream {
            Upstream::Origin(origin) => Some(vec![(origin.host.clone(), origin.port)]),
            Upstream::Endpoints(endpoints) => {
                let ready = endpoints.ready();
                let origins = ready.iter().map(|endpoint| &endpoint.origin);
                Some(origins.map(|origin| (origin.host.clone(), origin.port)).collect())
            }
        };
        self.planner.routes().map(|(id, route)| (id, upstream(&route))).collect()
    }
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
            Change::Slice(slice) => (3, slice.key.clone()),
            Change::SliceGone(key) => (3, key.clone()),
            Change::ServiceSettled(_) | Change::Secret(_) | Change::SecretGone(_) => {
                unreachable!("no such change is made here")
            }
        };
        last.insert(place, change.clone());
    }
    let is_there = |change: &Change| {
        use Change::{App, Service, Slice, Webhook};
        matches!(change, App(_) | Webhook(_) | Service(_) | Slice(_))
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

/// What the table has under each UUID that an app may have; and that it is what the planner says.
fn apps(world: &World) -> BTreeMap<Uuid, Option<Arc<App>>> {
    let identity = IdentityKey::new(&[1; 32]).unwrap();
    let names: Vec<_> = (0..4).map(|n| key(format!("app-{n}"))).collect();
    let derived = names.iter().map(|name| identity.uuid(Kind::WebhookApp, name));
    let uuids = derived.chain((0..3).map(|n| Uuid::from_bytes([n; 16])));
    let app = |uuid| {
        let app = world.table.app(uuid);
        let keeper = names.iter().find(|name| world.planner.app_uuid(name) == Some(uuid));
        assert_eq!(app.as_ref().map(|app| &app.name), keeper.map(|keeper| &keeper.name));
        (uuid, app)
    };
    uuids.map(app).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_history_of_resources_leaves_the_routes_and_statuses_of_a_fresh_start(
        changes in proptest::collection::vec(change(), 1..60),
        reversed in any::<bool>(),
    ) {
        let (mut lived, mut fresh) = (World::new(), World::new());
        for change in &changes {
            lived.apply(change.clone());
        }
        let mut remaining = survivors(&changes);
        if reversed {
            remaining.reverse();
        }
        for change in remaining {
            fresh.apply(change);
        }
        let expected: HashMap<Id, Arc<Route>> = fresh.planner.routes().collect();
        prop_assert_eq!(fresh.table.len(), expected.len());
        prop_assert_eq!(lived.table.len(), expected.len());
        prop_assert_eq!(&contents(&lived.table, expected.keys().copied()), &expected);
        prop_assert_eq!(apps(&lived), apps(&fresh));
        prop_assert_eq!(statuses(&lived.planner), statuses(&fresh.planner));
        prop_assert_eq!(lived.upstreams(), fresh.upstreams());
    }

    #[test]
    fn a_status_that_changed_is_always_announced(
        changes in proptest::collection::vec(change(), 1..40),
    ) {
        let mut world = World::new();
        let mut before = statuses(&world.planner);
        for change in changes {
            let step = world.apply(change);
            let after = statuses(&world.planner);
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
    planner.apply(Change::App(app(0, 0, Some(0), None)));
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
        Change::App(app(0, 0, Some(1), None)),
        Change::App(app(1, 0, Some(2), None)),
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
    let older = app(1, 0, Some(9), None);
    planner.apply(Change::App(app(0, 5, Some(9), None)));
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
    planner.apply(Change::App(app(0, 0, None, None)));
    let now = NOW.parse().unwrap();
    let key = key("app-0".into());
    let status = planner.app_status(&key, now).unwrap();
    let observed = Observed::of_app(&status);
    planner.observe(&ObjectRef { kind: Kind::WebhookApp, key: key.clone() }, observed);
    let later = "2027-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(planner.app_status(&key, later), None);
}

#[test]
fn of_the_services_only_what_an_app_names_is_kept() {
    let mut world = World::new();
    let kept = |world: &World| {
        let nothing = std::collections::HashSet::new();
        let services = world.planner.services();
        (services.missing(&nothing).len(), services.missing_slices(&nothing).len())
    };
    for n in 0..3 {
        world.apply(Change::Service(service(n, true)));
        world.apply(Change::Slice(slice(n, n, &[2])));
    }
    assert_eq!(kept(&world), (0, 0));
    for name in 0..2 {
        world.apply(Change::App(app(name, 0, None, Some(1))));
    }
    assert_eq!(kept(&world), (1, 1));
    world.apply(Change::App(app(0, 0, None, Some(2))));
    assert_eq!(kept(&world), (2, 2));
    world.apply(Change::AppGone(key("app-1".into())));
    world.apply(Change::App(app(0, 0, None, None)));
    assert_eq!(kept(&world), (0, 0));
}

#[test]
fn an_app_whose_service_is_still_looked_up_is_reconciling_and_not_stalled() {
    let mut planner = planner();
    let step = planner.apply(Change::App(app(0, 0, None, Some(1))));
    assert_eq!(step.look_ups, [key("service-1".into())]);
    planner.apply(Change::Webhook(webhook(0, 0, 0, None, false)));
    let now = NOW.parse().unwrap();
    let conditions = |planner: &Planner| {
        let app = planner.app_status(&key("app-0".into()), now).unwrap().conditions;
        let webhook = planner.webhook_status(&key("webhook-0".into()), now).unwrap().conditions;
        [app, webhook].map(|all| all.iter().map(|one| one.status == "True").collect::<Vec<_>>())
    };
    let (reconciling, stalled) = ([false, true, false], [false, false, true]);
    assert_eq!(conditions(&planner), [reconciling, reconciling]);
    planner.apply(Change::ServiceSettled(key("service-1".into())));
    assert_eq!(conditions(&planner), [stalled, stalled]);
    planner.apply(Change::Service(service(1, true)));
    let ready = [true, false, false];
    assert_eq!(conditions(&planner), [ready, ready]);
}

#[test]
fn what_is_told_of_a_service_while_it_is_looked_up_is_seen() {
    let mut planner = planner();
    let name = key("service-1".into());
    let version = |planner: &Planner| planner.services().version(&name);
    assert_eq!(version(&planner), None);
    planner.apply(Change::App(app(0, 0, None, Some(1))));
    let mut before = version(&planner);
    assert!(before.is_some());
    planner.apply(Change::Service(service(2, true)));
    planner.apply(Change::Slice(slice(2, 2, &[2])));
    assert_eq!(version(&planner), before, "of another Service");
    for told in [
        Change::Service(service(1, true)),
        Change::Slice(slice(1, 1, &[2])),
        Change::Slice(slice(1, 2, &[2])),
        Change::ServiceGone(name.clone()),
        Change::ServiceGone(name.clone()),
        // Whose it was is not known.
        Change::SliceGone(key("slice-3".into())),
    ] {
        planner.apply(told.clone());
        assert_ne!(version(&planner), before, "{told:?}");
        before = version(&planner);
    }
    planner.apply(Change::AppGone(key("app-0".into())));
    planner.apply(Change::App(app(0, 0, None, Some(1))));
    assert!(version(&planner).is_some() && version(&planner) != before);
}

#[test]
fn whether_a_listener_answers_is_told_in_its_app_s_status_and_leaves_it_ready() {
    let mut planner = planner();
    planner.apply(Change::App(app(0, 0, Some(1), None)));
    planner.apply(Change::Webhook(webhook(0, 0, 0, None, false)));
    let (object, uuid) = (app_ref(0), Uuid::from_bytes([1; 16]));
    let reachable = |planner: &mut Planner| {
        let now = NOW.parse().unwrap();
        let status = planner.app_status(&object.key, now).expect("it differs");
        planner.observe(&object, Observed::of_app(&status));
        assert_eq!(planner.app_status(&object.key, now), None, "it is written once");
        assert_eq!(status.conditions[0].status, "True", "triggers are taken all the same");
        let found = status.conditions.into_iter().find(|c| c.type_ == "ListenerReachable");
        found.map(|c| (c.status, c.reason, c.message, c.last_transition_time.0.to_string()))
    };
    let unreachable = |why: &str| Reachability::Unreachable {
        since: Moment(1_795_536_000_000),
        why: why.into(),
        failures: 10,
    };
    assert_eq!(reachable(&mut planner), None);
    let mut tell = |found: Reachability, at: &str| {
        planner.listener_reachability(uuid, found, at.parse().unwrap())?;
        reachable(&mut planner)
    };
    let said = |status: &str, reason: &str, message: &str, since: &str| {
        Some((status.into(), reason.into(), message.into(), since.into()))
    };
    let [first, second, third] = [1, 2, 3].map(|n| format!("2026-11-24T16:00:0{n}Z"));
    let answered = |since| said("True", "Answered", "The listener answers", since);
    let failing = |why: &str, since: &str| {
        let message = format!(
            "failing since 2026-11-24T16:00:00.000Z, 10 attempts in a row; the last one: {why}. Queued events wait, and one of them is tried from time to time"
        );
        said("False", "NotAnswering", &message, since)
    };
    assert_eq!(tell(Reachability::Reachable, &first), answered(&first));
    assert_eq!(tell(Reachability::Reachable, &second), None, "it is no news");
    assert_eq!(tell(unreachable("it answered 503"), &second), failing("it answered 503", &second));
    let (other, since) = ("it does not answer", &second);
    assert_eq!(tell(unreachable(other), &third), failing(other, since), "it lasts");
    assert_eq!(tell(Reachability::Reachable, &third), answered(&third));
}

#[test]
fn what_was_told_is_not_told_again_before_a_watch_has_shown_it() {
    let (mut planner, now) = (planner(), NOW.parse().unwrap());
    planner.apply(Change::App(app(0, 0, Some(1), None)));
    let object = app_ref(0);
    let tell = |planner: &Planner| {
        let status = planner.app_status(&object.key, now).expect("it differs");
        let events = planner.app_events(&object.key, &status);
        (Observed::of_app(&status), events.into_iter().map(|e| e.reason).collect::<Vec<_>>())
    };
    let (written, told) = tell(&planner);
    assert_eq!(told, [EventReason::Ready]);
    planner.was_told(&object, &written);
    // It counts its webhooks now: something else to write.
    planner.apply(Change::Webhook(webhook(0, 0, 0, None, false)));
    assert_eq!(tell(&planner).1, []);
}

#[test]
fn what_is_known_of_a_listener_stays_in_the_status_when_another_replica_begins_to_write() {
    let mut planner = planner();
    planner.apply(Change::App(app(0, 0, Some(1), None)));
    let uuid = Uuid::from_bytes([1; 16]);
    let down = Reachability::Unreachable {
        since: Moment(1_795_536_000_000),
        why: "it answered 503".into(),
        failures: 10,
    };
    let at = |second: u8| format!("2026-11-24T16:00:0{second}Z").parse::<Timestamp>().unwrap();
    planner.listener_reachability(uuid, down, at(1));
    let before = planner.app_status(&app_ref(0).key, at(1)).unwrap();

    let mut other = self::planner();
    other.apply(Change::App(app(0, 0, Some(1), None)));
    other.observe(&app_ref(0), Observed::of_app(&before));
    assert_eq!(other.app_status(&app_ref(0).key, at(2)), None, "it has nothing to add");
    let down_too = Reachability::Unreachable {
        since: Moment(1_795_536_002_000),
        why: "it does not answer".into(),
        failures: 10,
    };
    other.listener_reachability(uuid, down_too, at(3));
    let after = other.app_status(&app_ref(0).key, at(3)).unwrap();
    assert_eq!(after.conditions[3].last_transition_time, before.conditions[3].last_transition_time);
    assert_eq!(other.app_events(&app_ref(0).key, &after), [], "it is no news");
    other.listener_reachability(uuid, Reachability::Reachable, at(4));
    let back = other.app_status(&app_ref(0).key, at(4)).unwrap();
    assert_eq!(back.conditions[3].last_transition_time.0, at(4));
    assert_eq!(other.app_events(&app_ref(0).key, &back)[0].reason, EventReason::ListenerReachable);
}

#[test]
fn whether_a_listener_answers_is_remembered_of_the_app_that_has_the_uuid() {
    let mut planner = planner();
    planner.apply(Change::App(app(0, 0, Some(1), None)));
    let (uuid, now) = (Uuid::from_bytes([1; 16]), NOW.parse().unwrap());
    let told = planner.listener_reachability(uuid, Reachability::Reachable, now);
    assert_eq!(told, Some(app_ref(0)));
    let nobody = Uuid::from_bytes([7; 16]);
    assert_eq!(planner.listener_reachability(nobody, Reachability::Reachable, now), None);
    let conditions = |planner: &Planner, name: u8| {
        planner.app_status(&app_ref(name).key, now).unwrap().conditions.len()
    };
    // A change of the app is no news of its listener.
    planner.apply(Change::App(app(0, 0, Some(1), Some(1))));
    assert_eq!(conditions(&planner, 0), 4);
    planner.apply(Change::App(app(1, 0, Some(1), None)));
    assert_eq!(conditions(&planner, 1), 3);
    planner.apply(Change::AppGone(app_ref(0).key));
    assert_eq!(conditions(&planner, 1), 3);
}

#[test]
fn what_a_spec_says_of_its_queue_is_in_the_route_and_in_its_app() {
    let (mut planner, table) = (planner(), Table::default());
    let mut tell = |change| {
        let step = planner.apply(change);
        table.apply_apps(step.apps);
        table.apply(step.routes);
    };
    let (uuid, id) = ([1, 2].map(|n| Uuid::from_bytes([n; 16])), |app| Id { app, webhook: app });
    let app = |delivery: serde_json::Value| {
        let object = json!({
            "apiVersion": "lenra.io/v1alpha1", "kind": "WebhookApp",
            "metadata": {"name": "app-0", "namespace": "team-a"},
            "spec": {"uuid": uuid[0], "listener": {"url": "http://192.0.2.1/"}, "delivery": delivery},
        });
        AppInput::of(&serde_json::from_value::<WebhookApp>(object).unwrap())
    };
    let webhook = |delivery: serde_json::Value, dedup: serde_json::Value| {
        let object = json!({
            "apiVersion": "lenra.io/v1alpha1", "kind": "Webhook",
            "metadata": {"name": "webhook-0", "namespace": "team-a"},
            "spec": {"app": "app-0", "action": "run", "uuid": uuid[0], "delivery": delivery, "dedup": dedup},
        });
        WebhookInput::of(&serde_json::from_value::<Webhook>(object).unwrap())
    };
    tell(Change::App(app(json!({"concurrency": 3, "retry": {"maxAttempts": 5}}))));
    let found = table.app(uuid[0]).unwrap();
    assert_eq!((found.concurrency, found.retry.max_attempts), (3, 5));
    tell(Change::App(app(json!(null))));
    let found = table.app(uuid[0]).unwrap();
    assert_eq!((found.concurrency, found.retry.max_attempts), (16, 8));
    assert!(table.app(uuid[1]).is_none());
    let queued = json!({"mode": "Queued", "ordering": "Fifo", "retry": {"maxAttempts": 2}});
    tell(Change::Webhook(webhook(queued.clone(), json!({"key": "event.id"}))));
    let route = table.get(id(uuid[0])).unwrap();
    let delivery = &route.binding.delivery;
    assert_eq!((delivery.mode, delivery.ordering), (DeliveryMode::Queued, Ordering::Fifo));
    assert_eq!(delivery.retry.as_ref().unwrap().max_attempts, 2);
    assert!(matches!(delivery.dedup.as_ref().unwrap().by, DedupBy::Key(_)));
    assert_eq!(route.state, RouteState::Serving);
    tell(Change::Webhook(webhook(queued, json!({"key": "event.id =="}))));
    assert_eq!(table.get(id(uuid[0])).unwrap().state, RouteState::NotReady);
    let status = planner.webhook_status(&key("webhook-0".into()), NOW.parse().unwrap()).unwrap();
    assert_eq!(status.conditions[0].reason, "InvalidDedupKey");
    assert!(status.url.is_some(), "it keeps its URL");
}

/// A webhook whose triggers are verified with the keys of an issuer of its own.
fn jwt_webhook(n: usize) -> WebhookInput {
    let jwt = json!({
        "issuer": "us", "audiences": ["us"], "jwksUrl": format!("https://issuer-{n}.example/"),
    });
    let object = json!({
        "apiVersion": "lenra.io/v1alpha1", "kind": "Webhook",
        "metadata": {"name": format!("webhook-{n}"), "namespace": "team-a",
            "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"app": "app-0", "action": "run", "verify": [{"type": "Jwt", "jwt": jwt}]},
    });
    WebhookInput::of(&serde_json::from_value::<Webhook>(object).unwrap())
}

#[test]
fn a_webhook_beyond_its_namespaces_share_of_key_sets_says_so_until_there_is_room_and_it_is_edited()
{
    let mut planner = planner();
    let now: Timestamp = NOW.parse().unwrap();
    planner.apply(Change::App(app(0, 0, None, None)));
    // No route table holds the keys here: a webhook that is gone uses none at once.
    for n in 0..=NAMESPACE_SETS {
        planner.apply(Change::Webhook(jwt_webhook(n)));
    }
    let last = jwt_webhook(NAMESPACE_SETS);
    let ready = |planner: &Planner| {
        let status = planner.webhook_status(&last.meta.key, now).unwrap();
        let ready = status.conditions.into_iter().find(|condition| condition.type_ == "Ready");
        let ready = ready.expect("a condition");
        (ready.reason, ready.message)
    };
    let (reason, message) = ready(&planner);
    assert_eq!(reason, "InvalidVerify");
    let told = format!("its namespace uses {NAMESPACE_SETS} other key sets");
    assert!(message.contains("spec.verify[0]") && message.contains(&told), "{message}");
    planner.apply(Change::WebhookGone(jwt_webhook(0).meta.key));
    planner.apply(Change::Webhook(last.clone()));
    assert_ne!(ready(&planner).0, "InvalidVerify");
}

#[test]
fn a_webhook_that_moved_to_another_app_is_one_of_that_app_alone() {
    let mut planner = planner();
    let of = |planner: &Planner, app: u8| {
        let (key, uuid) = (key("webhook-1".into()), Uuid::from_bytes([9; 16]));
        planner.is_webhook_of(&key, uuid, Uuid::from_bytes([app; 16]))
    };
    planner.apply(Change::Webhook(webhook(1, 1, 0, Some(9), false)));
    assert!(of(&planner, 1) && of(&planner, 2), "its app does not exist: it may be either");
    planner.apply(Change::App(app(1, 0, Some(1), None)));
    planner.apply(Change::App(app(2, 0, Some(2), None)));
    assert!(of(&planner, 1) && !of(&planner, 2));
    planner.apply(Change::Webhook(webhook(1, 2, 0, Some(9), false)));
    assert!(!of(&planner, 1) && of(&planner, 2));
    planner.apply(Change::WebhookGone(key("webhook-1".into())));
    assert!(!of(&planner, 2));
}
