//! The endpoints of the Services that apps name, as the API server tells of them.

use std::net::IpAddr;

use serde_json::{Value, json};
use webhook_operator::plan::Key;
use webhook_operator::plan::endpoints::ManualEndpoints;
use webhook_operator::routes::{Host, Id, Upstream};
use webhook_operator::source::PlanRunner;

use crate::fixture::{Operator, Site, app_of_service, eventually, service, webhook, with};

/// What a trigger of the app's webhook would go to.
fn endpoints(runner: &PlanRunner, webhook: &Key) -> Option<Vec<(IpAddr, u16)>> {
    let url = runner.planner().webhook_url(webhook)?;
    let mut parts = url.rsplit('/').filter_map(|part| part.parse().ok());
    let (webhook, app) = (parts.next()?, parts.next()?);
    let route = runner.routes().get(Id { app, webhook })?;
    let Upstream::Endpoints(endpoints) = &route.app.target.as_ref()?.upstream else {
        panic!("not a Service: {route:?}");
    };
    let ready = endpoints.ready();
    let address = |host: &Host| match host {
        Host::Address(address) => *address,
        Host::Name(name) => panic!("a name: {name}"),
    };
    Some(ready.iter().map(|one| (address(&one.origin.host), one.origin.port)).collect())
}

/// A slice of a Service of this site with the port `http`, as the controller makes it of Pods.
fn slice(site: &Site, name: &str, service: &str, port: u16, addresses: &[&str]) -> Value {
    let pod = json!({"kind": "Pod", "namespace": site.namespace, "name": "backend-0"});
    slice_of(&pod, name, service, port, addresses)
}

/// A slice whose endpoints have this `targetRef`.
fn slice_of(target: &Value, name: &str, service: &str, port: u16, addresses: &[&str]) -> Value {
    let endpoint = |address| json!({"addresses": [address], "targetRef": target});
    let endpoints = addresses.iter().map(endpoint);
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port}],
        "endpoints": endpoints.collect::<Vec<_>>(),
    })
}

