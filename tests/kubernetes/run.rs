//! `run` against a real API server: what a platform team and its users do, with the whole program
//! and the rights that the chart gives.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::flood::flood;
use crate::support::github;
use crate::support::http::{as_app, post, request};
use crate::support::listener::{Behaviour, Listener};
use crate::support::operator::{
    APP, Operator, PATIENCE, WEBHOOK, eventually, manifest, output, queued_manifest,
};
use crate::support::rbac;

const OPERATOR_NAMESPACE: &str = "webhook-operator";

/// The UUID of a second app.
const OTHER_APP: &str = "24361375-54d4-4ddb-8d2d-0dd212e13cd2";

/// A cluster with the CRDs, the operator's ServiceAccount and a namespace of tenants.
fn cluster() -> Cluster {
    let cluster = Cluster::start();
    install(&cluster);
    cluster
}

fn install(cluster: &Cluster) {
    let crds = output(&["crds"]);
    cluster.apply(&String::from_utf8(crds.stdout).unwrap());
    for crd in ["crd/webhookapps.lenra.io", "crd/webhooks.lenra.io"] {
        kubectl(cluster, &["wait", "--for=condition=Established", crd]);
    }
    kubectl(cluster, &["create", "namespace", "team-a"]);
    kubectl(cluster, &["create", "namespace", OPERATOR_NAMESPACE]);
    cluster.apply(&rbac::cluster_wide(OPERATOR_NAMESPACE));
}

fn kubectl(cluster: &Cluster, args: &[&str]) -> String {
    let done = cluster.kubectl(args);
    assert!(done.ok, "kubectl {args:?}: {}", done.stderr);
    done.stdout
}

fn operator_kubeconfig(cluster: &Cluster) -> PathBuf {
    cluster.kubeconfig_as(OPERATOR_NAMESPACE, "webhook-operator")
}

fn start(cluster: &Cluster, name: &str) -> Operator {
    start_with(cluster, name, &[])
}

fn start_with(cluster: &Cluster, name: &str, flags: &[&str]) -> Operator {
    let usual = ["--namespace", OPERATOR_NAMESPACE, "--pod-name", name, "--status-interval", "1s"];
    let operator = Operator::run(&operator_kubeconfig(cluster), &[&usual[..], flags].concat());
    operator.await_synced();
    operator
}

fn holder(cluster: &Cluster) -> String {
    let args = ["get", "lease", "webhook-operator", "-n", OPERATOR_NAMESPACE];
    let found = cluster.kubectl(&[&args[..], &["-o", "jsonpath={.spec.holderIdentity}"]].concat());
    found.stdout
}

