//! A load of triggers that goes on while the operator dies, and remembers what was promised.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::shim::Machine;
use crate::support::http::{Response, read_response, split};
use crate::support::operator::{Operator, PATIENCE, eventually};

/// The number of the next event, over all loads.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Of how many events one has a body that a lease does not bring along.
const LARGE: u64 = 10;
const LARGE_BYTES: usize = 60_000;

/// Ids that were answered 202.
#[derive(Debug, Default)]
pub struct Promised(BTreeSet<String>);

impl Promised {
    /// Sends from some senders at once until the operator is gone or `until` breaks off.
    pub fn flood(
        &mut self,
        operator: &Operator,
        senders: usize,
        until: impl Fn(&Response) -> ControlFlow<()> + Sync,
    ) {
        let (url, ids, over) = (operator.url(), Mutex::new(&mut self.0), AtomicBool::new(false));
        let deadline = Instant::now() + PATIENCE;
        thread::scope(|scope| {
            for _ in 0..senders {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        assert!(Instant::now() < deadline, "the load has no end");
                        let Ok(answer) = trigger(&url) else { break };
                        if answer.status == 202 {
                            ids.lock().unwrap().insert(id(&answer));
                        }
                        if until(&answer).is_break() {
                            over.store(true, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
    }

    /// Sends so many events, one after the other, of which each is accepted.
    pub fn send(&mut self, operator: &Operator, count: usize) {
        for _ in 0..count {
            let answer = trigger(&operator.url()).unwrap();
            assert_eq!(answer.status, 202, "{answer:?}; the log: {:#?}", operator.log());
            self.0.insert(id(&answer));
        }
    }

    /// Waits until the listener has had all of them, in the order in which they are in the store;
    /// returns in which order they came.
    pub fn await_all(&self, machine: &Machine, operator: &Operator) -> Vec<String> {
        let mut missing = self.0.clone();
        let mut came = Vec::new();
        let begun = Instant::now();
        while !missing.is_empty() {
            for id in machine.received() {
                missing.remove(&id);
                came.push(id);
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{} of {} are lost: {missing:?}; the log: {:#?}",
                missing.len(),
                self.0.len(),
                operator.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
        came
    }

    /// Waits until an event is accepted: the operator takes events again.
    pub fn await_accepted(&mut self, operator: &Operator) {
        let answer = eventually("an event to be accepted", || {
            trigger(&operator.url()).ok().filter(|answer| answer.status == 202)
        });
        self.0.insert(id(&answer));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// One trigger; an error when the operator is gone before it has answered.
pub fn trigger(url: &str) -> io::Result<Response> {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let pad = if number.is_multiple_of(LARGE) { LARGE_BYTES } else { 300 };
    let body = format!(r#"{{"number":{number},"pad":"{}"}}"#, "x".repeat(pad));
    let (host, path) = split(url);
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    read_response(&mut stream)
}

fn id(answer: &Response) -> String {
    answer.json()["id"].as_str().expect("an id").to_owned()
}
