//! The trigger port as strangers and listeners find it: what passes, and what bad input gets.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::http::{connect, post, read_response, request, split};
use crate::support::listener::{Behaviour, Listener};
use crate::support::operator::{APP, Folders, Operator, WEBHOOK, eventually, manifest};

struct Setting {
    operator: Operator,
    listener: Listener,
    _folders: Folders,
}

fn setting(app: &str, webhook: &str, flags: &[&str]) -> Setting {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &manifest(&listener.url, app, webhook));
    let operator = Operator::standalone(&folders, flags);
    Setting { operator, listener, _folders: folders }
}

impl Setting {
    /// Whatever happened before, the next trigger passes.
    fn still_serves(&self) {
        self.listener.behave(Behaviour::Answer("200 OK"));
        assert_eq!(post(&self.operator.url(), r#"{"still":"here"}"#).status, 200);
        assert!(self.listener.call().text().contains("still"));
    }

    /// Sends bytes on a connection, and reads the answer's status.
    fn raw(&self, bytes: &[u8]) -> Option<u16> {
        let mut stream = connect(&self.operator.url());
        stream.write_all(bytes).ok()?;
        Some(read_response(&mut stream).ok()?.status)
    }

    fn head(&self, more: &str) -> String {
        let url = self.operator.url();
        let (host, path) = split(&url);
        format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n")
    }
}

#[test]
fn the_listener_gets_the_senders_bytes_and_the_headers_of_the_contract() {
    let setting = setting("", "  props: {userId: 1}\n  forwardHeaders: [X-GitHub-Event]", &[]);
    // White space, key order, duplicate keys and numbers are the sender's own.
    let sent = "\n{ \"b\":1.0, \"a\":12345678901234567890123456789, \"b\":\"\\ud83d\\ude00 ü\" }\n";
    let headers = [
        ("Content-Type", "application/json"),
        ("X-GitHub-Event", "push"),
        ("Authorization", "Bearer stranger"),
        ("Cookie", "a=b"),
        ("X-Other", "no"),
        ("Webhook-App-Uuid", "forged"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ];
    let answer = request("POST", &setting.operator.url(), &headers, sent.as_bytes());
    assert_eq!((answer.status, answer.body.as_str()), (200, "\"ok\""));
    let call = setting.listener.call();
    let before = r#"{"action":"exampleListener","props":{"userId":1},"event":"#;
    assert!(call.text().starts_with(&format!("{before}{sent},\"api\":{{")), "{}", call.text());
    let id = answer.header("webhook-event-id").unwrap();
    assert_eq!(uuid::Uuid::try_parse(id).unwrap().get_version_num(), 7);
    for (name, value) in [
        ("content-type", "application/json"),
        ("webhook-event-id", id),
        ("webhook-app-uuid", APP),
        ("webhook-uuid", WEBHOOK),
        ("webhook-action", "exampleListener"),
        ("webhook-attempt", "1"),
        ("x-github-event", "push"),
    ] {
        assert_eq!(call.header(name), Some(value), "{name}");
    }
    for absent in ["authorization", "cookie", "x-other", "connection"] {
        assert_eq!(call.header(absent), None, "{absent}");
    }
    assert!(
        call.header("traceparent").unwrap().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    );
    let api = call.json()["api"].clone();
    assert_eq!(api["url"], setting.operator.app_api);
}

#[test]
fn the_later_generation_says_listener_in_place_of_action() {
    let setting = setting("    envelope: Listener", "", &[]);
    assert_eq!(post(&setting.operator.url(), "{}").status, 200);
    let call = setting.listener.call();
    assert!(
        call.text().starts_with(r#"{"listener":"exampleListener","props":null,"event":{},"api":"#)
    );
}

#[test]
fn a_path_may_end_with_a_slash() {
    let setting = setting("", "", &[]);
    assert_eq!(post(&format!("{}/", setting.operator.url()), "{}").status, 200);
    assert_eq!(post(&format!("{}//", setting.operator.url()), "{}").status, 404);
    setting.listener.call();
}

/// Senders in the charsets of their own, and with JSON under other names.
#[test]
fn text_of_other_charsets_reaches_the_listener_without_loss() {
    let setting = setting("", "", &[]);
    for (content_type, body, event) in [
        (
            "application/x-www-form-urlencoded; charset=ISO-8859-1",
            &b"a=%E9"[..],
            r#"{"a":"\u{e9}"}"#,
        ),
        ("application/json; charset=utf-16", b"\xff\xfe{\0\"\0a\0\"\0:\x001\0}\0", r#"{"a":1}"#),
        ("text/plain; charset=shift_jis", b"\x93\xfa\x96{", "{\"_text\":\"\u{65e5}\u{672c}\"}"),
        ("text/json", b"{\"a\":1}", r#"{"a":1}"#),
        ("application/csp-report", b"{\"a\":1}", r#"{"a":1}"#),
        ("application/x-www-form-urlencoded", b"\xef\xbb\xbfa=1", r#"{"a":"1"}"#),
    ] {
        let event = event.replace("\\u{e9}", "\u{e9}");
        let answer =
            request("POST", &setting.operator.url(), &[("Content-Type", content_type)], body);
        assert_eq!(answer.status, 200, "{content_type}: {}", answer.body);
        let call = setting.listener.call();
        assert!(call.text().contains(&format!("\"event\":{event},")), "{}", call.text());
    }
    let json = [("Content-Type", "application/json; charset=utf-16")];
    let answer = request("POST", &setting.operator.url(), &json, b"\xff\xfe\0\xd8");
    assert_eq!((answer.status, answer.reason().as_str()), (400, "invalid_json"));
    assert!(answer.body.contains("charset"), "{}", answer.body);
}

#[test]
fn a_connection_is_kept_for_many_triggers_and_so_is_the_listeners() {
    let setting = setting("", "", &["--trigger-threads", "1"]);
    let mut stream = connect(&setting.operator.url());
    for _ in 0..50 {
        stream.write_all(setting.head("Content-Length: 2\r\n").as_bytes()).unwrap();
        stream.write_all(b"{}").unwrap();
        assert_eq!(read_response(&mut stream).unwrap().status, 200);
        setting.listener.call();
    }
}

#[test]
fn methods_paths_and_uuids_are_told_apart() {
    let setting = setting("", "", &[]);
    let url = setting.operator.url();
    for method in ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"] {
        let mut stream = connect(&url);
        let head = setting.head("Connection: close\r\n").replacen("POST", method, 1);
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 405"), "{method}: {answer}");
        assert!(answer.to_lowercase().contains("\r\nallow: post\r\n"), "{method}: {answer}");
    }
    for (path, status, reason) in [
        ("/", 404, "error_404"),
        ("/apps", 404, "error_404"),
        ("/app/webhooks", 404, "error_404"),
        ("/readyz", 404, "error_404"),
        ("/apps/x/webhooks/y", 400, "invalid_uuid"),
    ] {
        let answer = post(&format!("{}{path}", setting.operator.trigger), "{}");
        assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{path}");
    }
    setting.listener.expect_no_call();
}

#[test]
fn malformed_bodies_are_refused_before_the_listener_hears_of_them() {
    let setting = setting("", "", &[]);
    let json = &[("Content-Type", "application/json; charset=utf-8")][..];
    let deep = "[".repeat(100_000);
    for body in [
        &b"{"[..],
        b"{\"a\":}",
        b"{} {}",
        b"   ",
        b"\xff\xfe",
        b"{\"a\":\"\xff\"}",
        deep.as_bytes(),
    ] {
        let answer = request("POST", &setting.operator.url(), json, body);
        assert_eq!((answer.status, answer.reason().as_str()), (400, "invalid_json"));
    }
    setting.listener.expect_no_call();
    setting.still_serves();
}

#[test]
fn a_body_of_33_megabytes_is_refused_whether_or_not_its_length_is_announced() {
    let setting = setting("", "  maxBodyBytes: 33554432", &[]);
    let body = vec![b' '; 34_603_008];
    let announced = request("POST", &setting.operator.url(), &[], &body);
    assert_eq!((announced.status, announced.reason().as_str()), (413, "payload_too_large"));
    let mut stream = connect(&setting.operator.url());
    stream.write_all(setting.head("Transfer-Encoding: chunked\r\n").as_bytes()).unwrap();
    for chunk in body.chunks(1 << 20) {
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).unwrap();
        stream.write_all(chunk).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(read_response(&mut stream).unwrap().status, 413);
    setting.listener.expect_no_call();
    setting.still_serves();
}

#[test]
fn a_sender_that_waits_for_100_continue_is_refused_without_sending_the_body() {
    let setting = setting("", "", &[]);
    let head = setting.head("Content-Length: 9000000\r\nExpect: 100-continue\r\n");
    assert_eq!(setting.raw(head.as_bytes()), Some(413));
}

#[test]
fn a_body_that_trickles_and_a_chunked_body_without_an_end_time_out() {
    let setting = setting("", "", &["--body-timeout", "400ms"]);
    for framing in ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut stream = connect(&setting.operator.url());
        stream.write_all(setting.head(framing).as_bytes()).unwrap();
        stream.write_all(b"5\r\n{\"a\":\r\n").unwrap();
        let answer = read_response(&mut stream).unwrap();
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (408, "request_timeout"),
            "{framing}"
        );
    }
    setting.listener.expect_no_call();
    setting.still_serves();
}

#[test]
fn broken_framing_is_a_400() {
    let setting = setting("", "", &[]);
    let head = setting.head("Transfer-Encoding: chunked\r\n");
    assert_eq!(setting.raw(format!("{head}zz\r\n{{}}\r\n0\r\n\r\n").as_bytes()), Some(400));
    assert_eq!(setting.raw(b"\x16\x03\x01 this is not http\r\n\r\n"), Some(400));
    setting.listener.expect_no_call();
    setting.still_serves();
}

#[test]
fn a_request_with_two_lengths_or_without_one_host_is_a_400_and_ends_the_connection() {
    let setting = setting("", "", &[]);
    let head = setting.head("");
    let (line, _) = head.split_once("\r\n").unwrap();
    let both = "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n";
    let chunked_first = "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n";
    let body = "2\r\n{}\r\n0\r\n\r\n";
    for (headers, body, reason) in [
        ("", "", "invalid_body"),
        ("Host: a\r\nHost: a\r\n", "", "invalid_body"),
        (&*format!("Host: a\r\n{both}"), body, "invalid_body"),
        (&*format!("Host: a\r\n{chunked_first}"), body, "invalid_body"),
        ("Host: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n", "{}", "invalid_body"),
        ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", body, "invalid_body"),
    ] {
        // The first request of a connection, and one after another.
        for before in [String::new(), format!("{}{{}}", setting.head("Content-Length: 2\r\n"))] {
            let mut stream = connect(&setting.operator.url());
            if !before.is_empty() {
                stream.write_all(before.as_bytes()).unwrap();
                assert_eq!(read_response(&mut stream).unwrap().status, 200);
                setting.listener.call();
            }
            stream.write_all(format!("{line}\r\n{headers}\r\n{body}").as_bytes()).unwrap();
            let answer = read_response(&mut stream).unwrap();
            assert_eq!((answer.status, &*answer.reason()), (400, reason), "{headers}");
            is_closed(&mut stream);
        }
    }
    setting.listener.expect_no_call();
    setting.still_serves();
}

#[test]
fn a_header_bomb_is_refused() {
    let setting = setting("", "", &[]);
    let large = format!("X-Bomb: {}\r\n", "x".repeat(40_000));
    assert_eq!(setting.raw(setting.head(&large).as_bytes()), Some(431));
    let many = "X-Bomb: x\r\n".repeat(200);
    assert_eq!(setting.raw(setting.head(&many).as_bytes()), Some(431));
    setting.still_serves();
}

#[test]
fn headers_that_trickle_and_connections_that_idle_are_closed() {
    let flags = ["--header-timeout", "300ms", "--keep-alive-timeout", "300ms"];
    let setting = setting("", "", &flags);
    for beginning in ["", "P", "PRI * HTTP/2.0\r\n", "POST / HTTP/1.1\r\nHost: a\r\nX-"] {
        let mut stream = connect(&setting.operator.url());
        stream.write_all(beginning.as_bytes()).unwrap();
        is_closed(&mut stream);
    }
    let mut idle = connect(&setting.operator.url());
    idle.write_all(setting.head("Content-Length: 2\r\n").as_bytes()).unwrap();
    idle.write_all(b"{}").unwrap();
    assert_eq!(read_response(&mut idle).unwrap().status, 200);
    is_closed(&mut idle);
}

fn is_closed(stream: &mut std::net::TcpStream) {
    match stream.read(&mut [0; 16]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("the connection should be closed: {other:?}"),
    }
}

#[test]
fn a_sender_that_goes_away_disturbs_nobody() {
    let setting = setting("", "", &[]);
    for _ in 0..20 {
        let mut stream = connect(&setting.operator.url());
        stream.write_all(setting.head("Content-Length: 100\r\n").as_bytes()).unwrap();
        stream.write_all(b"{\"a\":").unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    }
    setting.still_serves();
}

#[test]
fn a_listener_that_fails_is_a_502_and_one_that_hangs_a_504() {
    let setting = setting("    timeout: 500ms", "", &[]);
    for (behaviour, status, reason) in [
        (Behaviour::Answer("500 Internal Server Error"), 502, "listener_error"),
        (Behaviour::Answer("404 Not Found"), 502, "listener_error"),
        (Behaviour::Answer("302 Found\r\nLocation: http://127.0.0.1:1/"), 502, "listener_error"),
        (Behaviour::Answer("garbage"), 502, "listener_error"),
        (Behaviour::Reset, 502, "listener_error"),
        (Behaviour::Hang, 504, "listener_timeout"),
        (Behaviour::Answer("204 No Content"), 200, ""),
    ] {
        setting.listener.behave(behaviour.clone());
        let answer = post(&setting.operator.url(), "{}");
        assert_eq!(answer.status, status, "{behaviour:?}: {answer:?}");
        assert!(answer.header("webhook-event-id").is_some(), "{behaviour:?}");
        if status != 200 {
            assert_eq!(answer.reason(), reason, "{behaviour:?}");
        }
        setting.listener.call();
    }
    setting.still_serves();
    let log = setting.operator.log().join("\n");
    assert!(log.contains("listener call failed"), "{log}");
    assert!(!log.contains(WEBHOOK) && !log.contains(APP), "no URL in the log: {log}");
}

#[test]
fn a_listener_that_is_not_there_is_a_502() {
    let folders = Folders::new();
    folders.write("shop.yaml", &manifest("http://127.0.0.1:1/", "", ""));
    let operator = Operator::standalone(&folders, &[]);
    assert_eq!(post(&operator.url(), "{}").status, 502);
}

#[test]
fn a_listener_that_streams_a_gigabyte_costs_64_kilobytes_of_it() {
    let setting = setting("", "", &[]);
    setting.listener.behave(Behaviour::Stream(1 << 30));
    assert_eq!(post(&setting.operator.url(), "{}").status, 200);
    setting.listener.call();
    setting.still_serves();
}

#[test]
fn addresses_that_are_not_allowed_are_not_connected_to_by_name_either() {
    let listener = Listener::start();
    let port = listener.url.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    let folders = Folders::new();
    folders.write("shop.yaml", &manifest(&format!("http://localhost:{port}/"), "", ""));
    let operator = Operator::standalone(&folders, &["--listener-allow-cidr", "192.0.2.0/24"]);
    let answer = post(&operator.url(), "{}");
    assert_eq!((answer.status, answer.reason().as_str()), (502, "listener_error"));
    operator.await_log(&["refused"]);
    listener.expect_no_call();
}

#[test]
fn a_suspended_webhook_answers_503_with_retry_after() {
    let setting = setting("", "  suspend: true", &[]);
    let answer = post(&setting.operator.url(), "{}");
    assert_eq!((answer.status, answer.reason().as_str()), (503, "suspended"));
    assert!(answer.header("retry-after").is_some());
    setting.listener.expect_no_call();
}

#[test]
fn one_app_takes_no_more_than_its_share_of_places() {
    let setting = setting("    timeout: 60s", "", &["--max-in-flight-per-app", "1"]);
    let (go, told) = channel();
    setting.listener.behave(Behaviour::Wait(Arc::new(Mutex::new(told))));
    let url = setting.operator.url();
    let first = thread::spawn(move || post(&url, "{}").status);
    setting.listener.call();
    let second = post(&setting.operator.url(), "{}");
    assert_eq!((second.status, second.reason().as_str()), (503, "overloaded"));
    go.send(()).unwrap();
    assert_eq!(first.join().unwrap(), 200);
    setting.still_serves();
}

#[test]
fn bodies_beyond_the_servers_memory_are_refused_until_there_is_room() {
    let setting = setting("", "", &["--max-buffered-bytes", "2000"]);
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(1500));
    let answer = post(&setting.operator.url(), &body);
    assert_eq!((answer.status, answer.reason().as_str()), (503, "overloaded"));
    setting.still_serves();
}

#[test]
fn after_sigterm_what_is_under_way_is_finished_and_nothing_new_is_taken() {
    let mut setting = setting("    timeout: 60s", "", &[]);
    let (go, told) = channel();
    setting.listener.behave(Behaviour::Wait(Arc::new(Mutex::new(told))));
    let url = setting.operator.url();
    let under_way = thread::spawn(move || post(&url, "{}").status);
    setting.listener.call();
    setting.operator.terminate();
    let url = setting.operator.url();
    let host = split(&url).0;
    eventually("the port to close", || std::net::TcpStream::connect(host).is_err().then_some(()));
    go.send(()).unwrap();
    assert_eq!(under_way.join().unwrap(), 200);
    assert!(setting.operator.wait().success());
}

#[test]
fn during_the_shutdown_delay_everything_is_served_and_each_connection_ends_with_its_answer() {
    let mut setting = setting("", "", &["--shutdown-delay", "1h"]);
    let trigger = setting.head("Content-Length: 2\r\n") + "{}";
    let mut open = connect(&setting.operator.url());
    let mut ask = || {
        open.write_all(trigger.as_bytes()).unwrap();
        read_response(&mut open).unwrap()
    };
    let before = ask();
    assert_eq!((before.status, before.header("connection")), (200, None));
    setting.operator.terminate();
    let readyz = format!("{}/readyz", setting.operator.admin);
    eventually("not to be ready", || {
        (request("GET", &readyz, &[], b"").status == 503).then_some(())
    });
    let last = ask();
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    is_closed(&mut open);
    assert_eq!(post(&setting.operator.url(), "{}").status, 200, "the port is open");
    // A second signal insists.
    setting.operator.terminate();
    assert_eq!(setting.operator.wait().code(), Some(143));
}

#[test]
fn after_the_drain_timeout_what_is_under_way_is_cut_off() {
    let mut setting = setting("    timeout: 60s", "", &["--drain-timeout", "300ms"]);
    setting.listener.behave(Behaviour::Hang);
    let mut stream = connect(&setting.operator.url());
    stream.write_all(setting.head("Content-Length: 2\r\n").as_bytes()).unwrap();
    stream.write_all(b"{}").unwrap();
    setting.listener.call();
    setting.operator.terminate();
    assert!(setting.operator.wait().success());
    assert!(read_response(&mut stream).is_err());
}

#[test]
fn cleartext_http_2_is_spoken_on_the_same_port() {
    let setting = setting("", "", &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let status = runtime.block_on(async {
        let url = setting.operator.url();
        let stream = tokio::net::TcpStream::connect(split(&url).0).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let executor = hyper_util::rt::TokioExecutor::new();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(executor, io).await.unwrap();
        tokio::spawn(connection);
        let body = http_body_util::Full::new(bytes::Bytes::from_static(b"{\"over\":2}"));
        let request = hyper::Request::post(url).body(body).unwrap();
        sender.send_request(request).await.unwrap().status()
    });
    assert_eq!(status, 200);
    assert!(setting.listener.call().text().contains(r#""event":{"over":2}"#));
}

#[test]
fn triggers_of_many_senders_reach_the_listener_each_once() {
    let setting = setting("", "", &[]);
    let url = setting.operator.url();
    let senders = (0..8).map(|sender| {
        let url = url.clone();
        thread::spawn(move || {
            for n in 0..25 {
                assert_eq!(post(&url, &format!("{{\"n\":{}}}", sender * 25 + n)).status, 200);
            }
        })
    });
    senders.collect::<Vec<_>>().into_iter().for_each(|sender| sender.join().unwrap());
    let event = |_| setting.listener.call().json()["event"]["n"].as_u64().unwrap();
    let mut seen: Vec<u64> = (0..200).map(event).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..200).collect::<Vec<_>>());
    setting.listener.expect_no_call();
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, len @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&len[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Kind, flags and payload of the next frame; `None` at the end of the connection.
fn read_frame(stream: &mut std::net::TcpStream) -> Option<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let [a, b, c, kind, flags, ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    stream.read_exact(&mut payload).ok()?;
    Some((kind, flags, payload))
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

#[test]
fn an_idle_http_2_connection_that_pings_ends_with_a_goaway_after_its_idle_time() {
    let setting = setting("", "", &["--header-timeout", "200ms", "--keep-alive-timeout", "1500ms"]);
    let mut stream = connect(&setting.operator.url());
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, b""), &frame(PING, 0, 0, &[7; 8])].concat();
    stream.write_all(&hello).unwrap();
    let mut seen = Vec::new();
    while let Some((kind, flags, payload)) = read_frame(&mut stream) {
        if kind == PING && flags & ACK == 0 {
            // The server asks whether its GOAWAY has arrived.
            stream.write_all(&frame(PING, ACK, 0, &payload)).unwrap();
        }
        if kind == GOAWAY {
            assert_eq!(payload[4..8], [0; 4], "no error");
        }
        seen.push((kind, flags));
    }
    assert!(seen.contains(&(PING, ACK)), "{seen:?}");
    assert!(seen.contains(&(GOAWAY, 0)), "{seen:?}");
    setting.still_serves();
}

/// A connection from one of the machine's own addresses.
fn connect_from(source: [u8; 4], url: &str) -> std::net::TcpStream {
    let kind = (socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket2::Socket::new(kind.0, kind.1, kind.2).unwrap();
    socket.bind(&std::net::SocketAddr::from((source, 0)).into()).unwrap();
    let target: std::net::SocketAddr = split(url).0.parse().unwrap();
    socket.connect(&target.into()).unwrap();
    let stream = std::net::TcpStream::from(socket);
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    stream
}

/// Sends a trigger, and reads its status.
fn trigger_over(setting: &Setting, stream: &mut std::net::TcpStream) -> u16 {
    stream.write_all(setting.head("Content-Length: 2\r\n").as_bytes()).unwrap();
    stream.write_all(b"{}").unwrap();
    read_response(stream).unwrap().status
}

#[test]
fn one_client_that_holds_its_share_of_connections_shuts_nobody_else_out() {
    let flags = ["--max-connections-per-client", "4", "--trigger-threads", "2"];
    let setting = setting("", "", &flags);
    let url = setting.operator.url();
    let hostile = || connect_from([127, 0, 0, 9], &url);
    let mut served = hostile();
    assert_eq!(trigger_over(&setting, &mut served), 200);
    // Nobody knows when the others are accepted, but of eight more five are closed.
    let mut others: Vec<_> = (0..8).map(|_| hostile()).collect();
    let mut quiet = connect_from([127, 0, 0, 1], &url);
    assert_eq!(trigger_over(&setting, &mut quiet), 200);
    let metrics = format!("{}/metrics", setting.operator.admin);
    let refused = r#"webhook_operator_connections_closed_total{reason="refused"} 5"#;
    eventually("five to be refused", || {
        request("GET", &metrics, &[], b"").body.contains(refused).then_some(())
    });
    assert_eq!(trigger_over(&setting, &mut served), 200);
    let is_open = |stream: &mut std::net::TcpStream| {
        stream.set_nonblocking(true).unwrap();
        matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    };
    assert_eq!(others.iter_mut().filter_map(|stream| is_open(stream).then_some(())).count(), 3);
}

#[test]
fn when_connections_run_short_those_without_a_request_make_room() {
    let flags = ["--max-connections", "16", "--max-connections-per-client", "16"];
    let setting = setting("", "", &flags);
    let url = setting.operator.url();
    let mut served = connect_from([127, 0, 0, 9], &url);
    assert_eq!(trigger_over(&setting, &mut served), 200);
    let beginnings = ["", "P", "POST / HTTP/1.1\r\nX-"];
    let waiting: Vec<_> = (0..60)
        .map(|number| {
            let mut stream = connect_from([127, 0, 0, 9], &url);
            // It may be evicted by now.
            let _ = stream.write_all(beginnings[number % 3].as_bytes());
            stream
        })
        .collect();
    let mut quiet = connect_from([127, 0, 0, 1], &url);
    assert_eq!(trigger_over(&setting, &mut quiet), 200);
    assert_eq!(trigger_over(&setting, &mut served), 200);
    drop(waiting);
}

#[test]
fn an_http_2_connection_that_floods_is_cut_and_nobody_else_is_disturbed() {
    let setting = setting("", "", &["--trigger-threads", "1"]);
    let pings = frame(PING, 0, 0, &[7; 8]).repeat(1000);
    let settings = frame(SETTINGS, 0, 0, b"").repeat(1000);
    for flood in [pings, settings] {
        let mut stream = connect(&setting.operator.url());
        stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()).unwrap();
        let mut answers = stream.try_clone().unwrap();
        let reader = thread::spawn(move || while read_frame(&mut answers).is_some() {});
        let written = (0..1000).take_while(|_| stream.write_all(&flood).is_ok()).count();
        assert!(written < 1000, "it was never cut");
        reader.join().unwrap();
        setting.still_serves();
    }
}

/// Sends requests and reads nothing until nothing more is taken; says how many were sent whole.
fn send_until_blocked(stream: &mut std::net::TcpStream) -> usize {
    let request = b"POST /not-there HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    socket2::SockRef::from(&*stream).set_recv_buffer_size(256 * 1024).unwrap();
    stream.set_write_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
    let mut sent = 0;
    while let Ok(written) = stream.write(&request[sent % request.len()..]) {
        sent += written;
    }
    sent / request.len()
}

#[test]
fn a_client_that_reads_its_answers_late_gets_all_of_them() {
    let setting = setting("", "", &[]);
    let mut stream = connect(&setting.operator.url());
    let sent = send_until_blocked(&mut stream);
    assert!(sent > 100, "{sent}");
    let (mut seen, mut answers, mut space) = (Vec::new(), 0, [0; 65536]);
    while answers < sent {
        let read = stream.read(&mut space).unwrap();
        assert!(read > 0, "closed after {answers} of {sent}");
        seen.extend_from_slice(&space[..read]);
        // The end of each body; the last piece may be a part of one.
        let end = b"\"metadata\":{}}";
        answers += seen.windows(end.len()).filter(|bytes| bytes == end).count();
        seen.drain(..seen.len().saturating_sub(end.len() - 1));
    }
}

#[test]
fn a_client_that_never_reads_its_answers_is_cut() {
    let setting = setting("", "", &["--body-timeout", "300ms", "--header-timeout", "60s"]);
    let mut stream = connect(&setting.operator.url());
    send_until_blocked(&mut stream);
    // Nothing is read: the end is seen when something is written.
    let gone = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    eventually("the connection to be cut", || {
        stream
            .write(b"x")
            .is_err_and(|error: std::io::Error| gone.contains(&error.kind()))
            .then_some(())
    });
    setting.still_serves();
}
