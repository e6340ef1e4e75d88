//! Selects the endpoints of a Service port from its EndpointSlices, as kube-proxy does.
//!
//! The endpoints of a Service without a selector, and those of a slice written by hand, can be any
//! address: a Pod of another namespace, for example, which the operator would reach in spite of its
//! NetworkPolicies as a confused deputy (CVE-2021-25740). By default an endpoint is therefore
//! called only if its Service selects Pods and its `targetRef` names a Pod of the namespace. Anyone
//! who can write EndpointSlices can forge `targetRef`, and only a watch of all Pods could detect
//! that; the Kubernetes roles `edit` and `admin` have not included this right since 1.22.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::input::{EndpointInput, ServiceInput, ServicePort, SliceInput};

/// Whether endpoints that are not Pods selected by their Service are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ManualEndpoints {
    /// They are ignored.
    #[default]
    Refused,
    /// They are called like any other endpoint.
    Allowed,
}

/// The sorted, distinct addresses of the endpoints of a Service port.
///
/// A slice's port and the Service's port match by name; the number is the slice's (the target
/// port). Only ready endpoints are used; if there are none, endpoints that are terminating and
/// still serving. A dual-stack Service uses its first IP family while that has an endpoint. Manual
/// endpoints are used only if the policy allows them.
pub fn addresses(
    service: &ServiceInput,
    port: &ServicePort,
    slices: &[&SliceInput],
    manual: ManualEndpoints,
) -> Vec<SocketAddr> {
    let is_allowed = |endpoint: &EndpointInput| {
        manual == ManualEndpoints::Allowed || (service.has_selector && endpoint.is_pod)
    };
    let all = slices.iter().flat_map(|slice| of_slice(slice, port));
    let all: Vec<_> = all.filter(|(endpoint, _)| is_allowed(endpoint)).collect();
    let of = |counts: fn(&EndpointInput) -> bool| {
        let found: BTreeSet<_> =
            all.iter().filter(|(endpoint, _)| counts(endpoint)).map(|found| found.1).collect();
        of_first_family(service, found)
    };
    let ready = of(EndpointInput::is_ready);
    if ready.is_empty() { of(EndpointInput::still_serves) } else { ready }
}

/// Whether a Service has only manual endpoints. A Service with a selector and no endpoints yet
/// waits for its Pods.
pub fn are_all_manual(service: &ServiceInput, slices: &[&SliceInput]) -> bool {
    let mut endpoints = slices.iter().flat_map(|slice| &slice.endpoints).peekable();
    let has_some = endpoints.peek().is_some();
    !service.has_selector || (has_some && endpoints.all(|endpoint| !endpoint.is_pod))
}

fn of_slice<'a>(
    slice: &'a SliceInput,
    port: &ServicePort,
) -> impl Iterator<Item = (&'a EndpointInput, SocketAddr)> {
    let found = slice.ports.iter().find(|of_slice| of_slice.name == port.name);
    let number = found.map(|of_slice| of_slice.port);
    slice
        .endpoints
        .iter()
        .filter_map(move |endpoint| Some((endpoint, SocketAddr::new(endpoint.address, number?))))
}

