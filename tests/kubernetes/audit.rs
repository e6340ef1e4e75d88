//! The test API server tells who asked for what.

use std::fs;

use serde_json::Value;

use crate::fixture::{Site, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_tells_the_requests_of_a_service_account() {
    let site = Site::new();
    let kubeconfig = site.cluster.kubeconfig_as(&site.namespace, "webhook-operator");
    let as_operator = format!("--kubeconfig={}", kubeconfig.display());
    site.kubectl(&[&as_operator, "get", "webhooks"]);

    let account = format!("system:serviceaccount:{}:webhook-operator", site.namespace);
    let listed = |event: &Value| {
        event["user"]["username"] == account
            && event["verb"] == "list"
            && event["objectRef"]["resource"] == "webhooks"
            && event["stage"] == "ResponseComplete"
            && event["responseStatus"]["code"] == 200
    };
    eventually("the list in the audit log", || {
        let log = fs::read_to_string(site.cluster.audit_log()).expect("the audit log");
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).any(|event| listed(&event))
    })
    .await;
}
