//! Triggers while everything is replaced under them: what was answered 2xx is received, and nobody
//! is answered anything else.

use std::net::SocketAddr;

use crate::helm::{self, Helm, RELEASE};
use crate::load::{Load, Outcomes, SENDERS};
use crate::processes::kill_operator;
use crate::recorder::Recorder;
use crate::support::node::Node;
use crate::support::operator::eventually;
use crate::team::{self, TEAM, await_webhook};
use crate::volumes::Volumes;
use crate::{await_operator, await_service, images, kubectl};

/// Triggers before and after each change.
const AROUND: u64 = 300;

#[test]
fn no_trigger_is_lost_while_the_operator_and_the_listener_are_replaced() {
    let volumes = Volumes::new();
    let node = Node::start(&images());
    for namespace in [RELEASE, TEAM] {
        team::make_namespace(&node, namespace);
    }
    volumes.declare(&node);
    let mut helm = Helm::new(&node);
    helm.set(&["listeners.allowManualEndpoints=true"]);
    helm.install();
    team::start_shop(&node);
    node.apply(include_str!("../../examples/shop.yaml"));
    // Its senders see at once what becomes of each call of the listener.
    let sync = r#"{"spec":{"delivery":{"mode":"Sync"}}}"#;
    kubectl(&node, &["-n", TEAM, "patch", "webhook/payments", "--type=merge", "-p", sync]);
    let mut listener = Recorder::start(&node);
    team::make_app_outside(&node, "recorder", listener.address());
    let shop = await_webhook(&node, "payments");
    let recorder = await_webhook(&node, "recorder");
    let service = await_service(&node, RELEASE, RELEASE).parse().expect("an address");

    let restart = |namespace: &str, what: &str| {
        kubectl(&node, &["-n", namespace, "rollout", "restart", what]);
        kubectl(&node, &["-n", namespace, "rollout", "status", what, "--timeout=180s"]);
    };
    let operator = format!("statefulset/{RELEASE}");

    let outcomes = during(&recorder, service, || restart(RELEASE, &operator));
    nothing_lost("a rollout of the operator", &outcomes, Some(&mut listener));

    let outcomes = during(&shop, service, || restart(TEAM, "deployment/shop"));
    nothing_lost("a rollout of the listener", &outcomes, None);

    helm.set(&["logLevel=debug"]);
    let outcomes = during(&recorder, service, || helm.upgrade(&helm::chart()));
    nothing_lost("helm upgrade", &outcomes, Some(&mut listener));

    let outcomes = during(&shop, service, || {
        let pod = a_pod(&node, TEAM, "app=shop");
        kubectl(&node, &["-n", TEAM, "delete", "pod", &pod]);
        kubectl(&node, &["-n", TEAM, "rollout", "status", "deployment/shop", "--timeout=60s"]);
    });
    nothing_lost("a deleted pod of the listener", &outcomes, None);

    let outcomes = during(&recorder, service, || {
        let pod = a_pod(&node, RELEASE, &format!("app.kubernetes.io/name={RELEASE}"));
        kubectl(&node, &["-n", RELEASE, "delete", "pod", &pod]);
        await_operator(&node);
    });
    nothing_lost("a deleted pod of the operator", &outcomes, Some(&mut listener));

    let outcomes = during(&recorder, service, || {
        let pod = a_pod(&node, RELEASE, &format!("app.kubernetes.io/name={RELEASE}"));
        kill_operator(&pod);
        eventually("the container to start again", || {
            let restarts = "-o=jsonpath={.status.containerStatuses[0].restartCount}";
            let restarts = kubectl(&node, &["-n", RELEASE, "get", "pod", &pod, restarts]);
            (restarts == "1").then_some(())
        });
        await_operator(&node);
    });
    // What was under way in it has no answer: its senders see that, and nobody could do better.
    at_most_cut_off(SENDERS, "a killed process of the operator", &outcomes, Some(&mut listener));
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

fn nothing_lost(what: &str, outcomes: &Outcomes, listener: Option<&mut Recorder>) {
    at_most_cut_off(0, what, outcomes, listener);
}

fn at_most_cut_off(count: usize, what: &str, outcomes: &Outcomes, listener: Option<&mut Recorder>) {
    eprintln!("{what}: {}", outcomes.summary());
    assert!(outcomes.taken.len() as u64 > AROUND, "{what}: {outcomes:?}");
    assert!(outcomes.refused.is_empty(), "{what}: answered {:?}", outcomes.refused);
    assert!(outcomes.cut.len() <= count, "{what}: cut off {:?}", outcomes.cut);
    let Some(listener) = listener else { return };
    listener.await_all(what, &outcomes.taken);
}