fn of_first_family(service: &ServiceInput, found: BTreeSet<SocketAddr>) -> Vec<SocketAddr> {
    let is_first = |address: &SocketAddr| match address.ip() {
        IpAddr::V4(_) => !service.prefers_ipv6,
        IpAddr::V6(_) => service.prefers_ipv6,
    };
    let first: Vec<_> = found.iter().copied().filter(is_first).collect();
    if first.is_empty() { found.into_iter().collect() } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn service(families: Value) -> ServiceInput {
        let object = json!({
            "metadata": {"name": "shop", "namespace": "team-a"},
            "spec": {"selector": {"app": "shop"}, "ipFamilies": families, "ports": [
                {"name": "http", "port": 80, "targetPort": "web"},
                {"name": "dns", "port": 80, "protocol": "UDP"},
                {"name": "admin", "port": 81},
            ]},
        });
        ServiceInput::of(&serde_json::from_value(object).unwrap())
    }

    fn slice(family: &str, ports: Value, endpoints: &[(&str, Value)]) -> SliceInput {
        let pod = json!({"kind": "Pod", "namespace": "team-a", "name": "shop-0"});
        let endpoint = |(address, conditions): &(&str, Value)| json!({"addresses": [address], "conditions": conditions, "targetRef": pod});
        let object = json!({
            "metadata": {"name": "shop-1", "namespace": "team-a", "labels": {"kubernetes.io/service-name": "shop"}},
            "addressType": family,
            "ports": ports,
            "endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        });
        SliceInput::of(&serde_json::from_value(object).unwrap()).unwrap()
    }

    fn found(service: &ServiceInput, port: usize, slices: &[SliceInput]) -> Vec<String> {
        let slices: Vec<_> = slices.iter().collect();
        let refused = ManualEndpoints::Refused;
        let found = addresses(service, &service.ports[port], &slices, refused);
        found.iter().map(ToString::to_string).collect()
    }

    /// A slice whose only endpoint has this `targetRef`.
    fn slice_of(target: &Value) -> SliceInput {
        let object = json!({
            "metadata": {"name": "shop-2", "namespace": "team-a", "labels": {"kubernetes.io/service-name": "shop"}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [{"addresses": ["10.0.0.9"], "targetRef": target}],
        });
        SliceInput::of(&serde_json::from_value(object).unwrap()).unwrap()
    }

    #[test]
    fn only_pods_of_the_namespace_that_the_service_selects_are_called_unless_others_are_allowed() {
        let pod = json!({"kind": "Pod", "namespace": "team-a", "name": "shop-0", "uid": "1"});
        let no_pods = [
            json!(null),
            json!({}),
            json!({"kind": "Pod", "name": "shop-0"}),
            json!({"kind": "Pod", "namespace": "", "name": "shop-0"}),
            json!({"kind": "Pod", "namespace": "team-a"}),
            json!({"kind": "Pod", "namespace": "team-a", "name": ""}),
            json!({"kind": "Pod", "namespace": "team-b", "name": "secrets-0"}),
            json!({"kind": "pod", "namespace": "team-a", "name": "shop-0"}),
            json!({"kind": "Node", "namespace": "team-a", "name": "shop-0"}),
            json!({"apiVersion": "example.com/v1", "kind": "Pod", "namespace": "team-a", "name": "shop-0"}),
        ];
        let selecting = service(json!(["IPv4"]));
        let unselecting = ServiceInput { has_selector: false, ..selecting.clone() };
        let targets = no_pods.iter().map(|target| (target, false)).chain([(&pod, true)]);
        for (service, selects) in [(&selecting, true), (&unselecting, false)] {
            for (target, is_pod) in targets.clone() {
                let slice = slice_of(target);
                let called = |manual| addresses(service, &service.ports[0], &[&slice], manual);
                let expected = usize::from(selects && is_pod);
                assert_eq!(called(ManualEndpoints::Refused).len(), expected, "{target}");
                assert_eq!(called(ManualEndpoints::Allowed).len(), 1, "{target}");
                assert_eq!(are_all_manual(service, &[&slice]), expected == 0, "{target}");
            }
        }
    }

    #[test]
    fn a_manual_endpoint_beside_pods_is_ignored_and_does_not_hide_them() {
        let service = service(json!(["IPv4"]));
        let pods = slice("IPv4", json!([{"name": "http", "port": 80}]), &[("10.0.0.1", json!({}))]);
        let both = [slice_of(&json!(null)), pods];
        assert_eq!(found(&service, 0, &both), ["10.0.0.1:80"]);
        assert!(!are_all_manual(&service, &[&both[0], &both[1]]));
        assert!(!are_all_manual(&service, &[]), "its Pods are still to come");
    }

    #[test]
    fn a_port_is_found_by_its_name_and_has_the_number_of_the_slice() {
        let service = service(json!(["IPv4"]));
        let slices = [
            slice(
                "IPv4",
                json!([{"name": "http", "port": 8080}, {"name": "admin", "port": 9090}]),
                &[("10.0.0.1", json!({}))],
            ),
            // Another Pod's "web" is another number, and it has no admin port.
            slice(
                "IPv4",
                json!([{"name": "http", "port": 8081}]),
                &[("10.0.0.2", json!({"ready": true}))],
            ),
        ];
        assert_eq!(found(&service, 0, &slices), ["10.0.0.1:8080", "10.0.0.2:8081"]);
        assert_eq!(found(&service, 1, &slices), ["10.0.0.1:9090"]);
    }

    #[test]
    fn only_tcp_ports_count() {
        let service = service(json!(["IPv4"]));
        assert_eq!(service.ports.len(), 2);
        let udp = json!([{"name": "http", "port": 8080, "protocol": "UDP"}]);
        assert!(found(&service, 0, &[slice("IPv4", udp, &[("10.0.0.1", json!({}))])]).is_empty());
    }

    #[test]
    fn a_service_with_one_nameless_port_meets_a_slice_with_an_empty_name() {
        let spec = json!({"selector": {"app": "shop"}, "ports": [{"port": 80}]});
        let object = json!({"metadata": {"name": "shop"}, "spec": spec});
        let service = ServiceInput::of(&serde_json::from_value(object).unwrap());
        for name in [json!(null), json!("")] {
            let slice =
                slice("IPv4", json!([{"name": name, "port": 8080}]), &[("10.0.0.1", json!({}))]);
            assert_eq!(found(&service, 0, &[slice]), ["10.0.0.1:8080"]);
        }
    }

    #[test]
    fn the_terminating_ones_that_still_serve_count_only_while_none_is_ready() {
        let service = service(json!(["IPv4"]));
        let http = json!([{"name": "http", "port": 8080}]);
        let ends = ("10.0.0.1", json!({"ready": false, "serving": true, "terminating": true}));
        let dead = ("10.0.0.2", json!({"ready": false, "serving": false, "terminating": true}));
        let starts = ("10.0.0.3", json!({"ready": false, "serving": false, "terminating": false}));
        let lives = ("10.0.0.4", json!({"ready": true, "serving": true, "terminating": false}));
        let all = slice("IPv4", http.clone(), &[ends.clone(), dead.clone(), starts.clone(), lives]);
        assert_eq!(found(&service, 0, &[all]), ["10.0.0.4:8080"]);
        let none_ready = slice("IPv4", http, &[ends, dead, starts]);
        assert_eq!(found(&service, 0, &[none_ready]), ["10.0.0.1:8080"]);
    }

    #[test]
    fn the_first_ip_family_is_followed_while_it_has_an_endpoint() {
        let http = json!([{"name": "http", "port": 8080}]);
        let v4 = slice("IPv4", http.clone(), &[("10.0.0.1", json!({}))]);
        let v6 = slice("IPv6", http, &[("2001:db8::1", json!({}))]);
        let both = [v4, v6.clone()];
        assert_eq!(found(&service(json!(["IPv4", "IPv6"])), 0, &both), ["10.0.0.1:8080"]);
        assert_eq!(found(&service(json!(["IPv6", "IPv4"])), 0, &both), ["[2001:db8::1]:8080"]);
        assert_eq!(found(&service(json!(["IPv4", "IPv6"])), 0, &[v6]), ["[2001:db8::1]:8080"]);
    }

    #[test]
    fn an_endpoint_that_two_slices_name_counts_once() {
        let service = service(json!(["IPv4"]));
        let http = json!([{"name": "http", "port": 8080}]);
        let one = slice("IPv4", http, &[("10.0.0.1", json!({}))]);
        assert_eq!(found(&service, 0, &[one.clone(), one]), ["10.0.0.1:8080"]);
    }

    #[test]
    fn names_in_a_slice_are_no_addresses() {
        let object = json!({
            "metadata": {"name": "s", "labels": {"kubernetes.io/service-name": "shop"}},
            "addressType": "FQDN", "endpoints": [{"addresses": ["metadata.example.com"]}],
        });
        let slice = SliceInput::of(&serde_json::from_value(object).unwrap()).unwrap();
        assert!(slice.endpoints.is_empty());
    }
}