fn at(addresses: &[(&str, u16)]) -> Option<Vec<(IpAddr, u16)>> {
    Some(addresses.iter().map(|(ip, port)| (ip.parse().unwrap(), *port)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_served_by_the_endpoints_that_its_service_has_at_any_time() {
    let site = Site::new();
    site.apply(&service("backend", 80, "http"));
    site.apply(&slice(&site, "backend-1", "backend", 8080, &["10.1.0.1", "10.1.0.2"]));
    site.apply(&app_of_service("shop", "backend", json!("http")));
    site.apply(&webhook("payments", "shop"));
    let Operator { runner, .. } = &site.operator().await;
    let now = || endpoints(runner, &site.key("payments"));
    assert_eq!(now(), at(&[("10.1.0.1", 8080), ("10.1.0.2", 8080)]), "known when it is synced");

    site.apply(&slice(&site, "backend-2", "backend", 9090, &["10.1.0.3"]));
    let all = at(&[("10.1.0.1", 8080), ("10.1.0.2", 8080), ("10.1.0.3", 9090)]);
    eventually("the second slice", || now() == all).await;
    site.apply(&slice(&site, "backend-1", "backend", 8080, &["10.1.0.2"]));
    eventually("the change", || now() == at(&[("10.1.0.2", 8080), ("10.1.0.3", 9090)])).await;
    site.kubectl(&["delete", "endpointslice/backend-2"]);
    eventually("the end of it", || now() == at(&[("10.1.0.2", 8080)])).await;
    site.kubectl(&["delete", "endpointslice/backend-1"]);
    eventually("nothing", || now() == at(&[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_there_long_before_its_app_is_looked_up() {
    let site = Site::new();
    for name in ["backend", "other"] {
        site.apply(&service(name, 80, "http"));
        site.apply(&slice(&site, &format!("{name}-1"), name, 8080, &["10.1.0.1"]));
    }
    let operator = site.operator().await;
    let runner = &operator.runner;
    let kept = || {
        let planner = runner.planner();
        let nothing = std::collections::HashSet::new();
        (planner.services().missing(&nothing), planner.services().missing_slices(&nothing))
    };
    assert_eq!(kept(), (vec![], vec![]), "nobody names one");

    site.apply(&app_of_service("shop", "backend", json!(80)));
    site.apply(&webhook("payments", "shop"));
    let now = || endpoints(runner, &site.key("payments"));
    eventually("its endpoints", || now() == at(&[("10.1.0.1", 8080)])).await;
    assert_eq!(kept(), (vec![site.key("backend")], vec![site.key("backend-1")]));
    site.wait("webhook/payments", "Ready");

    // Another app, another Service; and back.
    site.apply(&app_of_service("shop", "other", json!(80)));
    eventually("the other one", || kept().0 == [site.key("other")]).await;
    eventually("its endpoints", || now() == at(&[("10.1.0.1", 8080)])).await;
    site.kubectl(&["delete", "webhookapp/shop"]);
    eventually("nothing kept", || kept() == (vec![], vec![])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headless_services_work_and_an_alias_does_not() {
    let site = Site::new();
    let _operator = site.operator().await;
    let runner = &_operator.runner;
    let headless = with(service("headless", 80, "http"), "/spec/clusterIP", json!("None"));
    site.apply(&headless);
    site.apply(&slice(&site, "headless-1", "headless", 8080, &["10.1.0.7"]));
    site.apply(&app_of_service("one", "headless", json!("http")));
    site.apply(&webhook("of-one", "one"));
    let of_one = site.key("of-one");
    eventually("the endpoint", || endpoints(runner, &of_one) == at(&[("10.1.0.7", 8080)])).await;

    let alias = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "alias"},
        "spec": {"type": "ExternalName", "externalName": "example.com", "ports": [{"port": 80}]},
    });
    site.apply(&alias);
    site.apply(&app_of_service("two", "alias", json!(80)));
    let message = site.wait_for_reason("webhookapp/two", "ServiceTypeNotSupported").await;
    assert!(message.contains("ExternalName"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_are_no_pods_of_the_namespace_stall_the_app_beside_a_quiet_one() {
    let site = Site::new();
    for name in ["quiet", "forging"] {
        site.apply(&service(name, 80, "http"));
    }
    let unselecting = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "unselecting"},
        "spec": {"ports": [{"name": "http", "port": 80}]},
    });
    site.apply(&unselecting);
    site.apply(&slice(&site, "quiet-1", "quiet", 8080, &["10.1.0.1"]));
    let elsewhere = json!({"kind": "Pod", "namespace": "kube-system", "name": "victim-0"});
    site.apply(&slice_of(&elsewhere, "forging-1", "forging", 8080, &["10.1.0.9"]));
    // Not even with a targetRef that fits.
    site.apply(&slice(&site, "unselecting-1", "unselecting", 8080, &["10.1.0.9"]));
    for name in ["quiet", "forging", "unselecting"] {
        site.apply(&app_of_service(name, name, json!("http")));
        site.apply(&webhook(&format!("of-{name}"), name));
    }
    let operator = site.operator().await;
    let now = |name: &str| endpoints(&operator.runner, &site.key(&format!("of-{name}")));

    let reason = "ManualEndpointsNotAllowed";
    for (name, why) in [("forging", "names a Pod of namespace"), ("unselecting", "no selector")] {
        let message = site.wait_for_reason(&format!("webhookapp/{name}"), reason).await;
        assert!(message.contains(why), "{message}");
        assert!(message.contains("--listener-allow-manual-endpoints"), "{message}");
        assert_eq!(now(name), None);
    }
    site.wait("webhookapp/quiet", "Ready");
    assert_eq!(now("quiet"), at(&[("10.1.0.1", 8080)]));

    // The app works by itself once its Service leads to a Pod.
    site.apply(&slice(&site, "forging-1", "forging", 8080, &["10.1.0.2"]));
    site.wait("webhookapp/forging", "Ready");
    eventually("the Pod", || now("forging") == at(&[("10.1.0.2", 8080)])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_whose_flag_allows_manual_endpoints_calls_them() {
    let site = Site::new();
    let unselecting = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "outside"},
        "spec": {"ports": [{"name": "http", "port": 80}]},
    });
    site.apply(&unselecting);
    site.apply(&slice_of(&json!(null), "outside-1", "outside", 8080, &["10.1.0.9"]));
    site.apply(&app_of_service("shop", "outside", json!("http")));
    site.apply(&webhook("payments", "shop"));
    let operator = site.operator_allowing(ManualEndpoints::Allowed).await;
    site.wait("webhookapp/shop", "Ready");
    assert_eq!(endpoints(&operator.runner, &site.key("payments")), at(&[("10.1.0.9", 8080)]));
}