#[test]
fn a_webhook_is_declared_becomes_ready_is_triggered_and_goes() {
    let (cluster, listener) = (cluster(), Listener::start());
    let operator = start(&cluster, "one");
    cluster.apply(&manifest(&listener.url, "", "  props: {userId: 1}"));
    kubectl(
        &cluster,
        &[
            "wait",
            "--for=condition=Ready",
            "whapp/shop",
            "wh/payments",
            "-n",
            "team-a",
            "--timeout=60s",
        ],
    );
    let path = "jsonpath={.status.url}";
    let url = kubectl(&cluster, &["get", "webhook", "payments", "-n", "team-a", "-o", path]);
    assert_eq!(url, operator.url());
    let answer = post(&url, r#"{"triggerData":"someData"}"#);
    assert_eq!((answer.status, answer.body.as_str()), (200, "\"ok\""));
    let exactly = r#"{"action":"exampleListener","props":{"userId":1},"event":{"triggerData":"someData"},"api":{"url":"#;
    let call = listener.call();
    assert!(call.text().starts_with(exactly), "{}", call.text());
    let columns = kubectl(&cluster, &["get", "wh,whapp", "-n", "team-a"]);
    assert!(columns.contains("exampleListener") && columns.contains("Succeeded"), "{columns}");
    kubectl(&cluster, &["delete", "webhook", "payments", "-n", "team-a"]);
    eventually("the URL to go", || (post(&url, "{}").status == 404).then_some(()));
    let log = operator.log().join("\n");
    assert!(!log.contains(WEBHOOK) && !log.contains(APP), "no URL in the log: {log}");
}

#[test]
fn every_replica_serves_one_writes_and_another_takes_over() {
    let (cluster, listener) = (cluster(), Listener::start());
    cluster.apply(&manifest(&listener.url, "", ""));
    let one = start(&cluster, "one");
    eventually("a holder", || holder(&cluster).starts_with("one_").then_some(()));
    let two = start(&cluster, "two");
    for replica in [&one, &two] {
        assert_eq!(post(&replica.url(), "{}").status, 200);
        listener.call();
    }
    assert!(holder(&cluster).starts_with("one_"), "the second one leaves the lease alone");
    one.kill();
    eventually("the second one to hold the lease", || {
        holder(&cluster).starts_with("two_").then_some(())
    });
    // It writes statuses now: a new webhook becomes Ready.
    cluster
        .apply(&manifest(&listener.url, "", "").replace("payments", "later").replace(WEBHOOK, APP));
    kubectl(
        &cluster,
        &["wait", "--for=condition=Ready", "wh/later", "-n", "team-a", "--timeout=60s"],
    );
    assert_eq!(post(&two.url(), "{}").status, 200);
    // One that stops in peace gives the lease back at once.
    let mut two = two;
    two.terminate();
    assert!(two.wait().success());
    assert_eq!(holder(&cluster), "");
}

#[test]
fn a_replica_that_has_just_started_answers_no_trigger_before_it_knows_its_webhooks() {
    let (cluster, listener) = (cluster(), Listener::start());
    cluster.apply(&manifest(&listener.url, "", ""));
    let flags = ["run", "--namespace", OPERATOR_NAMESPACE, "--listener-allow-url"];
    let flags = [&flags[..], &["--listener-allow-cidr", "127.0.0.0/8"]].concat();
    for _ in 0..5 {
        // Its ports are open when it says so; nobody waits until it is ready.
        let operator = Operator::start(&flags, Some(&operator_kubeconfig(&cluster)));
        assert_eq!(post(&operator.url(), "{}").status, 200);
        assert_eq!(request("GET", &operator.app_api, &[], b"").status, 404);
    }
}

#[test]
fn triggers_are_served_from_memory_while_the_api_server_is_away() {
    let (mut cluster, listener) = (cluster(), Listener::start());
    cluster.apply(&manifest(&listener.url, "", ""));
    let operator = start(&cluster, "one");
    assert_eq!(post(&operator.url(), "{}").status, 200);
    cluster.stop();
    assert_eq!(post(&operator.url(), "{}").status, 200);
    cluster.restart();
    let later = manifest(&listener.url, "", "").replace("payments", "later").replace(WEBHOOK, APP);
    cluster.apply(&later);
    let url = operator.url().replace(WEBHOOK, APP);
    eventually("the watch to resume", || (post(&url, "{}").status == 200).then_some(()));
    assert_eq!(post(&operator.url(), "{}").status, 200);
}

#[test]
fn the_app_api_knows_service_accounts_and_the_tokens_of_calls() {
    let (cluster, listener) = (cluster(), Listener::start());
    kubectl(&cluster, &["create", "serviceaccount", "shop", "-n", "team-a"]);
    kubectl(&cluster, &["create", "serviceaccount", "stranger", "-n", "team-a"]);
    let yaml = manifest(&listener.url, "", "").replacen(
        "  uuid:",
        "  serviceAccounts: [shop]\n  uuid:",
        1,
    );
    cluster.apply(&yaml);
    let operator = start(&cluster, "one");
    let api = format!("{}/app/webhooks", operator.app_api);
    let token = |account: &str, audience: &str| {
        let audience = format!("--audience={audience}");
        kubectl(&cluster, &["create", "token", account, "-n", "team-a", &audience])
            .trim()
            .to_owned()
    };
    for (account, audience) in [("stranger", "webhook-operator"), ("shop", "another")] {
        let refused = as_app("POST", &api, &token(account, audience), r#"{"action":"a"}"#);
        assert_eq!(
            (refused.status, refused.reason().as_str()),
            (401, "invalid_token"),
            "{account}"
        );
    }
    let shop = token("shop", "webhook-operator");
    let made = as_app("POST", &api, &shop, r#"{"action":"fromPod","props":{"k":"v"}}"#);
    assert_eq!(made.status, 200, "{made:?}");
    let uuid = made.json()["uuid"].as_str().unwrap().to_owned();
    let url = format!("{}/apps/{APP}/webhooks/{uuid}", operator.trigger);
    // It answers triggers when the response arrives.
    post(&url, "{}").stored();
    let call = listener.call().json();
    assert_eq!((&call["action"], &call["props"]), (&json!("fromPod"), &json!({"k": "v"})));
    let listed = kubectl(
        &cluster,
        &[
            "get",
            "wh",
            "-n",
            "team-a",
            "-o",
            "jsonpath={.items[*].metadata.ownerReferences[*].name}",
        ],
    );
    assert_eq!(listed, "shop", "the app owns it, so that it goes with the app");
    let from_call = call["api"]["token"].as_str().unwrap();
    let one = format!("{api}/{uuid}");
    assert_eq!(as_app("GET", &one, from_call, "").json()["action"], "fromPod");
    assert_eq!(as_app("DELETE", &one, from_call, "").status, 204);
    assert_eq!(post(&url, "{}").status, 404);
}

#[test]
fn the_token_of_a_call_ends_with_its_app_and_when_it_is_revoked() {
    let (cluster, listener) = (cluster(), Listener::start());
    let yaml = manifest(&listener.url, "", "");
    cluster.apply(&yaml);
    let operator = start(&cluster, "one");
    let api = format!("{}/app/webhooks", operator.app_api);
    let token = || {
        eventually("the webhook to serve", || {
            (post(&operator.url(), "{}").status == 200).then_some(())
        });
        listener.call().json()["api"]["token"].as_str().unwrap().to_owned()
    };
    let status = |token: &str| as_app("GET", &api, token, "").status;
    let first = token();
    assert_eq!(status(&first), 200);
    // A namesake, as somebody else may make it.
    kubectl(&cluster, &["delete", "whapp/shop", "wh/payments", "-n", "team-a"]);
    eventually("the app to be gone", || (post(&operator.url(), "{}").status == 404).then_some(()));
    cluster.apply(&yaml);
    let second = token();
    assert_eq!((status(&first), status(&second)), (401, 200));
    let annotation = "lenra.io/token-generation=2";
    kubectl(&cluster, &["annotate", "whapp/shop", "-n", "team-a", annotation]);
    eventually("the token to be revoked", || (status(&second) == 401).then_some(()));
    assert_eq!(status(&token()), 200);
}

/// The webhook of `queued_manifest` with its event undelivered, and a hostile tenant in team-b who adopts its
/// UUIDs, before the victim is deleted or after it.
fn a_hostile_tenant_gets_nothing(comes_first: bool) {
    const FAILS: Behaviour = Behaviour::Answer("500 Internal Server Error");
    let (cluster, victim, thief) = (cluster(), Listener::start(), Listener::start());
    kubectl(&cluster, &["create", "namespace", "team-b"]);
    victim.behave(FAILS);
    let soon = "  delivery: {retry: {schedule: [1s], maxAttempts: 100, jitter: 0}}";
    let ours = queued_manifest(&victim.url, "", soon);
    let theirs = queued_manifest(&thief.url, "", "").replace("team-a", "team-b");
    cluster.apply(&ours);
    let operator = start(&cluster, "one");
    let answers = |status: u16| {
        eventually("the answer to change", || {
            (post(&operator.url(), "{").status == status).then_some(())
        });
    };
    let steal = || {
        cluster.apply(&theirs);
        let condition = "jsonpath={.status.conditions[?(@.type==\"Stalled\")].reason}";
        let wait = format!("--for={condition}=UUIDConflict");
        kubectl(&cluster, &["wait", &wait, "whapp/shop", "-n", "team-b", "--timeout=60s"]);
    };
    // What is no JSON is answered 400 by a webhook that serves, which stores nothing of it.
    answers(400);
    let id = post(&operator.url(), r#"{"secret": "of team-a"}"#).stored();
    victim.call();
    if comes_first {
        steal();
    }
    kubectl(&cluster, &["delete", "whapp/shop", "-n", "team-a"]);
    answers(404);
    if !comes_first {
        steal();
    }
    answers(404);
    eventually("the event of what waits", || {
        let args = ["get", "events", "-n", "team-a", "--field-selector=reason=UndeliveredEvents"];
        kubectl(&cluster, &args).contains("1 undelivered event waits").then_some(())
    });
    // Restored, it has its URL and its event again.
    victim.behave(Behaviour::Answer("200 OK"));
    cluster.apply(&ours);
    eventually("the event to reach its own listener", || {
        (victim.try_call()?.header("webhook-event-id") == Some(&*id)).then_some(())
    });
    answers(400);
    thief.expect_no_call();
    let shown = |namespace: &str, token: &str| {
        let url = format!("{}/api/deliveries?namespace={namespace}", operator.admin);
        as_app("GET", &url, token, "").json()["items"].as_array().unwrap().len()
    };
    let auditor = reader(&cluster, "auditor", None);
    assert_eq!((shown("team-a", &auditor), shown("team-b", &auditor)), (1, 0));
}

#[test]
fn a_tenant_that_adopts_the_uuids_of_another_gets_neither_url_nor_events_nor_history() {
    a_hostile_tenant_gets_nothing(true);
}

#[test]
fn a_tenant_that_comes_after_the_victim_was_deleted_gets_nothing_either() {
    a_hostile_tenant_gets_nothing(false);
}

#[test]
fn a_tenant_that_is_flooded_costs_another_neither_its_dead_letters_nor_its_triggers() {
    let (cluster, hostile, quiet) = (cluster(), Listener::start(), Listener::start());
    kubectl(&cluster, &["create", "namespace", "team-b"]);
    hostile.behave(Behaviour::Answer("500 Internal Server Error"));
    quiet.behave(Behaviour::Answer("410 Gone"));
    cluster.apply(&queued_manifest(&hostile.url, "", ""));
    let theirs = queued_manifest(&quiet.url, "", "").replace("team-a", "team-b");
    cluster.apply(&theirs.replace(APP, OTHER_APP));
    let operator = start_with(&cluster, "one", &["--max-store-bytes", "20Mi"]);
    let quiet_url = operator.url().replace(APP, OTHER_APP);
    let auditor = reader(&cluster, "auditor", None);
    let dead = || {
        let url = format!("{}/api/deliveries?namespace=team-b&state=dead", operator.admin);
        as_app("GET", &url, &auditor, "").json()["items"].as_array().unwrap().len()
    };
    for _ in 0..5 {
        eventually("the webhook to serve", || (post(&quiet_url, "{}").status == 202).then_some(()));
    }
    eventually("five dead letters", || (dead() == 5).then_some(()));
    flood(&operator.url());
    assert_eq!(dead(), 5);
    post(&quiet_url, "{}").stored();
}

#[test]
fn a_listener_by_url_needs_the_operators_leave() {
    let (cluster, listener) = (cluster(), Listener::start());
    cluster.apply(&manifest(&listener.url, "", ""));
    let args = ["run", "--namespace", OPERATOR_NAMESPACE];
    let operator = Operator::start(&args, Some(&operator_kubeconfig(&cluster)));
    operator.await_synced();
    let wait =
        "--for=jsonpath={.status.conditions[?(@.type==\"Stalled\")].reason}=ListenerURLNotAllowed";
    kubectl(&cluster, &["wait", wait, "whapp/shop", "-n", "team-a", "--timeout=60s"]);
    assert_eq!(post(&operator.url(), "{}").status, 503);
    listener.expect_no_call();
}

#[test]
fn while_secrets_are_rotated_nothing_that_a_live_one_signed_is_refused() {
    let (cluster, listener) = (cluster(), Listener::start());
    let secret = |name: &str, value: &str| {
        cluster.apply(
            &json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": name, "namespace": "team-a"}, "stringData": {"secret": value},
            })
            .to_string(),
        );
    };
    secret("gh", "0");
    secret("gh-old", "-1");
    let refs = "[{name: gh, key: secret}, {name: gh-old, key: secret}]";
    let verify = format!("  verify: [{{type: GitHub, secretRefs: {refs}}}]");
    cluster.apply(&manifest(&listener.url, "", &verify));
    let operator = start(&cluster, "one");
    let url = operator.url();
    // What the sender signs with; it changes when the new one is in force.
    let live = Mutex::new("0".to_owned());
    let stop = AtomicBool::new(false);
    let (sent, refused) = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let (mut sent, mut refused) = (0, Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let secret = live.lock().unwrap().clone();
                let answer = github::post(&url, &secret, "{}");
                sent += 1;
                if answer.status != 200 {
                    refused.push((secret, answer));
                }
            }
            (sent, refused)
        });
        for number in 1..=5_i32 {
            let before = (number - 2).to_string();
            let (old, new) = ((number - 1).to_string(), number.to_string());
            // As docs/providers.md has it: the new one comes beside the old one.
            secret("gh-old", &old);
            eventually("the old one in its new place, where the one before it was", || {
                (github::post(&url, &before, "{}").status == 401).then_some(())
            });
            secret("gh", &new);
            eventually("the new one", || {
                (github::post(&url, &new, "{}").status == 200).then_some(())
            });
            *live.lock().unwrap() = new;
        }
        stop.store(true, Ordering::Relaxed);
        sender.join().unwrap()
    });
    assert!(refused.is_empty(), "of {sent}: {refused:?}");
    assert!(sent > 20, "{sent}");
    assert_eq!(github::post(&url, "3", "{}").status, 401, "no longer live");
}

