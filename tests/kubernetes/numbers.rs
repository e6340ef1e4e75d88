//! The numbers of a status: what they say, and how seldom they are written.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use webhook_operator::moment::Moment;
use webhook_operator::resources::DeliveryCounts;

use crate::cluster::Cluster;
use crate::fixture::{Operator, Said, Site, app, eventually, fresh_cluster, webhook};

/// How often numbers are refreshed here.
const INTERVAL: Duration = Duration::from_secs(2);

/// A webhook that is Ready, and its operator.
async fn ready<C: std::ops::Deref<Target = Cluster>>(site: &Site<C>, said: &Arc<Said>) -> Operator {
    let operator = site.operator_counting(said, INTERVAL).await;
    site.apply(&app("shop"));
    site.apply(&webhook("payments", "shop"));
    site.wait("webhook/payments", "Ready");
    operator
}

fn deliveries(succeeded: i64) -> DeliveryCounts {
    DeliveryCounts { succeeded, dead: 2, pending: 3 }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_printed_by_kubectl() {
    let site = Site::new();
    let said = Arc::<Said>::default();
    let operator = ready(&site, &said).await;
    let columns = || -> Vec<Vec<String>> {
        let table = site.kubectl(&["get", "webhooks", "-o", "wide"]);
        let words = |line: &str| {
            line.split("  ")
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect()
        };
        table.lines().map(words).collect()
    };
    let header = [
        "NAME",
        "READY",
        "REASON",
        "ACTION",
        "APP",
        "LAST DELIVERY",
        "PENDING",
        "DEAD",
        "URL",
        "AGE",
    ];
    assert_eq!(columns()[0], header);
    let hour_ago = Moment::now() - Duration::from_secs(3700);
    said.say(&operator, &site.key("payments"), deliveries(5), hour_ago);
    eventually("the numbers", || {
        site.get("webhook/payments")["status"]["lastDelivery"].is_string()
    })
    .await;
    let row = &columns()[1];
    assert_eq!(row[..8], ["payments", "True", "Succeeded", "pay", "shop", "61m", "3", "2"]);
    assert_eq!(site.get("webhook/payments")["status"]["deliveries"], json!(deliveries(5)));
}

/// When the status of the webhook was written, by the audit log.
fn writes(cluster: &Cluster) -> Vec<Value> {
    let log = fs::read_to_string(cluster.audit_log()).expect("the audit log");
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_write = |event: &Value| {
        let object = &event["objectRef"];
        event["verb"] == "patch"
            && (&object["resource"], &object["subresource"], &object["name"])
                == (&json!("webhooks"), &json!("status"), &json!("payments"))
    };
    events.filter(is_write).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_written_once_an_interval_however_often_they_change_and_not_when_they_do_not() {
    let site = Site::of(Box::new(fresh_cluster()));
    let said = Arc::<Said>::default();
    let operator = ready(&site, &said).await;
    let key = site.key("payments");
    eventually("the first write", || writes(&site.cluster).len() == 1).await;
    let shown = || site.get("webhook/payments")["status"]["deliveries"]["succeeded"].as_i64();
    let begin = Instant::now();
    let mut succeeded = 0;
    while begin.elapsed() < 3 * INTERVAL {
        succeeded += 1;
        said.say(&operator, &key, deliveries(succeeded), Moment::now());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    eventually("the last number", || shown() == Some(succeeded)).await;
    let intervals = begin.elapsed().as_secs_f64() / INTERVAL.as_secs_f64();
    let busy = writes(&site.cluster).len() - 1;
    assert!(busy >= 2 && busy as f64 <= intervals + 1.0, "{busy} writes in {intervals} intervals");

    // Rounds go by in which nothing has changed.
    tokio::time::sleep(2 * INTERVAL).await;
    assert_eq!(writes(&site.cluster).len() - 1, busy);
    operator.stop().await;
}
