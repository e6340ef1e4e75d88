//! The development listener: SPEC section 9, `listen`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use webhook_operator::cli::listen::{Answer, Call, DevListener, ListenArgs, listen};

const LONG: Duration = Duration::from_secs(10);

struct Running {
    address: SocketAddr,
    calls: mpsc::UnboundedReceiver<Call>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

async fn running(answer: Answer) -> Running {
    let (listener, address) = DevListener::bind("127.0.0.1:0").await.unwrap();
    let (sender, calls) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let on_call = move |call| drop(sender.send(call));
    let server = tokio::spawn(listener.answering(answer).run(stopped, on_call));
    Running { address, calls, stop, server }
}

impl Running {
    /// Sends a request and reads until the server closes the connection.
    async fn post(&self, target: &str, body: &[u8]) -> String {
        let mut connection = self.send(target, body).await;
        let mut answer = String::new();
        timeout(LONG, connection.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    async fn send(&self, target: &str, body: &[u8]) -> TcpStream {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\nWebhook-Attempt: 1\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        // A server that refuses the body may close before all of it is sent.
        drop(connection.write_all(body).await);
        connection
    }

    async fn stops(self) {
        self.stop.send(true).unwrap();
        timeout(LONG, self.server).await.unwrap().unwrap();
        assert!(TcpStream::connect(self.address).await.is_err());
    }
}

#[tokio::test]
async fn each_call_is_answered_and_handed_on() {
    let mut running = running(Answer::default()).await;
    let answer = running.post("/any/path", br#"{"action":"test"}"#).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    let call = running.calls.recv().await.unwrap();
    assert_eq!((call.uri.path(), &*call.body), ("/any/path", &br#"{"action":"test"}"#[..]));
    assert_eq!(call.headers["webhook-attempt"], "1");
    running.stops().await;
}

#[tokio::test]
async fn it_answers_as_it_is_told_to_or_as_the_call_asks() {
    let answer = Answer { status: http::StatusCode::GONE, ..Answer::default() };
    let running = running(answer).await;
    assert!(running.post("/", b"").await.starts_with("HTTP/1.1 410 Gone\r\n"));
    let start = Instant::now();
    let answer = running.post("/?status=503&delay=200ms", b"").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(start.elapsed() >= Duration::from_millis(200));
    let answer = running.post("/?status=204", b"").await;
    assert!(answer.starts_with("HTTP/1.1 204 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = running.post("/?status=nonsense", b"").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.ends_with("expected a status from 200 to 599"), "{answer}");
    running.stops().await;
}

#[tokio::test]
async fn the_largest_trigger_fits_and_what_is_larger_is_refused() {
    let mut running = running(Answer::default()).await;
    let largest = vec![b'x'; 33_554_432 / 3 * 4 + 1024];
    assert!(running.post("/", &largest).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(running.calls.recv().await.unwrap().body.len(), largest.len());
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        64 * 1024 * 1024
    );
    let mut connection = TcpStream::connect(running.address).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    let chunk = vec![b'x'; 1024 * 1024];
    let refused = async { while connection.write_all(&chunk).await.is_ok() {} };
    timeout(LONG, refused).await.unwrap();
    assert!(running.calls.try_recv().is_err());
    running.stops().await;
}

#[tokio::test]
async fn it_stops_in_a_moment_although_a_call_is_held_back() {
    let mut running = running(Answer::default()).await;
    let held = running.send("/?delay=1h", b"{}").await;
    let idle = TcpStream::connect(running.address).await.unwrap();
    running.calls.recv().await.unwrap();
    let start = Instant::now();
    running.stops().await;
    assert!(start.elapsed() < Duration::from_secs(5));
    drop((held, idle));
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: ListenArgs,
}

#[tokio::test]
async fn a_port_that_is_taken_is_one_clear_error() {
    let (_taken, address) = DevListener::bind("127.0.0.1:0").await.unwrap();
    let port = address.port().to_string();
    let args = Cli::try_parse_from(["listen", "--port", &port]).unwrap().args;
    let (_stop, stopped) = watch::channel(false);
    let error = listen(args, stopped).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on 127.0.0.1:{port}"));
}

#[test]
fn flags_have_defaults_and_are_checked() {
    let args = Cli::try_parse_from(["listen"]).unwrap().args;
    assert_eq!((args.port, args.host.as_str()), (8090, "127.0.0.1"));
    assert_eq!((args.status.as_u16(), args.delay, args.body.as_str()), (200, Duration::ZERO, "ok"));
    for wrong in [["--status", "99"], ["--status", "x"], ["--delay", "2"], ["--port", "65536"]] {
        assert!(Cli::try_parse_from(["listen"].into_iter().chain(wrong)).is_err(), "{wrong:?}");
    }
}
