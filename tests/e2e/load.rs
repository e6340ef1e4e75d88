//! Senders that go on sending, and count what became of each trigger.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::http::{read_response, split};

/// How many senders there are: one half keeps its connections, the other connects for each trigger.
pub const SENDERS: usize = 8;

/// The pause of a sender after a trigger. All of them together send some hundred a second.
const PAUSE: Duration = Duration::from_millis(20);

/// However long a test takes, a load ends by itself.
const AT_MOST: Duration = Duration::from_secs(300);

/// Longer than an attempt may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A load under way.
pub struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    outcomes: Arc<Mutex<Outcomes>>,
    senders: Vec<JoinHandle<()>>,
}

/// What became of the triggers.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// The ids of the events that were answered 2xx: delivered, or stored.
    pub taken: Vec<String>,
    /// Other answers: status and reason, and the trigger's number.
    pub refused: Vec<(String, u64)>,
    /// No connection came about: the trigger was never sent, and a sender tries again.
    pub unconnected: u64,
    /// The connection ended before an answer.
    pub cut: Vec<(String, u64)>,
}

impl Outcomes {
    /// One line for people.
    pub fn summary(&self) -> String {
        let Self { taken, refused, unconnected, cut } = self;
        format!(
            "{} answered 2xx, {} answered otherwise, {unconnected} found no connection, {} were cut off",
            taken.len(),
            refused.len(),
            cut.len()
        )
    }
}

impl Load {
    /// Begins to send triggers `{"number": n}` for a URL's host and path to an address.
    pub fn start(url: &str, address: SocketAddr) -> Self {
        let (stop, sent, outcomes) = (Arc::default(), Arc::default(), Arc::default());
        let senders = (0..SENDERS).map(|number| {
            let sender = Sender {
                address,
                head: head(url),
                keeps: number % 2 == 0,
                open: None,
                stop: Arc::clone(&stop),
                sent: Arc::clone(&sent),
                outcomes: Arc::clone(&outcomes),
            };
            thread::spawn(move || sender.run())
        });
        let senders = senders.collect();
        Self { stop, sent, outcomes, senders }
    }

    /// Waits until so many more triggers have been sent.
    pub fn await_more(&self, count: u64) {
        let until = self.sent.load(Ordering::Relaxed) + count;
        let begun = Instant::now();
        while self.sent.load(Ordering::Relaxed) < until {
            assert!(begun.elapsed() < AT_MOST, "the load has come to a standstill");
            thread::sleep(PAUSE);
        }
    }

    /// Ends it; returns what became of everything.
    pub fn stop(self) -> Outcomes {
        self.stop.store(true, Ordering::Relaxed);
        for sender in self.senders {
            sender.join().expect("a sender");
        }
        std::mem::take(&mut *self.outcomes.lock().expect("the outcomes"))
    }
}

fn head(url: &str) -> String {
    let (host, path) = split(url);
    format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n")
}

struct Sender {
    address: SocketAddr,
    head: String,
    keeps: bool,
    open: Option<TcpStream>,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    outcomes: Arc<Mutex<Outcomes>>,
}

impl Sender {
    fn run(mut self) {
        let begun = Instant::now();
        while !self.stop.load(Ordering::Relaxed) && begun.elapsed() < AT_MOST {
            self.send(self.sent.fetch_add(1, Ordering::Relaxed));
            thread::sleep(PAUSE);
        }
    }

    fn send(&mut self, number: u64) {
        let stream = match self.open.take() {
            Some(stream) => stream,
            None => match connect(self.address) {
                Ok(stream) => stream,
                Err(_) => {
                    self.outcomes.lock().expect("the outcomes").unconnected += 1;
                    return;
                }
            },
        };
        self.exchange(stream, number);
    }

    fn exchange(&mut self, mut stream: TcpStream, number: u64) {
        let connection = if self.keeps { "" } else { "Connection: close\r\n" };
        let body = format!(r#"{{"number":{number}}}"#);
        let request =
            format!("{}{connection}Content-Length: {}\r\n\r\n{body}", self.head, body.len());
        let written = stream.write_all(request.as_bytes());
        let answer = written.and_then(|()| read_response(&mut stream));
        let mut outcomes = self.outcomes.lock().expect("the outcomes");
        match answer {
            Ok(answer) => {
                let ends = answer.header("connection").is_some_and(|value| value == "close");
                self.open = (self.keeps && !ends).then_some(stream);
                match (answer.status, answer.header("webhook-event-id")) {
                    (200 | 202, Some(id)) => outcomes.taken.push(id.to_owned()),
                    (status, _) => {
                        outcomes.refused.push((format!("{status} {}", answer.body), number));
                    }
                }
            }
            Err(error) => outcomes.cut.push((error.to_string(), number)),
        }
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
