//! The operator's rights are what it uses, no less and no more: held against what the API server
//! says it was asked for.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};
use webhook_operator::moment::Moment;
use webhook_operator::plan::Reachability;
use webhook_operator::resources::Webhook;
use webhook_operator::source::kubernetes::Options;
use webhook_operator::source::{self, AccessReviewer, TokenReviewer, Verb, WebhookStore};

use crate::cluster::Cluster;
use crate::fixture::{
    Operator, Site, app, app_of_service, eventually, fresh_cluster, new_namespace, service,
    webhook, with,
};
use crate::support::rbac;

/// One right: a verb on a resource, on any object or on one of a name, everywhere or in one
/// namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    group: String,
    resource: String,
    verb: String,
    name: Option<String>,
    namespace: Option<String>,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, resource, verb, name, namespace } = self;
        let (name, namespace) = (name.as_deref(), namespace.as_deref());
        let (name, namespace) = (name.unwrap_or("*"), namespace.unwrap_or("*"));
        write!(f, "{verb} {resource}.{group} {namespace}/{name}")
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(values: &Value) -> Vec<String> {
    values.as_array().into_iter().flatten().map(text).collect()
}

/// What manifests grant.
fn granted(manifests: &str) -> BTreeSet<Right> {
    let manifests: Value = serde_json::from_str(manifests).expect("JSON");
    let objects = manifests["items"].as_array().expect("items");
    objects.iter().flat_map(rights_of).collect()
}

fn rights_of(role: &Value) -> Vec<Right> {
    let mut rights = Vec::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        let names: Vec<_> = match texts(&rule["resourceNames"]) {
            names if names.is_empty() => vec![None],
            names => names.into_iter().map(Some).collect(),
        };
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    rights.extend(names.iter().cloned().map(|name| Right {
                        group: group.clone(),
                        resource: resource.clone(),
                        verb: verb.clone(),
                        name,
                        namespace: role["metadata"]["namespace"].as_str().map(str::to_owned),
                    }));
                }
            }
        }
    }
    rights
}

/// What the operator asked for, in the terms of what is granted, and what it was refused.
fn used(cluster: &Cluster, operator: &str, granted: &BTreeSet<Right>) -> Used {
    let account = format!("system:serviceaccount:{operator}:webhook-operator");
    let log = std::fs::read_to_string(cluster.audit_log()).expect("the audit log");
    let mut used = Used::default();
    for line in log.lines() {
        // The last line may be half written.
        let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
        // What has no resource is discovery, which everybody may read.
        if event["user"]["username"] != *account || event["objectRef"]["resource"].is_null() {
            continue;
        }
        let asked = asked(&event);
        if event["responseStatus"]["code"] == 403 {
            used.refused.insert(asked.to_string());
        }
        used.rights.extend(granted.iter().filter(|right| covers(right, &asked)).cloned());
    }
    used
}

#[derive(Default)]
struct Used {
    rights: BTreeSet<Right>,
    refused: BTreeSet<String>,
}

fn asked(event: &Value) -> Right {
    let object = &event["objectRef"];
    let resource = match text(&object["subresource"]) {
        subresource if subresource.is_empty() => text(&object["resource"]),
        subresource => format!("{}/{subresource}", text(&object["resource"])),
    };
    Right {
        group: text(&object["apiGroup"]),
        resource,
        verb: text(&event["verb"]),
        name: object["name"].as_str().map(str::to_owned),
        namespace: object["namespace"].as_str().map(str::to_owned),
    }
}

fn covers(right: &Right, asked: &Right) -> bool {
    let what = |right: &Right| (right.group.clone(), right.resource.clone(), right.verb.clone());
    let fits = |right: &Option<String>, asked: &Option<String>| right.is_none() || right == asked;
    what(right) == what(asked)
        && fits(&right.name, &asked.name)
        && fits(&right.namespace, &asked.namespace)
}

type OwnSite = Site<Box<Cluster>>;

