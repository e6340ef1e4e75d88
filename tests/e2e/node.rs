//! The node itself: it starts again and again, and leaves nothing behind.

use std::collections::BTreeSet;

use crate::machine::{look, new_since};
use crate::support::admin::Admin;
use crate::support::node::Node;
use crate::support::operator::eventually;
use crate::{images, kubectl};

/// With a volume, which is a mount.
const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: listener}
spec:
  containers:
  - name: listener
    image: webhook-operator:e2e
    args: [listen, --host, 0.0.0.0]
    volumeMounts: [{name: memory, mountPath: /memory}]
  volumes: [{name: memory, emptyDir: {medium: Memory}}]
";

#[test]
fn it_runs_twice_in_a_row_and_leaves_nothing_behind() {
    let before = look();
    for _ in 0..2 {
        let node = Node::start(&images());
        run_pod(&node);
        assert!(!new_since(&before).is_empty(), "its traces are looked for in vain");
        drop(node);
        assert_eq!(new_since(&before), BTreeSet::new());
    }
}

#[test]
fn a_node_that_is_killed_takes_its_pods_with_it_and_the_next_one_clears_the_rest() {
    let before = look();
    let node = Node::start(&images());
    run_pod(&node);
    node.kill();
    eventually("the kernel to take everything but control groups away", || {
        let is_group = |line: &String| line.starts_with("control group");
        new_since(&before).iter().all(is_group).then_some(())
    });

    drop(Node::start(&images()));
    assert_eq!(new_since(&before), BTreeSet::new());
}

fn run_pod(admin: &Admin) {
    admin.apply(POD);
    kubectl(admin, &["wait", "--for=condition=Ready", "--timeout=60s", "pod/listener"]);
}
