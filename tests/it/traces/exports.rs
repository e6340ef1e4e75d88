//! How spans get to the collector, and what happens when they do not.

use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::collector::Collector;
use super::world::{RECEIVE, World, to};
use crate::support::https::{self, Certificate};
use crate::support::operator::{Folders, command, on_free_ports};

const SYNC: &str = "  delivery: {mode: Sync}";

#[test]
fn an_export_says_what_it_is_about_and_carries_the_headers_that_are_asked_for() {
    for (collector, protocol) in [(Collector::http(), "http/protobuf"), (Collector::grpc(), "grpc")]
    {
        let [endpoint, protocol] = to(&collector, protocol);
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=known%20here");
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=webhooks-0");
        let world = World::new(SYNC, "", &[endpoint, protocol, headers, attributes]);
        assert_eq!(world.send(&[]).status, 200);
        let export = collector.export();
        assert_eq!(export.api_key.as_deref(), Some("known here"));
        let version = env!("CARGO_PKG_VERSION");
        for (key, value) in [
            ("service.name", "webhook-operator"),
            ("service.version", version),
            ("k8s.pod.name", "webhooks-0"),
        ] {
            assert!(export.resource.contains(&(key.into(), value.into())), "{export:#?}");
        }
        let log = world.operator.log().join("\n");
        assert!(!log.contains("known") && !log.contains(&collector.endpoint), "{log}");
    }
}

#[test]
fn a_service_may_be_given_another_name() {
    let collector = Collector::http();
    let [endpoint, protocol] = to(&collector, "http/protobuf");
    let world = World::new(SYNC, "", &[endpoint, protocol, ("OTEL_SERVICE_NAME", "hooks")]);
    assert_eq!(world.send(&[]).status, 200);
    let resource = collector.export().resource;
    assert!(resource.contains(&("service.name".into(), "hooks".into())), "{resource:?}");
}

#[test]
fn a_collector_is_reached_by_tls_with_a_certificate_that_is_trusted() {
    let certificate = Certificate::of("localhost");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.crt");
    std::fs::write(&path, &certificate.pem).unwrap();
    let trusted = ("OTEL_EXPORTER_OTLP_CERTIFICATE", path.to_str().unwrap());

    let collector = Collector::grpc_tls(&certificate);
    let [endpoint, protocol] = to(&collector, "grpc");
    let world = World::new(SYNC, "", &[endpoint, protocol, trusted]);
    assert_eq!(world.send(&[]).status, 200);
    collector.spans(RECEIVE, 1);

    let (sender, heads) = channel();
    let port = https::serve(&certificate, move |head, connection| {
        sender.send(head.to_owned()).unwrap();
        std::io::Write::write_all(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    });
    let endpoint = format!("https://localhost:{port}/own/path");
    let endpoint = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str());
    let world = World::new(SYNC, "", &[endpoint, trusted]);
    assert_eq!(world.send(&[]).status, 200);
    let head = heads.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(head.starts_with("POST /own/path HTTP/1.1\r\n"), "{head}");
}

#[test]
fn a_collector_that_fails_is_told_of_once_and_when_it_is_back() {
    let collector = Collector::http();
    collector.answer(400);
    let world = World::new(SYNC, "", &to(&collector, "http/protobuf"));
    for _ in 0..4 {
        assert_eq!(world.send(&[]).status, 200);
        collector.export();
    }
    collector.answer(200);
    assert_eq!(world.send(&[]).status, 200);
    world.operator.await_log(&["traces are exported again"]);
    let log = world.operator.log();
    let failures = log.iter().filter(|line| line.contains("WARN"));
    assert_eq!(failures.count(), 1, "{log:#?}");
}

#[test]
fn triggers_do_not_wait_for_a_collector_that_never_answers_nor_does_the_end_for_long() {
    // It takes connections, and reads nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str());
    for protocol in ["grpc", "http/protobuf"] {
        let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        // Less than what comes: what there is no room for is dropped.
        let queue = [("OTEL_BSP_MAX_QUEUE_SIZE", "16"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")];
        let mut world = World::new(SYNC, "", &[endpoint, protocol, queue[0], queue[1]]);
        for _ in 0..100 {
            assert_eq!(world.send(&[]).status, 200);
        }
        let began = Instant::now();
        world.end();
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        world.operator.await_log(&["cannot export the last spans"]);
    }
}

#[test]
fn triggers_are_answered_where_there_is_no_collector() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{free}");
    for protocol in ["grpc", "http/protobuf"] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ];
        let world = World::new(SYNC, "", &variables);
        assert_eq!(world.send(&[]).status, 200);
        world.operator.await_log(&["traces cannot be exported"]);
        assert_eq!(world.send(&[]).status, 200);
    }
}

#[test]
fn the_last_spans_are_sent_before_the_end() {
    let collector = Collector::grpc();
    let [endpoint, protocol] = to(&collector, "grpc");
    let never = ("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    let mut world = World::new(SYNC, "", &[endpoint, protocol, never]);
    assert_eq!(world.send(&[]).status, 200);
    world.end();
    collector.spans(RECEIVE, 1);
}

#[test]
fn an_endpoint_that_is_none_is_one_line_and_a_value_that_is_unknown_is_ignored() {
    let folders = Folders::new();
    let (manifests, data) = (folders.manifests(), folders.data());
    let mut wrong = command(&["standalone"]);
    wrong.arg("--manifests").arg(manifests).arg("--data-dir").arg(data);
    wrong.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://not a host:1");
    let output = on_free_ports(&mut wrong).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.starts_with("error: invalid OTEL_* variables: "), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");

    let collector = Collector::http();
    let [endpoint, protocol] = to(&collector, "http/json");
    let world = World::new(SYNC, "", &[endpoint, protocol]);
    world.operator.await_log(&["OTEL_EXPORTER_OTLP_PROTOCOL=http/json is ignored"]);
    assert_eq!(world.send(&[]).status, 200);
    collector.spans(RECEIVE, 1);
}
