//! What a webhook asks of its triggers: who is let in, what passes, and in which order it is asked.

use std::convert::Infallible;
use std::io::Write;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use ipnet::IpNet;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use webhook_operator::http::{CLIENT_SHARE, Limits};
use webhook_operator::plan::decide::ListenerPolicy;
use webhook_operator::plan::{AppInput, Change, Key, Reach, WebhookInput};
use webhook_operator::routes::{Id, Route};
use webhook_operator::source::PlanRunner;
use webhook_operator::trigger::Pipeline;

use crate::support::http::{Response as Answer, connect, read_response, request, split};
use crate::support::listener::Listener;
use crate::support::operator::{APP, Folders, Operator, WEBHOOK, manifest};
use crate::support::pipeline;

/// The pipeline in this process, with one webhook.
struct World {
    runner: PlanRunner,
    pipeline: Pipeline,
    listener: Listener,
}

/// An answer, as far as these tests look at it.
#[derive(Debug)]
struct Said {
    status: u16,
    reason: Option<String>,
    body: Value,
    event_id: Option<String>,
    retry_after: Option<String>,
}

impl World {
    /// A webhook with these fields in its spec, behind proxies in 10.0.0.0/8.
    fn new(webhook: Value) -> Self {
        let listener = Listener::start();
        let listeners = ListenerPolicy {
            allow_url: true,
            addresses: pipeline::loopback(),
            reach: Reach::Address,
            ..ListenerPolicy::default()
        };
        let proxies = ["10.0.0.0/8".parse::<IpNet>().unwrap()];
        let (runner, pipeline) = pipeline::new(listeners, proxies.into_iter().collect());
        let app = json!({"apiVersion": "lenra.io/v1alpha1", "kind": "WebhookApp", "spec": {"uuid": APP, "listener": {"url": listener.url}}});
        runner.apply([Change::App(AppInput::of(&object("shop", app)))]);
        let world = Self { runner, pipeline, listener };
        world.declare(webhook);
        world
    }

    /// The webhook's spec is this from now on.
    fn declare(&self, fields: Value) {
        let mut spec =
            json!({"app": "shop", "action": "paid", "uuid": WEBHOOK, "delivery": {"mode": "Sync"}});
        for (name, value) in fields.as_object().unwrap() {
            spec[name] = value.clone();
        }
        let webhook = json!({"apiVersion": "lenra.io/v1alpha1", "kind": "Webhook", "spec": spec});
        self.runner.apply([Change::Webhook(WebhookInput::of(&object("payments", webhook)))]);
    }

    fn route(&self) -> Arc<Route> {
        let id = Id { app: APP.parse().unwrap(), webhook: WEBHOOK.parse().unwrap() };
        self.runner.routes().get(id).unwrap()
    }

    /// Reason and message of the webhook's `Ready` condition.
    fn ready(&self) -> (String, String) {
        let now = "2026-11-23T00:00:00Z".parse().unwrap();
        let status = self.runner.planner().webhook_status(&Key::new("team-a", "payments"), now);
        let condition = &status.unwrap().conditions[0];
        (condition.reason.clone(), condition.message.clone())
    }

    async fn send<B: Body<Data = Bytes>>(
        &self,
        from: &str,
        headers: &[(&str, &str)],
        body: B,
    ) -> Said {
        self.send_to("", from, headers, body).await
    }

    /// With this after the path of the URL.
    async fn send_to<B: Body<Data = Bytes>>(
        &self,
        query: &str,
        from: &str,
        headers: &[(&str, &str)],
        body: B,
    ) -> Said {
        let mut request = Request::post(format!("/apps/{APP}/webhooks/{WEBHOOK}{query}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer: Option<IpAddr> = from.parse().ok();
        said(self.pipeline.handle(request.body(body).unwrap(), peer).await).await
    }

    async fn status(&self, from: &str, headers: &[(&str, &str)]) -> u16 {
        self.send(from, headers, Full::from("{}")).await.status
    }
}

async fn said(answer: Response<Full<Bytes>>) -> Said {
    let status = answer.status().as_u16();
    let header = |name| Some(answer.headers().get(name)?.to_str().unwrap().to_owned());
    let (event_id, retry_after) = (header("webhook-event-id"), header("retry-after"));
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    Said { status, reason: body["reason"].as_str().map(Into::into), body, event_id, retry_after }
}

fn object<K: DeserializeOwned>(name: &str, mut rest: Value) -> K {
    rest["metadata"] = json!({"name": name, "namespace": "team-a"});
    serde_json::from_value(rest).unwrap()
}

/// A body that nobody may ask for.
struct Untouched;

impl Body for Untouched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("the body was read");
    }
}