/// Replicas of which each is told the addresses of all, by whose names they are known before they start.
fn start_peers(cluster: &Cluster, names: &[&str]) -> Vec<Operator> {
    // Addresses of this process alone: a port that were free now might be taken a moment later.
    let [_, _, high, low] = process::id().to_be_bytes();
    let addresses: Vec<String> =
        (0..names.len()).map(|number| format!("127.{}.{high}.{low}:9443", 100 + number)).collect();
    let peers = addresses.join(",");
    let start = |(name, address): (&&str, &String)| {
        start_with(cluster, name, &["--peers", &peers, "--peer-addr", address])
    };
    names.iter().zip(&addresses).map(start).collect()
}

/// A token of somebody new who may do everything with deliveries, in one namespace or in all.
fn reader(cluster: &Cluster, name: &str, namespace: Option<&str>) -> String {
    let cluster_role = ["create", "clusterrole", name, "--verb=list,get,create"];
    let resource = "--resource=webhooks.lenra.io/deliveries";
    kubectl(cluster, &[&cluster_role[..], &[resource]].concat());
    kubectl(cluster, &["create", "serviceaccount", name, "-n", "team-a"]);
    let (role, account) =
        (format!("--clusterrole={name}"), format!("--serviceaccount=team-a:{name}"));
    match namespace {
        Some(namespace) => {
            kubectl(cluster, &["create", "rolebinding", name, &role, &account, "-n", namespace])
        }
        None => kubectl(cluster, &["create", "clusterrolebinding", name, &role, &account]),
    };
    kubectl(cluster, &["create", "token", name, "-n", "team-a"]).trim().to_owned()
}

