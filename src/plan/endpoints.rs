//! From a Service's port and its EndpointSlices to the addresses that calls go to, as kube-proxy
//! chooses them.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::input::{EndpointInput, ServiceInput, ServicePort, SliceInput};

/// The addresses behind a port of a Service, sorted, each once.
///
/// A slice's port belongs to the Service's port of the same name, and its number is the target
/// port's. Ready endpoints count; where there are none, those that are being terminated and still
/// serve. A Service of both IP families is followed in its first one while that has an endpoint.
pub fn addresses<'a>(
    service: &ServiceInput,
    port: &ServicePort,
    slices: impl Iterator<Item = &'a SliceInput>,
) -> Vec<SocketAddr> {
    let all: Vec<_> = slices.flat_map(|slice| of_slice(slice, port)).collect();
    let of = |counts: fn(&EndpointInput) -> bool| {
        let found: BTreeSet<_> =
            all.iter().filter(|(endpoint, _)| counts(endpoint)).map(|found| found.1).collect();
        of_first_family(service, found)
    };
    let ready = of(EndpointInput::is_ready);
    if ready.is_empty() { of(EndpointInput::still_serves) } else { ready }
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
            "spec": {"ipFamilies": families, "ports": [
                {"name": "http", "port": 80, "targetPort": "web"},
                {"name": "dns", "port": 80, "protocol": "UDP"},
                {"name": "admin", "port": 81},
            ]},
        });
        ServiceInput::of(&serde_json::from_value(object).unwrap())
    }

    fn slice(family: &str, ports: Value, endpoints: &[(&str, Value)]) -> SliceInput {
        let endpoint = |(address, conditions): &(&str, Value)| json!({"addresses": [address], "conditions": conditions});
        let object = json!({
            "metadata": {"name": "shop-1", "namespace": "team-a", "labels": {"kubernetes.io/service-name": "shop"}},
            "addressType": family,
            "ports": ports,
            "endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        });
        SliceInput::of(&serde_json::from_value(object).unwrap()).unwrap()
    }

    fn found(service: &ServiceInput, port: usize, slices: &[SliceInput]) -> Vec<String> {
        let found = addresses(service, &service.ports[port], slices.iter());
        found.iter().map(ToString::to_string).collect()
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
        let object = json!({"metadata": {"name": "shop"}, "spec": {"ports": [{"port": 80}]}});
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