/// A body that comes only after its head.
fn late(body: &'static str) -> impl Body<Data = Bytes> {
    StreamBody::new(stream::once(async move {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(body.as_bytes())))
    }))
}

#[tokio::test]
async fn bodies_that_trickle_from_one_client_leave_places_to_others() {
    let world = World::new(json!({}));
    let endless = || StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
    // Directly, and behind a proxy: the client is the one that the proxy names.
    for (peer, hops) in [("192.0.2.1", ""), ("10.0.0.1", "192.0.2.9")] {
        let forwarded = [("x-forwarded-for", hops)];
        let headers = if hops.is_empty() { &[][..] } else { &forwarded };
        let share = Limits::default().in_flight_per_app / CLIENT_SHARE;
        let mut held: Vec<_> =
            (0..share).map(|_| Box::pin(world.send(peer, headers, endless()))).collect();
        for sent in &mut held {
            assert!(futures_util::FutureExt::now_or_never(sent).is_none());
        }
        let refused = world.send(peer, headers, endless()).await;
        assert_eq!((refused.status, refused.reason.as_deref()), (503, Some("overloaded")));
        assert_eq!(world.send("198.51.100.1", &[], late("{}")).await.status, 200);
        let others = [("x-forwarded-for", "198.51.100.1")];
        assert_eq!(world.send("10.0.0.1", &others, late("{}")).await.status, 200);
        assert_eq!(
            world.status(peer, headers).await,
            200,
            "a body that is there waits for nothing"
        );
        drop(held);
        assert_eq!(world.send(peer, headers, late("{}")).await.status, 200);
    }
}

#[tokio::test]
async fn only_triggers_from_the_source_ranges_are_taken() {
    let world = World::new(json!({"sourceRanges": ["192.0.2.0/24", "2001:db8::/32"]}));
    for (from, forwarded, status) in [
        ("192.0.2.7", None, 200),
        ("::ffff:192.0.2.7", None, 200),
        ("2001:db8::1", None, 200),
        ("198.51.100.1", None, 403),
        ("2001:db9::1", None, 403),
        // The word of a stranger is worth nothing, that of a proxy counts.
        ("198.51.100.1", Some("192.0.2.7"), 403),
        ("10.0.0.1", Some("192.0.2.7"), 200),
        ("10.0.0.1", Some("192.0.2.7, 198.51.100.1"), 403),
        ("10.0.0.1", Some("192.0.2.7, rubbish"), 403),
        ("10.0.0.1", None, 403),
        ("unknown", None, 403),
        ("unknown", Some("192.0.2.7"), 403),
    ] {
        let headers: Vec<_> = forwarded.map(|hops| ("X-Forwarded-For", hops)).into_iter().collect();
        assert_eq!(world.status(from, &headers).await, status, "{from} {forwarded:?}");
    }
}

#[tokio::test]
async fn without_source_ranges_triggers_come_from_everywhere() {
    let world = World::new(json!({"sourceRanges": []}));
    assert_eq!(world.status("unknown", &[]).await, 200);
    assert_eq!(world.status("10.0.0.1", &[("X-Forwarded-For", "rubbish")]).await, 200);
}

#[tokio::test]
async fn a_trigger_from_elsewhere_is_refused_before_its_body_is_read() {
    let world = World::new(json!({"sourceRanges": ["192.0.2.0/24"]}));
    let said = world.send("198.51.100.1", &[], Untouched).await;
    assert_eq!((said.status, said.reason.as_deref()), (403, Some("source_not_allowed")));
    assert_eq!(said.event_id, None);
    world.listener.expect_no_call();
}

