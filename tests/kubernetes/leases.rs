//! Of several replicas all know everything, and one writes.

use std::time::{Duration, Instant};

use crate::fixture::{Operator, Site, app, eventually};

/// Two replicas of one site: the one that holds the lease, and the other.
async fn two_replicas(site: &Site) -> (Operator, Operator) {
    let first = site.operator().await;
    first.leads().await;
    let second = site.operator().await;
    (first, second)
}

fn holder(site: &Site) -> String {
    site.kubectl(&["get", "lease/webhook-operator", "-o", "jsonpath={.spec.holderIdentity}"])
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_holder_of_the_lease_writes_and_the_other_keeps_what_is_pending() {
    let site = Site::new();
    let (first, second) = two_replicas(&site).await;
    site.apply(&app("shop"));
    site.wait("webhookapp/shop", "Ready");
    eventually("the second replica to know the app", || {
        second.runner.planner().app(&site.key("shop")).is_some()
    })
    .await;
    assert!(first.is_leading() && !second.is_leading());
    assert!(!second.runner.pending().take_all().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stops_hands_the_lease_over_at_once() {
    let site = Site::new();
    let (first, second) = two_replicas(&site).await;
    first.stop().await;
    let start = Instant::now();
    second.leads().await;
    // It looks every 2 seconds; the lease would have lasted 15.
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    site.apply(&app("shop"));
    site.wait("webhookapp/shop", "Ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_killed_is_replaced_when_its_lease_has_run_out() {
    let site = Site::new();
    let (first, second) = two_replicas(&site).await;
    // Becomes pending where nobody can write it.
    let start = Instant::now();
    drop(first);
    site.apply(&app("shop"));
    second.leads().await;
    let waited = start.elapsed();
    assert!(waited > Duration::from_secs(10) && waited < Duration::from_secs(20), "{waited:?}");
    site.wait("webhookapp/shop", "Ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_lease_was_taken_away_stops_writing() {
    let site = Site::new();
    let operator = site.operator().await;
    operator.leads().await;
    assert!(holder(&site).starts_with("webhook-operator_"));
    let patch = r#"{"spec":{"holderIdentity":"somebody"}}"#;
    site.kubectl(&["patch", "lease/webhook-operator", "--type=merge", "-p", patch]);
    eventually("the replica to notice", || !operator.is_leading()).await;
    operator.stop().await;
    assert_eq!(holder(&site), "somebody", "another's lease is not released");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_deleted_is_made_again() {
    let site = Site::new();
    let operator = site.operator().await;
    operator.leads().await;
    site.kubectl(&["delete", "lease/webhook-operator"]);
    eventually("the lease", || {
        site.cluster.kubectl(&["get", "lease/webhook-operator", "-n", &site.namespace]).ok
    })
    .await;
    operator.leads().await;
    operator.stop().await;
    assert_eq!(holder(&site), "", "released");
}
