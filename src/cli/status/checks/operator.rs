//! Problems of the operator itself. Pure.

use std::time::Duration;

use crate::cli::client::table::age;
use crate::cli::status::finding::Finding;
use crate::cli::status::observed::{Definition, Lease, Observed, Operator};

/// Tolerated difference between the clocks of this machine and of the lease holder.
const CLOCKS: Duration = Duration::from_secs(30);

pub fn definitions(observed: &Observed) -> Vec<Finding> {
    let Operator::Cluster { definitions, .. } = &observed.operator else { return Vec::new() };
    let apply = || ["webhook-operator crds | kubectl apply --server-side -f -".to_owned()];
    let missing = |name: &str| {
        Finding::problem("The cluster", format!("has no CustomResourceDefinition {name}"))
            .so("Install the operator's definitions, or its chart, which contains them", apply())
    };
    let Some(definitions) = definitions else {
        let known =
            [("webhookapps", observed.apps.is_some()), ("webhooks", observed.webhooks.is_some())];
        let unknown = known.into_iter().filter(|(_, is_known)| !is_known);
        return unknown.map(|(plural, _)| missing(&format!("{plural}.lenra.io"))).collect();
    };
    let found = definitions.iter().filter_map(|(name, definition)| match definition {
        Definition::Same => None,
        Definition::Missing => Some(missing(name)),
        Definition::Other => Some(
            Finding::note(
                format!("The CustomResourceDefinition {name}"),
                format!(
                    "differs from that of version {} of this program",
                    env!("CARGO_PKG_VERSION")
                ),
            )
            .because("Fields that only one of them has are dropped or not validated")
            .so("If the operator has this version, update its definitions", apply()),
        ),
    });
    found.collect()
}

pub fn replicas(observed: &Observed) -> Vec<Finding> {
    let Operator::Cluster { namespace, pods: Some(pods), .. } = &observed.operator else {
        return Vec::new();
    };
    if pods.is_empty() {
        return vec![
            Finding::problem("The operator", format!("has no pod in the namespace {namespace}"))
                .because("Triggers are not answered, and statuses are not written")
                .so(
                    "Install it, or set --operator-namespace",
                    ["kubectl get pods -A -l app.kubernetes.io/name=webhook-operator".into()],
                ),
        ];
    }
    let unready: Vec<_> = pods.iter().filter(|pod| !pod.is_ready).collect();
    let (all, bad) = (pods.len(), unready.len());
    let Some(first) = unready.first() else { return Vec::new() };
    let effect = if all == bad { "No trigger is answered. " } else { "" };
    let whys = unready.iter().map(|pod| {
        format!("{}: {}", pod.name, pod.why.as_deref().unwrap_or("its readiness probe fails"))
    });
    let why = whys.collect::<Vec<_>>().join("; ");
    let what = format!("has {bad} of {all} replicas that are not ready");
    vec![Finding::problem("The operator", what).because(format!("{effect}{why}")).so(
        "See its events and its log",
        [
            format!("kubectl describe pod {} -n {namespace}", first.name),
            format!("kubectl logs {} -n {namespace}", first.name),
        ],
    )]
}

pub fn leader(observed: &Observed) -> Vec<Finding> {
    let Operator::Cluster { namespace, lease: Some(lease), .. } = &observed.operator else {
        return Vec::new();
    };
    let why = match lease {
        Lease::Held { until, .. } if observed.now <= *until + CLOCKS => return Vec::new(),
        Lease::Held { holder, until } => {
            let ago = age(observed.now.since(*until));
            format!("{holder} held it until it expired {ago} ago")
        }
        Lease::Free => "The last holder released it".into(),
        Lease::Missing => "The lease does not exist".into(),
    };
    vec![
        Finding::problem("No replica", "holds the lease, so statuses are not written")
            .because(why)
            .so(
                "A running replica with permission to write leases acquires it within seconds",
                [
                    format!("kubectl get lease webhook-operator -n {namespace} -o yaml"),
                    format!(
                        "kubectl logs -l app.kubernetes.io/name=webhook-operator -n {namespace}"
                    ),
                ],
            ),
    ]
}

pub fn standalone(observed: &Observed) -> Vec<Finding> {
    let Operator::Standalone { server, ready } = &observed.operator else { return Vec::new() };
    match ready {
        Ok(ready) if ready.is_ready => Vec::new(),
        Ok(ready) => vec![
            Finding::problem("The operator", "is not ready")
                .because(ready.said.clone())
                .so("See its log on stderr", []),
        ],
        Err(why) => vec![
            Finding::problem("The operator", format!("does not answer at {server}"))
                .because(why.clone())
                .so(
                    "Start it, or set --server to the URL of its admin port",
                    ["webhook-operator standalone --manifests DIR".into()],
                ),
        ],
    }
}