#[tokio::test]
async fn a_suspended_webhook_says_so_wherever_a_trigger_comes_from() {
    let world = World::new(json!({"sourceRanges": ["192.0.2.0/24"], "suspend": true}));
    let said = world.send("198.51.100.1", &[], Untouched).await;
    assert_eq!((said.status, said.reason.as_deref()), (503, Some("suspended")));
}

#[tokio::test]
async fn a_malformed_source_range_stalls_the_webhook_and_nothing_is_taken() {
    let world = World::new(json!({"sourceRanges": ["192.0.2.0/24", "192.0.2.0/33"]}));
    let (reason, message) = world.ready();
    assert_eq!(reason, "Invalid");
    assert!(message.contains("spec.sourceRanges[1]"), "{message}");
    let said = world.send("192.0.2.7", &[], Untouched).await;
    assert_eq!((said.status, said.reason.as_deref()), (503, Some("not_ready")));
    world.declare(json!({"sourceRanges": ["192.0.2.0/24"]}));
    assert_eq!(world.status("192.0.2.7", &[]).await, 200);
}

#[tokio::test]
async fn triggers_beyond_the_rate_are_told_when_to_come_back() {
    let world = World::new(json!({"rateLimit": {"requestsPerSecond": 1, "burst": 5}}));
    for _ in 0..5 {
        assert_eq!(world.status("192.0.2.1", &[]).await, 200);
    }
    // Each second there is one more: an idle machine needs one of these.
    for _ in 0..50 {
        let said = world.send("192.0.2.1", &[], Full::from("{}")).await;
        if said.status == 429 {
            assert_eq!(said.reason.as_deref(), Some("rate_limited"));
            assert_eq!(said.retry_after.as_deref(), Some("1"));
            assert_eq!(said.event_id, None);
            return;
        }
    }
    panic!("none of 50 was beyond the rate");
}

#[tokio::test]
async fn what_a_stranger_can_fail_uses_up_nothing_of_the_rate() {
    let world = World::new(json!({
        "rateLimit": {"requestsPerSecond": 1}, "sourceRanges": ["192.0.2.0/24"], "maxBodyBytes": 2,
    }));
    for _ in 0..10 {
        assert_eq!(world.status("198.51.100.1", &[]).await, 403);
        let said = world.send("192.0.2.1", &[], Full::from("{  }")).await;
        assert_eq!(said.status, 413);
    }
    assert_eq!(world.status("192.0.2.1", &[]).await, 200);
}

#[tokio::test]
async fn what_is_used_of_a_rate_outlives_changes_that_leave_the_rate_alone() {
    const BURST: u32 = 1000;
    let rate = json!({"requestsPerSecond": 1, "burst": BURST});
    let world = World::new(json!({"rateLimit": rate}));
    let take = |count: u32| {
        let route = world.route();
        let rate = route.binding.guards.as_ref().unwrap().rate.as_ref().unwrap();
        (0..count).filter(|_| rate.take().is_ok()).count()
    };
    assert_eq!(take(BURST), BURST as usize);
    for change in [json!({"rateLimit": rate, "action": "refund"}), json!({"rateLimit": rate})] {
        world.declare(change);
        assert!(take(BURST) < BURST as usize, "a rate of one a second needs 16 minutes");
    }
    world.declare(json!({"rateLimit": {"requestsPerSecond": 2, "burst": BURST}}));
    assert_eq!(take(BURST), BURST as usize, "another rate begins anew");
}

