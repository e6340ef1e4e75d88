//! The operator's rights are what it uses, no less and no more: held against what the API server
//! says it was asked for.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};
use webhook_operator::resources::Webhook;
use webhook_operator::source::{TokenReviewer, WebhookStore};

use crate::fixture::{
    Operator, Site, app, app_of_service, eventually, fresh_cluster, rbac, service, webhook,
};

/// One right: a verb on a resource, on any object or on one of a name, everywhere or in the
/// operator's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    group: String,
    resource: String,
    verb: String,
    name: Option<String>,
    is_own_namespace: bool,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, resource, verb, name, is_own_namespace } = self;
        let name = name.as_deref().unwrap_or("*");
        let place = if *is_own_namespace { "own namespace" } else { "everywhere" };
        write!(f, "{verb} {resource}.{group} {name} ({place})")
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(values: &Value) -> Vec<String> {
    values.as_array().into_iter().flatten().map(text).collect()
}

/// What the manifests grant.
fn granted(namespace: &str) -> BTreeSet<Right> {
    let manifests: Value = serde_json::from_str(&rbac(namespace)).expect("JSON");
    let objects = manifests["items"].as_array().expect("items");
    let rules = objects.iter().flat_map(|object| {
        let is_own_namespace = object["kind"] == "Role";
        let rules = object["rules"].as_array().into_iter().flatten();
        rules.map(move |rule| (rule, is_own_namespace))
    });
    rules.flat_map(|(rule, is_own_namespace)| rights_of(rule, is_own_namespace)).collect()
}

fn rights_of(rule: &Value, is_own_namespace: bool) -> Vec<Right> {
    let names: Vec<_> = match texts(&rule["resourceNames"]) {
        names if names.is_empty() => vec![None],
        names => names.into_iter().map(Some).collect(),
    };
    let mut rights = Vec::new();
    for group in texts(&rule["apiGroups"]) {
        for resource in texts(&rule["resources"]) {
            for verb in texts(&rule["verbs"]) {
                rights.extend(names.iter().cloned().map(|name| Right {
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                    name,
                    is_own_namespace,
                }));
            }
        }
    }
    rights
}

/// What the operator asked for, in the terms of what is granted, and what it was refused.
fn used(site: &Site<Box<crate::cluster::Cluster>>, granted: &BTreeSet<Right>) -> Used {
    let account = format!("system:serviceaccount:{}:webhook-operator", site.namespace);
    let log = std::fs::read_to_string(site.cluster.audit_log()).expect("the audit log");
    let mut used = Used::default();
    for line in log.lines() {
        // The last line may be half written.
        let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
        let object = &event["objectRef"];
        // What has no resource is discovery, which everybody may read.
        if event["user"]["username"] != *account || object["resource"].is_null() {
            continue;
        }
        let asked = asked(object, &text(&event["verb"]));
        if event["responseStatus"]["code"] == 403 {
            used.refused.insert(format!("{asked} in {}", object["namespace"]));
        }
        let is_own = object["namespace"] == *site.namespace;
        let fits = |right: &&Right| {
            let of = Right { name: None, is_own_namespace: false, ..(*right).clone() };
            of == Right { name: None, ..asked.clone() }
                && right.name.as_ref().is_none_or(|name| Some(name) == asked.name.as_ref())
                && (is_own || !right.is_own_namespace)
        };
        used.rights.extend(granted.iter().filter(fits).cloned());
    }
    used
}

#[derive(Default)]
struct Used {
    rights: BTreeSet<Right>,
    refused: BTreeSet<String>,
}

fn asked(object: &Value, verb: &str) -> Right {
    let resource = match text(&object["subresource"]) {
        subresource if subresource.is_empty() => text(&object["resource"]),
        subresource => format!("{}/{subresource}", text(&object["resource"])),
    };
    Right {
        group: text(&object["apiGroup"]),
        resource,
        verb: verb.to_owned(),
        name: object["name"].as_str().map(str::to_owned),
        is_own_namespace: false,
    }
}

/// Everything that an operator does, from its first start to its end.
async fn live(site: &Site<Box<crate::cluster::Cluster>>) {
    let mut options = site.options();
    options.watch_namespaces = Vec::new();
    let operator = Operator::start(options).await;
    operator.leads().await;
    site.apply(&service("backend", 80, "http"));
    site.apply(&app_of_service("named-later", "backend", json!("http")));
    site.apply(&app("shop"));
    site.apply(&webhook("payments", "shop"));
    for object in ["webhookapp/named-later", "webhook/payments"] {
        site.wait(object, "Ready");
    }
    let Operator { kubernetes, brain, .. } = &operator;
    let webhooks = kubernetes.webhooks(brain);
    let mut made: Webhook = serde_json::from_value(webhook("made", "shop")).expect("a Webhook");
    made.metadata.namespace = Some(site.namespace.clone());
    webhooks.create(made).await.expect("a webhook");
    webhooks.delete(&site.key("made")).await.expect("no webhook");
    let nobody = kubernetes.tokens().review("not a token").await.expect("an answer");
    assert_eq!(nobody, None);
    // The lease is written again when it is given back.
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_right_is_used_and_none_is_missing() {
    let site = Site::of(Box::new(fresh_cluster()));
    let granted = granted(&site.namespace);
    live(&site).await;
    // A watch is told of when it has ended, which it does after everything else here.
    let is_watch = |right: &&Right| right.verb == "watch";
    let watches = |rights: &BTreeSet<Right>| rights.iter().filter(is_watch).count();
    eventually("the end of all watches", || {
        watches(&used(&site, &granted).rights) == watches(&granted)
    })
    .await;
    let Used { rights, refused } = used(&site, &granted);
    let unused: Vec<_> = granted.difference(&rights).map(Right::to_string).collect();
    assert!(unused.is_empty(), "never used: {unused:#?}");
    assert!(refused.is_empty(), "refused: {refused:#?}");
}
