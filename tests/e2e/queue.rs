//! Queues on their volumes: what was answered 202 outlives processes, pods and replicas.

use std::net::SocketAddr;

use crate::helm::{self, Helm, RELEASE};
use crate::load::{Load, SENDERS};
use crate::processes::kill_operator;
use crate::recorder::Recorder;
use crate::support::http::post;
use crate::support::node::Node;
use crate::support::operator::eventually;
use crate::team::{self, TEAM, await_webhook, lead_to};
use crate::volumes::Volumes;
use crate::{await_operator, await_service, images, kubectl, operator_ips};

/// The app, and its webhook.
const APP: &str = "recorder";

/// Another webhook of the app, which answers as its listener answers.
const SYNC: &str = "
apiVersion: lenra.io/v1alpha1
kind: Webhook
metadata: {name: recorder-sync, namespace: team-a}
spec: {app: recorder, action: record, delivery: {mode: Sync}}
";

/// Triggers before and after each change.
const AROUND: u64 = 300;

#[test]
fn what_was_accepted_outlives_processes_pods_and_replicas() {
    let volumes = Volumes::new();
    let node = Node::start(&images());
    for namespace in [RELEASE, TEAM] {
        team::make_namespace(&node, namespace);
    }
    volumes.declare(&node);
    let mut helm = Helm::new(&node);
    helm.set(&["listeners.allowManualEndpoints=true"]);
    helm.install();
    let mut listener = Recorder::start(&node);
    team::make_app_outside(&node, APP, listener.address());
    node.apply(SYNC);
    let url = await_webhook(&node, APP);
    pods_that_are_killed_finish_what_they_had_accepted(&node, &mut listener, &url);
    replicas_that_are_gone_keep_what_they_had_accepted(&node, &mut helm, &mut listener, &url);
}

fn pods_that_are_killed_finish_what_they_had_accepted(
    node: &Node,
    listener: &mut Recorder,
    url: &str,
) {
    let service: SocketAddr = await_service(node, RELEASE, RELEASE).parse().expect("an address");
    take_away_the_listener(node);
    let load = Load::start(url, service);
    load.await_more(AROUND);
    let [first, second] = ["0", "1"].map(|number| format!("{RELEASE}-{number}"));
    kill_operator(&first);
    eventually("the container to start again", || {
        let restarts = "-o=jsonpath={.status.containerStatuses[0].restartCount}";
        (kubectl(node, &["-n", RELEASE, "get", "pod", &first, restarts]) == "1").then_some(())
    });
    await_operator(node);
    load.await_more(AROUND);
    kubectl(node, &["-n", RELEASE, "delete", "pod", &second, "--grace-period=1"]);
    await_operator(node);
    load.await_more(AROUND);
    let outcomes = load.stop();
    eprintln!("two pods that were killed: {}", outcomes.summary());
    // Whose trigger was under way has no answer; everybody else is answered 202.
    assert!(outcomes.refused.is_empty(), "answered {:?}", outcomes.refused);
    assert!(outcomes.cut.len() <= 2 * SENDERS, "cut off {:?}", outcomes.cut);
    assert!(outcomes.taken.len() as u64 > 2 * AROUND, "{}", outcomes.summary());
    assert!(!outcomes.taken.iter().any(|id| listener.has(id)), "the listener was away");
    lead_to(node, APP, Some(listener.address()));
    listener.await_all("two pods that were killed", &outcomes.taken);
}

/// Until it is back, all that is accepted stays in the queues.
fn take_away_the_listener(node: &Node) {
    lead_to(node, APP, None);
    let url = await_webhook(node, "recorder-sync");
    for ip in operator_ips(node) {
        let url = team::at(&url, format!("{ip}:8080"));
        eventually("every replica to know", || (post(&url, "{}").status == 503).then_some(()));
    }
}

fn replicas_that_are_gone_keep_what_they_had_accepted(
    node: &Node,
    helm: &mut Helm,
    listener: &mut Recorder,
    url: &str,
) {
    helm.set(&["replicaCount=3"]);
    helm.upgrade(&helm::chart());
    take_away_the_listener(node);
    let accept = |ip: String| -> Vec<_> {
        let url = team::at(url, format!("{ip}:8080"));
        (0..20).map(|_| post(&url, "{}").stored()).collect()
    };
    let accepted: Vec<_> = operator_ips(node).into_iter().map(accept).collect();
    assert_eq!(accepted.len(), 3);

    helm.set(&["replicaCount=1"]);
    helm.upgrade(&helm::chart());
    eventually("one replica", || (operator_ips(node).len() == 1).then_some(()));
    lead_to(node, APP, Some(listener.address()));
    listener.await_all("the replica that stays", &accepted[0]);
    let gone = accepted[1..].concat();
    assert!(gone.iter().all(|id| !listener.has(id)), "who delivered what others have?");
    let claims =
        kubectl(node, &["-n", RELEASE, "get", "pvc", "-o=jsonpath={.items[*].status.phase}"]);
    assert_eq!(claims, "Bound Bound Bound", "the volumes of the two stay");

    helm.set(&["replicaCount=3"]);
    helm.upgrade(&helm::chart());
    listener.await_all("the replicas that came back", &gone);
}