/// Everything that an operator does, from its first start to its end.
async fn live(site: &OwnSite, options: Options) {
    let operator = Operator::start(options).await;
    operator.leads().await;
    site.apply(&service("backend", 80, "http"));
    site.apply(&app_of_service("named-later", "backend", json!("http")));
    site.apply(&app("shop"));
    let refs = json!([{"name": "gh", "key": "secret"}]);
    let verify = json!([{"type": "GitHub", "secretRefs": refs}]);
    site.apply(&with(webhook("payments", "shop"), "/spec/verify", verify));
    site.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "gh"},
        "stringData": {"secret": "s3cret"},
    }));
    for object in ["webhookapp/named-later", "webhook/payments"] {
        site.wait(object, "Ready");
    }
    // An event that comes again is counted by a patch.
    let uuid = operator.runner.planner().app_uuid(&site.key("shop")).expect("the app");
    let down = || Reachability::Unreachable {
        since: Moment(1_795_536_000_000),
        why: "it answered 503".into(),
        failures: 10,
    };
    for found in [down(), Reachability::Reachable, down()] {
        let is_down = found != Reachability::Reachable;
        operator.runner.listener_reachability(uuid, found);
        let condition = if is_down { "ListenerReachable=False" } else { "ListenerReachable" };
        site.wait("webhookapp/shop", condition);
    }
    eventually("the second event", || {
        site.kubectl(&["get", "events.events.k8s.io", "-o", "jsonpath={.items[*].series.count}"])
            .contains('2')
    })
    .await;
    let Operator { kubernetes, runner, .. } = &operator;
    let webhooks = kubernetes.webhooks(runner);
    let mut made: Webhook = serde_json::from_value(webhook("made", "shop")).expect("a Webhook");
    made.metadata.namespace = Some(site.namespace.clone());
    webhooks.create(made).await.expect("a webhook");
    webhooks.delete(&site.key("made")).await.expect("no webhook");
    let nobody = kubernetes.tokens().review("not a token", None).await.expect("an answer");
    assert_eq!(nobody, None);
    let access = kubernetes.access();
    site.kubectl(&["create", "serviceaccount", "jane"]);
    let token = site.kubectl(&["create", "token", "jane"]);
    let jane = access.user(&token, None).await.expect("an answer").expect("a user");
    let right = source::Right { verb: Verb::List, namespace: None, webhook: None };
    assert!(!access.allows(&jane, &right, None).await.expect("an answer"));
    // What replicas ask each other for, as the operator itself.
    let login = kubernetes.authorization().await.expect("a login").expect("a token");
    let token = login.to_str().unwrap().strip_prefix("Bearer ").expect("a bearer token");
    let itself = access.user(token, None).await.expect("an answer").expect("a user");
    let right = source::Right { namespace: Some(site.namespace.clone()), ..right };
    assert!(access.allows(&itself, &right, None).await.expect("an answer"));
    // The lease is written again when it is given back.
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_right_of_an_operator_of_all_namespaces_is_used_and_none_is_missing() {
    let site = Site::of(Box::new(fresh_cluster()));
    let granted = granted(&rbac::cluster_wide(&site.namespace));
    let options = Options { watch_namespaces: Vec::new(), ..site.options() };
    are_exactly_used(&site, &site.namespace, &granted, options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_right_of_an_operator_of_one_namespace_is_used_and_none_is_missing() {
    let site = Site::of(Box::new(fresh_cluster()));
    let operator = new_namespace(&site.cluster);
    let rights = rbac::watching(&operator, &site.namespace);
    site.cluster.apply(&rights);
    let kubeconfig = site.cluster.kubeconfig_as(&operator, "webhook-operator");
    let options = Options { kubeconfig: Some(kubeconfig), ..site.options() };
    are_exactly_used(&site, &operator, &granted(&rights), options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_may_read_named_secrets_alone_misses_no_right() {
    let site = Site::of(Box::new(fresh_cluster()));
    let operator = new_namespace(&site.cluster);
    let rights = rbac::naming_secrets(&operator, &site.namespace);
    site.cluster.apply(&rights);
    let kubeconfig = site.cluster.kubeconfig_as(&operator, "webhook-operator");
    let (kubeconfig, watch_namespaces) = (Some(kubeconfig), Vec::new());
    let options = Options { kubeconfig, watch_namespaces, ..site.options() };
    are_exactly_used(&site, &operator, &granted(&rights), options).await;
    let may = |secret: &str, namespace: &str| {
        let account = format!("--as=system:serviceaccount:{operator}:webhook-operator");
        let args = ["auth", "can-i", "list", secret, "-n", namespace, &account, "--quiet"];
        site.cluster.kubectl(&args).ok
    };
    assert!(may("secrets/gh", &site.namespace));
    for (secret, namespace) in [("secrets/other", &*site.namespace), ("secrets", "kube-system")] {
        assert!(!may(secret, namespace), "{secret} of {namespace}");
    }
}

/// Lives through everything as the operator of a namespace, and looks at what that took.
async fn are_exactly_used(
    site: &OwnSite,
    operator: &str,
    granted: &BTreeSet<Right>,
    options: Options,
) {
    live(site, options).await;
    // A watch is told of when it has ended, which it does after everything else here.
    let is_watch = |right: &&Right| right.verb == "watch";
    let watches = |rights: &BTreeSet<Right>| rights.iter().filter(is_watch).count();
    eventually("the end of all watches", || {
        watches(&used(&site.cluster, operator, granted).rights) == watches(granted)
    })
    .await;
    let Used { rights, refused } = used(&site.cluster, operator, granted);
    // That one is looked up by replicas, not by the API server.
    let is_ours = |right: &&Right| right.resource == "webhooks/deliveries";
    let unused = granted.difference(&rights).filter(|right| !is_ours(right));
    let unused: Vec<_> = unused.map(Right::to_string).collect();
    assert!(unused.is_empty(), "never used: {unused:#?}");
    assert!(refused.is_empty(), "refused: {refused:#?}");
}
