//! Which spans there are, how they hang together, and what they say.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::collector::Collector;
use super::world::{RECEIVE, SECRET, SENDER, TRACE, World, one, to, told, traceparent};
use crate::support::github::hmac_sha256;
use crate::support::listener::Behaviour;
use crate::support::operator::{APP, WEBHOOK};

const SYNC: &str = "mode: Sync";
const BODY: &str = r#"{"word":"in-the-body"}"#;

fn signature() -> String {
    format!("sha256={}", hmac_sha256(SECRET, BODY))
}

#[test]
fn the_senders_trace_goes_through_receive_verify_store_and_attempt_to_the_listener() {
    let collector = Collector::grpc();
    let world = World::signed("", &to(&collector, "grpc"));
    let (signature, parent) = (signature(), traceparent("00"));
    let event = world
        .send(&[
            ("X-Hub-Signature-256", &signature),
            ("traceparent", &parent),
            ("tracestate", "a=1"),
        ])
        .stored();
    let call = world.listener.call();
    collector.spans("attempt", 1);
    let spans = collector.spans(RECEIVE, 1);

    let receive = one(&spans, RECEIVE);
    assert_eq!((receive.parent.as_str(), receive.kind), (SENDER, SpanKind::Server));
    let verify = one(&spans, "verify");
    assert_eq!((&verify.parent, verify.kind), (&receive.id, SpanKind::Internal));
    let store = one(&spans, "store");
    assert_eq!((&store.parent, store.kind), (&receive.id, SpanKind::Producer));
    let attempt = one(&spans, "attempt");
    assert_eq!((&attempt.parent, attempt.kind), (&store.id, SpanKind::Client));
    assert_eq!(attempt.links, [(TRACE.to_owned(), store.id.clone())]);
    for span in &spans {
        assert_eq!((span.trace.as_str(), span.state.as_str()), (TRACE, "a=1"), "{span:?}");
        assert_eq!(span.error, None);
        assert!(0 < span.time.0 && span.time.0 <= span.time.1, "{span:?}");
    }
    assert_eq!(told(&call), (TRACE.into(), attempt.id.clone(), "01".into()));
    assert_eq!(call.header("tracestate"), Some("a=1"));
    for span in [receive, store, attempt] {
        assert_eq!(span.get("messaging.message.id"), Some(event.as_str()), "{span:?}");
    }
    for (span, key, value) in [
        (receive, "http.request.method", "POST"),
        (receive, "http.route", "/apps/{app}/webhooks/{webhook}"),
        (receive, "http.response.status_code", "202"),
        (receive, "webhook.outcome", "stored"),
        (receive, "webhook.namespace", "team-a"),
        (receive, "webhook.app", "shop"),
        (receive, "webhook.name", "payments"),
        (store, "messaging.destination.name", "team-a/shop"),
        (store, "messaging.message.body.size", "22"),
        (attempt, "http.response.status_code", "200"),
        (attempt, "server.address", "127.0.0.1"),
        (attempt, "webhook.name", "payments"),
        (attempt, "webhook.attempt", "1"),
    ] {
        assert_eq!(span.get(key), Some(value), "{span:#?}");
    }
}

#[test]
fn of_a_call_that_the_sender_waits_for_the_attempt_is_a_part_of_the_request() {
    let collector = Collector::http();
    let world = World::signed(SYNC, &to(&collector, "http/protobuf"));
    let signature = signature();
    assert_eq!(world.send(&[("X-Hub-Signature-256", &signature)]).status, 200);
    let spans = collector.spans(RECEIVE, 1);
    let (receive, attempt) = (one(&spans, RECEIVE), one(&spans, "attempt"));
    assert_eq!((receive.parent.as_str(), &attempt.parent), ("", &receive.id));
    assert_eq!((&receive.trace, attempt.links.len()), (&attempt.trace, 0));
    assert_eq!(receive.get("webhook.outcome"), Some("delivered"));
    let trace = receive.trace.clone();
    assert_eq!(told(&world.listener.call()), (trace, attempt.id.clone(), "01".into()));
    // Nothing was stored.
    assert_eq!(spans.len(), 3, "{spans:#?}");
}

#[test]
fn each_retry_is_a_span_that_is_linked_to_what_stored_the_event() {
    let collector = Collector::http();
    let retry = "  delivery: {retry: {schedule: [100ms], maxAttempts: 100, jitter: 0}}";
    let world = World::new(retry, "", &to(&collector, "http/protobuf"));
    world.listener.behave(Behaviour::Answer("500 Internal Server Error"));
    world.send(&[]).stored();
    let first = world.listener.call();
    world.listener.behave(Behaviour::Answer("200 OK"));
    let second = world.listener.call();
    collector.spans("attempt", 2);
    let spans = collector.spans(RECEIVE, 1);
    let store = one(&spans, "store");
    let attempts: Vec<_> = spans.iter().filter(|span| span.name == "attempt").collect();
    for (attempt, (call, status)) in attempts.iter().zip([(first, "500"), (second, "200")]) {
        assert_eq!(told(&call).1, attempt.id);
        assert_eq!((&attempt.trace, &attempt.parent), (&store.trace, &store.id));
        assert_eq!(attempt.links, [(store.trace.clone(), store.id.clone())]);
        assert_eq!(attempt.get("http.response.status_code"), Some(status));
    }
    assert_eq!(
        (attempts[0].error.as_deref(), attempts[0].get("error.type")),
        (Some("500"), Some("500"))
    );
    assert_eq!((attempts[1].error.as_deref(), attempts[1].get("error.type")), (None, None));
    assert_eq!(attempts[0].get("http.request.resend_count"), None);
    assert_eq!(attempts[1].get("http.request.resend_count"), Some("1"));
}