/// All of a list, three at a time.
fn listed(operator: &Operator, token: &str, query: &str) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let url = format!("{}/api/deliveries?{query}&limit=3&cursor={cursor}", operator.admin);
        let page = as_app("GET", &url, token, "");
        assert_eq!(page.status, 200, "{}", page.body);
        assert_eq!(page.json()["unavailable"], json!([]));
        let items = page.json()["items"].as_array().unwrap().clone();
        ids.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page.json()["cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return ids,
        }
    }
}

/// Waits until the status of the webhook says how many of its deliveries succeeded.
fn await_succeeded(cluster: &Cluster, count: usize) {
    let condition = format!("--for=jsonpath={{.status.deliveries.succeeded}}={count}");
    kubectl(cluster, &["wait", &condition, "wh/payments", "-n", "team-a", "--timeout=60s"]);
}

#[test]
fn each_replica_shows_and_replays_what_all_have_to_who_may() {
    let (cluster, listener) = (cluster(), Listener::start());
    kubectl(&cluster, &["create", "namespace", "team-b"]);
    let ours = queued_manifest(&listener.url, "", "");
    let theirs = ours.replace("team-a", "team-b").replace(APP, OTHER_APP);
    cluster.apply(&ours);
    cluster.apply(&theirs);
    let replicas = start_peers(&cluster, &["one", "two"]);
    let (auditor, jane) =
        (reader(&cluster, "auditor", None), reader(&cluster, "jane", Some("team-a")));
    let (mut all, mut ours) = (BTreeSet::new(), BTreeSet::new());
    for replica in replicas.iter().cycle().take(10) {
        let id = post(&replica.url(), "{}").stored();
        ours.insert(id.clone());
        all.insert(id);
        all.insert(post(&replica.url().replace(APP, OTHER_APP), "{}").stored());
    }
    let latest_first = |ids: &BTreeSet<String>| ids.iter().rev().cloned().collect::<Vec<_>>();
    for replica in &replicas {
        assert_eq!(listed(replica, &auditor, ""), latest_first(&all));
        assert_eq!(listed(replica, &jane, "namespace=team-a"), latest_first(&ours));
        for query in ["", "?namespace=team-b"] {
            let url = format!("{}/api/deliveries{query}", replica.admin);
            assert_eq!(as_app("GET", &url, &jane, "").reason(), "forbidden");
        }
        for id in &all {
            let url = format!("{}/api/deliveries/{id}", replica.admin);
            let status = if ours.contains(id) { 200 } else { 404 };
            assert_eq!(as_app("GET", &url, &jane, "").status, status, "{id}");
        }
    }
    // Each was stored by one of them, and is replayed by way of the other once the listener has it.
    for id in &ours {
        let url = format!("{}/api/deliveries/{id}/replay", replicas[0].admin);
        eventually("a replay", || {
            let answer = as_app("POST", &url, &jane, "");
            assert!(matches!(answer.status, 201 | 409), "{}", answer.body);
            (answer.status == 201).then_some(())
        });
    }
    assert_eq!(listed(&replicas[1], &jane, "namespace=team-a").len(), 2 * ours.len());
    for (query, reason) in
        [("", "forbidden"), ("?namespace=team-b", "forbidden"), ("?x=", "invalid_filter")]
    {
        let url = format!("{}/api/tallies{query}", replicas[0].admin);
        assert_eq!(as_app("GET", &url, &jane, "").reason(), reason, "{query}");
    }
    let (mut succeeded, mut pending) = (0, 0);
    for replica in &replicas {
        let url = format!("{}/api/tallies?namespace=team-a", replica.admin);
        let tallies = as_app("GET", &url, &jane, "").json();
        let [tally] = &tallies["items"].as_array().unwrap()[..] else { panic!("{tallies}") };
        assert_eq!(
            (&tally["namespace"], &tally["webhook"]),
            (&json!("team-a"), &json!("payments"))
        );
        succeeded += tally["deliveries"]["succeeded"].as_u64().unwrap();
        pending += tally["deliveries"]["pending"].as_u64().unwrap();
    }
    assert_eq!(succeeded + pending, 2 * ours.len() as u64, "each of its own");
    for replica in &replicas {
        let url = format!("{}/api/webhooks?namespace=team-a", replica.admin);
        let list = as_app("GET", &url, &jane, "").json();
        let webhook = &list["items"][0];
        let number = |state: &str| webhook["deliveries"][state].as_u64().unwrap();
        assert_eq!(number("succeeded") + number("pending"), 2 * ours.len() as u64, "{list}");
        let minutes = webhook["lastHour"]["accepted"].as_array().unwrap();
        let accepted: u64 = minutes.iter().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!((accepted, &list["unavailable"]), (ours.len() as u64, &json!([])), "{list}");
    }
    // The one that writes statuses has added them up.
    await_succeeded(&cluster, 2 * ours.len());

    // As one sees it who looks at a replica by the command line, while the other one is dead.
    let [one, two] = replicas.try_into().ok().expect("two");
    two.kill();
    let list = ["deliveries", "list", "--server", &one.admin, "--token", &auditor, "-o", "json"];
    let output = output(&list);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.starts_with("warning: no response from two"), "{said}");
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rest = list["items"].as_array().unwrap().len();
    assert!(rest > 0 && rest < all.len() + ours.len(), "{rest}");
    assert_eq!(list["unavailable"], json!(["two"]));
    for kind in ["apps", "webhooks"] {
        let url = format!("{}/api/{kind}?namespace=team-a", one.admin);
        assert_eq!(as_app("GET", &url, &jane, "").json()["unavailable"], json!(["two"]), "{kind}");
    }
    // The numbers of the dead one are remembered.
    post(&one.url(), "{}").stored();
    await_succeeded(&cluster, 2 * ours.len() + 1);
}