#[tokio::test]
async fn events_that_a_filter_does_not_hold_of_are_let_go() {
    let world = World::new(json!({"filter": "event.type == 'paid' && event.amount > 100"}));
    let send = |body: &'static str| world.send("192.0.2.1", &[], Full::from(body));
    let passed = send(r#"{"type":"paid","amount":100.5}"#).await;
    assert_eq!((passed.status, passed.body), (200, json!("ok")));
    assert!(world.listener.call().text().contains(r#""event":{"type":"paid","amount":100.5}"#));
    let filtered = send(r#"{"type":"paid","amount":100}"#).await;
    let id = filtered.event_id.expect("an id");
    assert_eq!((filtered.status, filtered.body), (200, json!({"id": id, "filtered": true})));
    world.listener.expect_no_call();
}

#[tokio::test]
async fn a_filter_that_cannot_be_evaluated_is_a_422_that_tells_nothing_of_the_event() {
    let world = World::new(json!({"filter": "event.amount > 100"}));
    for body in [
        "{}",
        "[1]",
        "",
        "null",
        r#"{"amount":"secret"}"#,
        r#"{"amount":null}"#,
        r#"{"amount":1e999}"#,
        r#"{"amount":"\ud800"}"#,
        r#"{"amount":{"secret":1}}"#,
    ] {
        let headers = [("Content-Type", "application/json")];
        let said = world.send("192.0.2.1", &headers, Full::from(body)).await;
        assert_eq!((said.status, said.reason.as_deref()), (422, Some("filter_error")), "{body}");
        assert!(said.event_id.is_some() && !said.body.to_string().contains("secret"), "{body}");
    }
    world.declare(json!({"filter": "event.amount"}));
    assert_eq!(world.send("192.0.2.1", &[], Full::from(r#"{"amount":1}"#)).await.status, 422);
    world.listener.expect_no_call();
}

#[tokio::test]
async fn a_filter_sees_the_event_the_headers_the_props_and_the_query() {
    let world = World::new(json!({"props": {"tenant": "a"}}));
    let json = ("Content-Type", "application/json");
    for (filter, query, headers, body, passes) in [
        ("headers['x-github-event'] == 'push'", "", &[("X-GitHub-Event", "push")][..], "{}", true),
        ("headers['x-github-event'] == 'push'", "", &[("X-GitHub-Event", "ping")], "{}", false),
        ("headers.accept == 'a, b'", "", &[("Accept", "a"), ("accept", "b")], "{}", true),
        ("has(headers.cookie)", "", &[], "{}", false),
        ("query.tenant == props.tenant", "?tenant=a", &[], "{}", true),
        ("query.tenant == props.tenant", "?tenant=b", &[], "{}", false),
        ("query.tag == ['x y', 'z']", "?tag=x+y&tag=%7A", &[], "{}", true),
        ("size(query) == 0", "", &[], "{}", true),
        ("event == {}", "", &[], "", true),
        ("event._json == [1, 2]", "", &[json], " [1, 2] ", true),
        ("event._text.startsWith('hello')", "", &[("Content-Type", "text/plain")], "hello", true),
        (
            "event.a == '1'",
            "",
            &[("Content-Type", "application/x-www-form-urlencoded")],
            "a=1",
            true,
        ),
        // Deep, and not looked at.
        (
            "event.b == 1",
            "",
            &[json],
            &format!("{{\"a\":{}{},\"b\":1}}", "[".repeat(500), "]".repeat(500)),
            true,
        ),
    ] {
        world.declare(json!({"props": {"tenant": "a"}, "filter": filter}));
        let said = world.send_to(query, "192.0.2.1", headers, Full::from(body.to_owned())).await;
        let filtered = said.body["filtered"] == json!(true);
        assert_eq!((said.status, filtered), (200, !passes), "{filter}: {said:?}");
    }
}

#[tokio::test]
async fn a_filter_that_does_not_compile_stalls_the_webhook_and_says_where() {
    let world = World::new(json!({"filter": "event.ok &&\n  evnt.type == 'paid'"}));
    let (reason, message) = world.ready();
    assert_eq!(reason, "InvalidFilter");
    assert!(message.contains("2:3: undeclared reference to 'evnt'"), "{message}");
    let said = world.send("192.0.2.1", &[], Untouched).await;
    assert_eq!((said.status, said.reason.as_deref()), (503, Some("not_ready")));
    world.declare(json!({"filter": "true"}));
    assert_eq!(world.ready().0, "Succeeded");
    assert_eq!(world.status("192.0.2.1", &[]).await, 200);
}

#[tokio::test]
async fn an_event_that_is_let_go_uses_up_the_rate_and_one_beyond_it_is_not_looked_at() {
    let rate = json!({"requestsPerSecond": 1, "burst": 3});
    let world = World::new(json!({"filter": "event.missing == 1", "rateLimit": rate}));
    let mut statuses = Vec::new();
    for _ in 0..50 {
        statuses.push(world.status("192.0.2.1", &[]).await);
    }
    assert_eq!(statuses[..3], [422; 3]);
    assert!(statuses.contains(&429), "{statuses:?}");
}

/// The program, with one webhook.
fn operator(webhook: &str, flags: &[&str]) -> (Operator, Listener, Folders) {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &manifest(&listener.url, "", webhook));
    (Operator::standalone(&folders, flags), listener, folders)
}

fn forwarded(operator: &Operator, hops: &str) -> Answer {
    request("POST", &operator.url(), &[("X-Forwarded-For", hops)], b"{}")
}

#[test]
fn the_proxies_that_a_flag_names_are_believed_and_no_others() {
    let ranges = "  sourceRanges: [192.0.2.0/24]";
    let (plain, _listener, _folders) = operator(ranges, &[]);
    let answer = forwarded(&plain, "192.0.2.7");
    assert_eq!((answer.status, answer.reason().as_str()), (403, "source_not_allowed"));
    let flags = ["--trusted-proxies", "10.0.0.0/8,127.0.0.0/8"];
    let (behind_proxy, _listener, _folders) = operator(ranges, &flags);
    assert_eq!(forwarded(&behind_proxy, "192.0.2.7").status, 200);
    assert_eq!(forwarded(&behind_proxy, "192.0.2.7, 198.51.100.1").status, 403);
}

#[test]
fn standalone_says_what_is_wrong_with_a_filter_and_where() {
    let (operator, _listener, folders) = operator("  filter: event.type = 'paid'", &[]);
    let says = |status: &str| status.contains("InvalidFilter");
    let status = folders.await_status("webhook", "team-a/payments", says);
    assert!(status.contains("1:12: unexpected character '='"), "{status}");
    assert_eq!(request("POST", &operator.url(), &[], b"{}").status, 503);
}

/// A trigger on a connection that begins with these bytes; `None` when it is closed unanswered.
fn after(operator: &Operator, begins: &[u8]) -> Option<u16> {
    let url = operator.url();
    let (host, path) = split(&url);
    let mut stream = connect(&url);
    let trigger = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n{{}}");
    let _ = stream.write_all(&[begins, trigger.as_bytes()].concat());
    read_response(&mut stream).ok().map(|answer| answer.status)
}

/// A header of version 2 for a TCP connection from 192.0.2.7.
const FROM_192_0_2_7: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xd4\x31\x00\x50";

#[test]
fn a_balancer_says_first_whom_a_connection_is_from() {
    let ranges = "  sourceRanges: [192.0.2.0/24]";
    let flags =
        ["--proxy-protocol", "--trusted-proxies", "127.0.0.0/8", "--header-timeout", "500ms"];
    let (operator, listener, _folders) = operator(ranges, &flags);
    for (begins, status) in [
        (FROM_192_0_2_7, Some(200)),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 54321 80\r\n", Some(200)),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 54321 80\r\n", Some(200)),
        (b"PROXY TCP4 198.51.100.9 198.51.100.1 54321 80\r\n", Some(403)),
        (b"PROXY UNKNOWN\r\n", Some(403)),
        // None at all, a malformed one, one that does not end.
        (b"", None),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 54321\r\n", None),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x0f\xff", None),
    ] {
        assert_eq!(after(&operator, begins), status, "{begins:?}");
    }
    (0..3).for_each(|_| drop(listener.call()));
    listener.expect_no_call();
}

#[test]
fn a_connection_past_the_trusted_proxies_is_closed_whatever_it_begins_with() {
    let flags = ["--proxy-protocol", "--trusted-proxies", "10.0.0.0/8"];
    let (operator, listener, _folders) = operator("", &flags);
    assert_eq!(after(&operator, FROM_192_0_2_7), None);
    assert_eq!(after(&operator, b""), None);
    listener.expect_no_call();
}