#[test]
fn a_listener_that_cannot_be_reached_says_so_in_the_attempt_and_in_the_request() {
    let collector = Collector::http();
    let world = World::new("  delivery: {mode: Sync}", "", &to(&collector, "http/protobuf"));
    world.listener.behave(Behaviour::Reset);
    assert_eq!(world.send(&[]).status, 502);
    let spans = collector.spans(RECEIVE, 1);
    assert_eq!(one(&spans, "attempt").get("error.type"), Some("http"));
    let receive = one(&spans, RECEIVE);
    assert_eq!((receive.error.as_deref(), receive.get("error.type")), (Some("502"), Some("502")));
    assert_eq!(receive.get("webhook.outcome"), Some("listener_error"));
}

#[test]
fn a_refused_signature_fails_verify_and_no_span_tells_a_secret() {
    let collector = Collector::http();
    let world = World::signed("", &to(&collector, "http/protobuf"));
    let forged = format!("sha256={}", hmac_sha256("another key", BODY));
    let sent = [("X-Hub-Signature-256", forged.as_str()), ("User-Agent", "in-a-header")];
    assert_eq!(world.send(&sent).status, 401);
    let good = signature();
    world.send(&[("X-Hub-Signature-256", &good), ("User-Agent", "in-a-header")]).stored();
    collector.spans("attempt", 1);
    let spans = collector.spans(RECEIVE, 2);

    let verify = spans.iter().find(|span| span.name == "verify" && span.error.is_some());
    let verify = verify.expect("a verify that failed");
    assert_eq!(verify.get("error.type"), verify.error.as_deref());
    let receive = spans.iter().find(|span| span.id == verify.parent).unwrap();
    // It is no error of ours.
    assert_eq!(receive.error, None);
    assert_eq!(receive.get("webhook.outcome"), Some("invalid_signature"));
    assert_eq!(receive.get("http.response.status_code"), Some("401"));
    let all = format!("{spans:?}");
    let (forged, good) = (&forged[7..], &good[7..]);
    for secret in [SECRET, forged, good, APP, WEBHOOK, "in-a-header", "in-the-body"] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
}

#[test]
fn a_trace_that_is_not_recorded_goes_on_all_the_same() {
    for delivery in [SYNC, ""] {
        let collector = Collector::http();
        let [endpoint, protocol] = to(&collector, "http/protobuf");
        let sampler = ("OTEL_TRACES_SAMPLER", "always_off");
        let mut world = World::signed(delivery, &[endpoint, protocol, sampler]);
        let signature = signature();
        let sender = traceparent("01");
        let sent = [("X-Hub-Signature-256", signature.as_str()), ("traceparent", &sender)];
        assert!(world.send(&sent).status < 300);
        let (trace, parent, flags) = told(&world.listener.call());
        assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "00"));
        assert!(parent != SENDER && parent != "0000000000000000", "{parent}");
        world.end();
        collector.expect_nothing();
    }
}

#[test]
fn a_request_that_no_route_takes_has_no_span() {
    let collector = Collector::http();
    let mut world = World::new("", "", &to(&collector, "http/protobuf"));
    let url = world.operator.url().replace(WEBHOOK, APP);
    assert_eq!(crate::support::http::post(&url, "{}").status, 404);
    world.end();
    collector.expect_nothing();
}

#[test]
fn a_sender_decides_only_where_the_sampler_is_based_on_the_parent() {
    let collector = Collector::http();
    let [endpoint, protocol] = to(&collector, "http/protobuf");
    let sampler = ("OTEL_TRACES_SAMPLER", "parentbased_always_off");
    let mut world = World::new("", "", &[endpoint, protocol, sampler]);
    world.send(&[("traceparent", &traceparent("00"))]).stored();
    world.send(&[]).stored();
    world.send(&[("traceparent", &traceparent("01"))]).stored();
    let calls = [(); 3].map(|()| world.listener.call());
    world.end();
    let spans = collector.spans("attempt", 1);
    assert_eq!(spans.len(), 3, "{spans:#?}");
    assert!(spans.iter().all(|span| span.trace == TRACE));
    let mut flags = calls.map(|call| told(&call).2);
    flags.sort();
    assert_eq!(flags, ["00", "00", "01"]);
}