/// Records what is sent to it, and answers nothing.
fn impostor() -> (String, Receiver<Vec<u8>>) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, (sender, received)) = (port.local_addr().unwrap(), channel());
    thread::spawn(move || {
        for stream in port.incoming() {
            let mut bytes = Vec::new();
            // The replica ends the connection when it has waited long enough for a handshake.
            let _ = stream.unwrap().read_to_end(&mut bytes);
            let _ = sender.send(bytes);
        }
    });
    (address.to_string(), received)
}

#[test]
fn what_answers_at_a_peers_address_sees_no_token_unless_it_proves_that_it_is_a_replica() {
    let cluster = cluster();
    let (address, received) = impostor();
    let operator =
        start_with(&cluster, "one", &["--peers", &address, "--peer-addr", "127.0.0.1:0"]);
    let auditor = reader(&cluster, "auditor", None);
    let url = format!("{}/api/deliveries", operator.admin);
    let list = as_app("GET", &url, &auditor, "");
    assert_eq!((list.status, &list.json()["unavailable"]), (200, &json!([address])));
    let sent = received.recv_timeout(PATIENCE).unwrap();
    // A record of TLS, of the handshake.
    assert_eq!(sent.first(), Some(&22), "{}", sent.escape_ascii());
    assert!(!sent.windows(16).any(|bytes| bytes == &auditor.as_bytes()[..16]));
}

#[test]
fn an_api_server_that_is_not_there_or_has_no_crds_is_one_line_and_exit_code_2() {
    let mut cluster = Cluster::start();
    let run = |kubeconfig: &Path| {
        let mut command = crate::support::operator::command(&["run"]);
        command.env("KUBECONFIG", kubeconfig).stdout(Stdio::null()).output().unwrap()
    };
    let without_crds = run(cluster.kubeconfig());
    cluster.stop();
    let without_server = run(cluster.kubeconfig());
    for (ended, word) in [(without_crds, "webhook-operator crds"), (without_server, "127.0.0.1")] {
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        let errors: Vec<_> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(errors.len() == 1 && errors[0].contains(word), "{said}");
    }
}

#[test]
fn the_generated_crds_are_those_that_the_program_prints() {
    let printed = String::from_utf8(output(&["crds"]).stdout).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let files = ["lenra.io_webhookapps.yaml", "lenra.io_webhooks.yaml"];
    let generated = files.map(|file| fs::read_to_string(folder.join(file)).unwrap());
    let bare = generated.map(|text| text.split_once('\n').unwrap().1.to_owned());
    assert_eq!(printed, bare.concat());
}
