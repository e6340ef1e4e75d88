//! What a caller makes of a listener's answers, over a connection as it is.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::http::read_head;
use bytes::Bytes;
use http::HeaderValue;
use webhook_operator::delivery::http1::{ListenerRequest, RequestHead};
use webhook_operator::delivery::{
    Call, CallError, Caller, Connector, Pieces, REFUSAL_BODY_BYTES, ResponseBody,
};
use webhook_operator::plan::address::AddressPolicy;
use webhook_operator::resources::Scheme;
use webhook_operator::routes::{Host, NamedBy, Origin, Target, Upstream};

/// A listener that takes one connection, and gives these answers to what comes over it.
fn listener(answers: Vec<String>) -> Target {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = socket.accept().unwrap();
        drop(socket);
        for answer in answers {
            read_head(&mut stream).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
        // Until the caller closes.
        let _ = stream.read(&mut [0]);
    });
    target(port)
}

fn target(port: u16) -> Target {
    let host = Host::Address([127, 0, 0, 1].into());
    let server_name = "listener".into();
    let origin = Origin { scheme: Scheme::Http, host, port, server_name, named_by: NamedBy::Url };
    Target {
        upstream: Upstream::Origin(Arc::new(origin)),
        authority: HeaderValue::from_static("listener"),
        path: "/".parse().unwrap(),
    }
}

fn caller() -> Caller {
    let allowed = vec!["127.0.0.0/8".parse().unwrap()];
    let addresses = AddressPolicy { allowed, ..AddressPolicy::default() };
    Caller::new(Connector::new(addresses, None).unwrap())
}

/// A request without headers and body.
fn request() -> ListenerRequest {
    RequestHead::post(&"/".parse().unwrap()).with_body(Pieces::default())
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_refusal_tells_its_status_how_it_begins_and_when_to_come_again() {
    let long = "why ".repeat(1000);
    let target = listener(vec![
        answer("503 Service Unavailable\r\nRetry-After: 7", &long),
        answer("404 Not Found", "no such thing"),
        answer("302 Found\r\nLocation: /elsewhere", ""),
        answer("204 No Content", ""),
    ]);
    let caller = caller();
    let call = async || {
        let limit = Duration::from_secs(20);
        caller
            .call(&target.upstream, request(), limit, ResponseBody::Drop)
            .await
            .map(|response| response.status)
    };
    let refusal = async || match call().await {
        Err(CallError::Refused(refusal)) => *refusal,
        other => panic!("{other:?}"),
    };
    // All over one connection: a refusal leaves it as usable as a success.
    let first = refusal().await;
    assert_eq!((first.status.as_u16(), first.retry_after), (503, Some("7".parse().unwrap())));
    assert_eq!(first.body, long[..REFUSAL_BODY_BYTES]);
    let second = refusal().await;
    assert_eq!((second.status.as_u16(), second.retry_after), (404, None));
    assert_eq!(second.body, "no such thing");
    let third = refusal().await;
    assert_eq!((third.status.as_u16(), third.body), (302, Bytes::new()));
    assert_eq!(call().await.unwrap(), 204);
}

/// The same target, named by something else: what else it is stays.
fn named_by(target: &Target, named_by: NamedBy, host: Host) -> Target {
    let Upstream::Origin(origin) = &target.upstream else { panic!("{target:?}") };
    let origin = Origin { host, named_by, ..Origin::clone(origin) };
    Target { upstream: Upstream::Origin(Arc::new(origin)), ..target.clone() }
}

#[tokio::test]
async fn a_denied_network_is_closed_to_urls_though_a_service_has_a_connection_there() {
    let loopback = || ["127.0.0.0/8", "::1/128"].map(|text| text.parse().unwrap()).into();
    let policy = AddressPolicy { allowed: loopback(), denied_to_urls: loopback() };
    let caller = Caller::new(Connector::new(policy, None).unwrap());
    let target = listener(vec![answer("204 No Content", ""), answer("204 No Content", "")]);
    let address = || Host::Address([127, 0, 0, 1].into());
    let call = async |target: &Target| {
        let limit = Duration::from_secs(20);
        caller
            .call(&target.upstream, request(), limit, ResponseBody::Drop)
            .await
            .map(|response| response.status)
    };
    let service = named_by(&target, NamedBy::Service, address());
    assert_eq!(call(&service).await.unwrap(), 204);
    for host in [address(), Host::Name("localhost".into())] {
        let told = call(&named_by(&target, NamedBy::Url, host)).await.unwrap_err().to_string();
        assert!(told.contains("listener.url") && told.contains("--egress-deny-cidr"), "{told}");
    }
    // The connection that was left alone still serves its Service.
    assert_eq!(call(&service).await.unwrap(), 204);
}

/// A listener that takes any number of connections. To each request it sends the first text at once,
/// and the second when `more` says so. It tells over which connection a request came.
fn slow_listener(first: &'static str, second: &'static str) -> (Target, Sender<()>, Receiver<u16>) {
    let ((more, told), (from, came)) = (channel(), channel());
    let told = Arc::new(Mutex::new(told));
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in socket.incoming().flatten() {
            let (told, from) = (told.clone(), from.clone());
            thread::spawn(move || {
                let peer = stream.peer_addr().unwrap().port();
                while read_head(&mut stream).is_ok() {
                    from.send(peer).unwrap();
                    stream.write_all(first.as_bytes()).unwrap();
                    if told.lock().unwrap().recv().is_ok() {
                        let _ = stream.write_all(second.as_bytes());
                    }
                }
            });
        }
    });
    (target(port), more, came)
}

#[tokio::test]
async fn a_success_is_known_before_its_body_has_come() {
    let (target, more, from) = slow_listener("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "ok");
    let caller = caller();
    let call = async || {
        let limit = Duration::from_secs(20);
        let called = caller.call(&target.upstream, request(), limit, ResponseBody::Drop);
        called.await.unwrap().status
    };
    // The body is sent only after the call has returned.
    assert_eq!(call().await, 200);
    let first = from.recv().unwrap();
    more.send(()).unwrap();
    // Once it was read, its connection is used again.
    loop {
        assert_eq!(call().await, 200);
        let next = from.recv().unwrap();
        more.send(()).unwrap();
        if next == first {
            break;
        }
    }
}

#[tokio::test]
async fn a_response_that_never_ends_is_a_success_and_its_connection_is_not_used_again() {
    let (target, _more, from) = slow_listener("HTTP/1.1 200 OK\r\n\r\nendless", "");
    let caller = caller();
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let limit = Duration::from_secs(20);
        let called = caller.call(&target.upstream, request(), limit, ResponseBody::Drop);
        assert_eq!(called.await.unwrap().status, 200);
        assert!(seen.insert(from.recv().unwrap()));
    }
}

#[tokio::test]
async fn bodies_that_come_with_their_heads_leave_one_connection() {
    let target = listener((0..50).map(|_| answer("200 OK", "{\"ok\":true}")).collect());
    let caller = caller();
    for _ in 0..50 {
        let limit = Duration::from_secs(20);
        let called = caller.call(&target.upstream, request(), limit, ResponseBody::Drop);
        assert_eq!(called.await.unwrap().status, 200);
    }
}
