//! Triggers while everything is replaced under them: what was answered 200 was received, and nobody
//! is answered anything else.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::helm::{self, Helm, RELEASE};
use crate::load::{Load, Outcomes, SENDERS};
use crate::processes::kill_operator;
use crate::support::listener::Listener;
use crate::support::node::Node;
use crate::support::operator::eventually;
use crate::team::{self, TEAM, await_webhook};
use crate::{await_service, images, kubectl};

/// Triggers before and after each change.
const AROUND: u64 = 300;

#[test]
fn no_trigger_is_lost_while_the_operator_and_the_listener_are_replaced() {
    let node = Node::start(&images());
    for namespace in [RELEASE, TEAM] {
        team::make_namespace(&node, namespace);
    }
    let mut helm = Helm::new(&node);
    helm.install();
    team::start_shop(&node);
    node.apply(include_str!("../../examples/shop.yaml"));
    let listener = Listener::start_at(node.host_ip());
    team::make_app_outside(&node, "recorder", address(&listener));
    let shop = await_webhook(&node, "payments");
    let recorder = await_webhook(&node, "recorder");
    let service = await_service(&node, RELEASE, RELEASE).parse().expect("an address");

    let restart = |namespace: &str, what: &str| {
        kubectl(&node, &["-n", namespace, "rollout", "restart", what]);
        kubectl(&node, &["-n", namespace, "rollout", "status", what, "--timeout=180s"]);
    };
    let operator = format!("statefulset/{RELEASE}");

    let outcomes = during(&recorder, service, || restart(RELEASE, &operator));
    nothing_lost("a rollout of the operator", &outcomes, Some(&listener));

    let outcomes = during(&shop, service, || restart(TEAM, "deployment/shop"));
    nothing_lost("a rollout of the listener", &outcomes, None);

    helm.set(&["logLevel=debug"]);
    let outcomes = during(&recorder, service, || helm.upgrade(&helm::chart()));
    nothing_lost("helm upgrade", &outcomes, Some(&listener));

    let outcomes = during(&shop, service, || {
        let pod = a_pod(&node, TEAM, "app=shop");
        kubectl(&node, &["-n", TEAM, "delete", "pod", &pod]);
        kubectl(&node, &["-n", TEAM, "rollout", "status", "deployment/shop", "--timeout=60s"]);
    });
    nothing_lost("a deleted pod of the listener", &outcomes, None);

    let outcomes = during(&recorder, service, || {
        let pod = a_pod(&node, RELEASE, &format!("app.kubernetes.io/name={RELEASE}"));
        kubectl(&node, &["-n", RELEASE, "delete", "pod", &pod]);
        kubectl(&node, &["-n", RELEASE, "rollout", "status", &operator, "--timeout=120s"]);
    });
    nothing_lost("a deleted pod of the operator", &outcomes, Some(&listener));

    let outcomes = during(&recorder, service, || {
        let pod = a_pod(&node, RELEASE, &format!("app.kubernetes.io/name={RELEASE}"));
        kill_operator(&pod);
        eventually("the container to start again", || {
            let restarts = "-o=jsonpath={.status.containerStatuses[0].restartCount}";
            let restarts = kubectl(&node, &["-n", RELEASE, "get", "pod", &pod, restarts]);
            (restarts == "1").then_some(())
        });
        kubectl(&node, &["-n", RELEASE, "rollout", "status", &operator, "--timeout=120s"]);
    });
    // What was under way in it has no answer: its senders see that, and nobody could do better.
    at_most_cut_off(SENDERS, "a killed process of the operator", &outcomes, Some(&listener));
}

fn address(listener: &Listener) -> SocketAddr {
    let address = listener.url.trim_start_matches("http://").trim_end_matches('/');
    address.parse().expect("an address")
}

/// What becomes of triggers before, during and after a change.
fn during(url: &str, service: SocketAddr, change: impl FnOnce()) -> Outcomes {
    let load = Load::start(url, service);
    load.await_more(AROUND);
    change();
    load.await_more(AROUND);
    load.stop()
}

fn a_pod(node: &Node, namespace: &str, label: &str) -> String {
    let selector = format!("--selector={label}");
    let path = "-o=jsonpath={.items[0].metadata.name}";
    kubectl(node, &["-n", namespace, "get", "pods", &selector, path])
}

fn nothing_lost(what: &str, outcomes: &Outcomes, listener: Option<&Listener>) {
    at_most_cut_off(0, what, outcomes, listener);
}

fn at_most_cut_off(count: usize, what: &str, outcomes: &Outcomes, listener: Option<&Listener>) {
    eprintln!("{what}: {}", outcomes.summary());
    assert!(outcomes.taken.len() as u64 > AROUND, "{what}: {outcomes:?}");
    assert!(outcomes.refused.is_empty(), "{what}: answered {:?}", outcomes.refused);
    assert!(outcomes.cut.len() <= count, "{what}: cut off {:?}", outcomes.cut);
    let Some(listener) = listener else { return };
    let received = received(listener);
    let lost: Vec<_> = outcomes.taken.iter().filter(|n| !received.contains(n)).collect();
    assert!(lost.is_empty(), "{what}: answered 200 and not received: {lost:?}");
}

/// The numbers of the events that the listener got since it was asked last.
fn received(listener: &Listener) -> BTreeSet<u64> {
    let calls = std::iter::from_fn(|| listener.try_call());
    calls.map(|call| call.json()["event"]["number"].as_u64().expect("a number")).collect()
}
