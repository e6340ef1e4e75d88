//! A hostile tenant beside a quiet one, in a running program: what is one tenant's never becomes the other's.

use serde_json::Value;

use crate::support::flood::flood;
use crate::support::http::{post, request};
use crate::support::listener::{Behaviour, Listener};
use crate::support::operator::{APP, Folders, Operator, WEBHOOK, eventually, queued_manifest};

const FAILS: Behaviour = Behaviour::Answer("500 Internal Server Error");

/// Tries again within the test, as often as it takes.
const SOON: &str = "  delivery: {retry: {schedule: [1s], maxAttempts: 100, jitter: 0}}";

/// The victim in team-a, whose listener fails for now.
struct World {
    folders: Folders,
    operator: Operator,
    victim: Listener,
    thief: Listener,
}

impl World {
    fn new() -> Self {
        let (folders, victim, thief) = (Folders::new(), Listener::start(), Listener::start());
        victim.behave(FAILS);
        folders.write("shop.yaml", &queued_manifest(&victim.url, "", SOON));
        let operator = Operator::standalone(&folders, &[]);
        Self { folders, operator, victim, thief }
    }

    fn url(&self) -> String {
        self.operator.url()
    }

    /// The hostile tenant declares an app and a webhook with the victim's UUIDs.
    fn steal(&self) {
        let manifest = queued_manifest(&self.thief.url, "", "")
            .replace("namespace: team-a", "namespace: team-b")
            .replace("name: shop,", "name: thief,")
            .replace("app: shop", "app: thief");
        assert!(manifest.contains(APP) && manifest.contains(WEBHOOK));
        self.folders.write("thief.yaml", &manifest);
        self.await_conflict();
    }

    fn await_conflict(&self) {
        let says = |text: &str| text.contains("UUIDConflict");
        let text = self.folders.await_status("webhookapp", "team-b/thief", says);
        assert!(!text.contains("team-a"), "the owner is not named: {text}");
    }

    /// The victim's app and webhook are deleted, and the operator has seen it.
    fn delete_victim(&self) {
        self.folders.remove("shop.yaml");
        self.await_answer(404);
    }

    fn restore_victim(&self) {
        self.folders.write("shop.yaml", &queued_manifest(&self.victim.url, "", SOON));
        self.await_answer(400);
    }

    /// What is no JSON is answered 400 by a webhook, which stores nothing of it.
    fn await_answer(&self, status: u16) {
        eventually("the answer to change", || {
            (post(&self.url(), "{").status == status).then_some(())
        });
    }

    fn deliveries(&self, namespace: &str) -> Vec<Value> {
        let url = format!("{}/api/deliveries?namespace={namespace}", self.operator.admin);
        let answer = request("GET", &url, &[], b"");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["items"].as_array().unwrap().clone()
    }

    fn assert_nothing_stolen(&self) {
        self.await_conflict();
        assert_eq!(post(&self.url(), "{}").status, 404);
        self.thief.expect_no_call();
        assert_eq!(self.deliveries("team-b"), Vec::<Value>::new());
        assert_eq!(self.deliveries("team-a").len(), 1, "the history stays where it was");
    }
}

#[test]
fn a_tenant_that_adopts_the_uuids_of_another_gets_neither_url_nor_events_nor_history() {
    let mut world = World::new();
    let id = post(&world.url(), r#"{"secret": "of team-a"}"#).stored();
    world.steal();
    world.delete_victim();
    world.assert_nothing_stolen();

    let World { folders, operator, victim, thief } = world;
    operator.kill();
    let operator = Operator::standalone(&folders, &[]);
    world = World { folders, operator, victim, thief };
    world.assert_nothing_stolen();

    world.victim.behave(Behaviour::Answer("200 OK"));
    world.restore_victim();
    eventually("the event to reach its own listener", || {
        let call = world.victim.try_call()?;
        (call.header("webhook-event-id") == Some(&*id)).then_some(())
    });
    world.await_conflict();
    world.thief.expect_no_call();
}

#[test]
fn a_tenant_that_comes_after_the_victim_was_deleted_gets_nothing_either() {
    let world = World::new();
    post(&world.url(), r#"{"secret": "of team-a"}"#).stored();
    world.delete_victim();
    world.steal();
    world.assert_nothing_stolen();
}

#[test]
fn a_tenant_that_is_flooded_costs_another_neither_its_dead_letters_nor_its_triggers() {
    let (folders, hostile, quiet) = (Folders::new(), Listener::start(), Listener::start());
    hostile.behave(FAILS);
    quiet.behave(Behaviour::Answer("410 Gone"));
    folders.write("hostile.yaml", &queued_manifest(&hostile.url, "", ""));
    let other = "24361375-54d4-4ddb-8d2d-0dd212e13cd2";
    let manifest = queued_manifest(&quiet.url, "", "").replace("team-a", "team-b");
    folders.write("quiet.yaml", &manifest.replace(APP, other));
    let operator = Operator::standalone(&folders, &["--max-store-bytes", "20Mi"]);
    let quiet_url = operator.url().replace(APP, other);
    let dead = || {
        let url = format!("{}/api/deliveries?namespace=team-b&state=dead", operator.admin);
        request("GET", &url, &[], b"").json()["items"].as_array().unwrap().len()
    };
    for _ in 0..5 {
        post(&quiet_url, "{}").stored();
    }
    eventually("five dead letters", || (dead() == 5).then_some(()));
    flood(&operator.url());
    post(&quiet_url, "{}").stored();
    eventually("six dead letters", || (dead() == 6).then_some(()));
}

#[test]
fn what_was_undelivered_ends_as_dead_in_its_own_namespace_after_the_grace() {
    let mut world = World::new();
    let id = post(&world.url(), "{}").stored();
    let World { folders, operator, victim, thief } = world;
    operator.kill();
    let operator = Operator::standalone(&folders, &["--app-deletion-grace", "1s"]);
    world = World { folders, operator, victim, thief };
    world.delete_victim();
    eventually("the event to be dead", || {
        let [delivery] = &world.deliveries("team-a")[..] else { panic!("one delivery") };
        assert_eq!(delivery["id"], *id);
        (delivery["reason"] == "AppDeleted").then_some(())
    });
}
