//! The senders: each posts the events of one webhook, one after the other, and notes every answer.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use bench_kit::http::{Client, Headers};
use bytes::Bytes;
use hyper::StatusCode;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::sleep;
use uuid::Uuid;

use crate::ledger::Ledger;
use crate::load::{self, KEY_HEADER, WEBHOOKS};

/// Before another try where the operator takes nothing right now.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// Where the operator is to be found, as long as it serves. A new process is a new one.
pub type Target = Option<(u32, Rc<str>)>;

/// What all senders share.
pub struct Shared {
    pub ledger: Rc<RefCell<Ledger>>,
    /// The `HOST:PORT` of the running operator, and the number of its process.
    pub target: watch::Receiver<Target>,
    /// True once nothing more is to be sent.
    pub stop: watch::Receiver<bool>,
}

/// Sends to a webhook until it is told to stop. `lane` tells the senders of a webhook apart: each has
/// numbers of its own, unless events are sent more than once; then all of them send all.
pub async fn send(webhook: usize, lane: usize, shared: &Shared) {
    let (lane, lanes) =
        if WEBHOOKS[webhook].repeated { (0, 1) } else { (lane, WEBHOOKS[webhook].senders) };
    let mut sender = Sender { webhook, shared, connection: None, times: 1 };
    let mut number = lane as u64 + 1;
    while !sender.stopped() {
        if sender.settle(number).await.is_some() {
            number += lanes as u64;
        }
    }
}

struct Sender<'a> {
    webhook: usize,
    shared: &'a Shared,
    /// To the process of this number.
    connection: Option<(u32, Client)>,
    /// How often the next event is sent that is sent more than once.
    times: u32,
}

#[derive(Deserialize)]
struct Answer {
    id: Uuid,
    #[serde(default)]
    duplicate: bool,
}

impl Sender<'_> {
    fn stopped(&self) -> bool {
        *self.shared.stop.borrow()
    }

    /// Sends an event; again and again, where it is one of those. `None` when it is to be sent again.
    async fn settle(&mut self, number: u64) -> Option<()> {
        let webhook = &WEBHOOKS[self.webhook];
        let answered = self.post(number).await?;
        sleep(webhook.pause).await;
        if !webhook.repeated {
            return Some(());
        }
        // It is named: what had no answer is sent again, and what had one is too, now and then.
        self.times += 1;
        let enough = answered && (self.times > 3 || fastrand::bool());
        if enough {
            self.times = 1;
        }
        enough.then_some(())
    }

    /// Whether there was an answer that decides; `None` when the operator did not take it.
    async fn post(&mut self, number: u64) -> Option<bool> {
        let process = self.connect().await?;
        let path = load::trigger_path(self.webhook);
        let headers: Headers = vec![(KEY_HEADER, format!("{}-{number}", self.webhook))];
        let (_, client) = self.connection.as_mut()?;
        let answer = client.post_with(&path, &headers, load::event(self.webhook, number)).await;
        match answer {
            Ok((status, body)) => self.answered(number, status, &body).await.map(|()| true),
            Err(_) => {
                self.count().none += 1;
                self.await_end_of(process).await;
                Some(false)
            }
        }
    }

    /// Waits until an operator serves, and says which.
    async fn connect(&mut self) -> Option<u32> {
        let (mut target, mut stop) = (self.shared.target.clone(), self.shared.stop.clone());
        let (process, authority) = tokio::select! {
            found = target.wait_for(Option::is_some) => found.ok()?.clone()?,
            _ = stop.wait_for(|stop| *stop) => return None,
        };
        if self.connection.as_ref().is_none_or(|(known, _)| *known != process) {
            self.connection = Some((process, Client::new(&authority)));
        }
        Some(process)
    }

    /// After an error it is not known whether the event was stored: while that process lives it may
    /// still be, and what is sent next would not be after it.
    async fn await_end_of(&mut self, process: u32) {
        self.connection = None;
        let (mut target, mut stop) = (self.shared.target.clone(), self.shared.stop.clone());
        let is_another = |now: &Target| now.as_ref().is_none_or(|(number, _)| *number != process);
        tokio::select! {
            _ = target.wait_for(is_another) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn answered(&mut self, number: u64, status: StatusCode, body: &Bytes) -> Option<()> {
        match status {
            StatusCode::ACCEPTED | StatusCode::OK => self.promised(number, status, body),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                self.count().refused += 1;
                sleep(REFUSED_PAUSE).await;
                return None;
            }
            other => self.wrong(number, other, body),
        }
        Some(())
    }

    fn promised(&mut self, number: u64, status: StatusCode, body: &Bytes) {
        let answer: Result<Answer, _> = serde_json::from_slice(body);
        match answer {
            Ok(answer) if answer.duplicate == (status == StatusCode::OK) => {
                let mut count = self.count();
                if answer.duplicate {
                    count.duplicates += 1
                } else {
                    count.accepted += 1
                }
                drop(count);
                self.shared.ledger.borrow_mut().promise(self.webhook, number, answer.id);
            }
            _ => self.wrong(number, status, body),
        }
    }

    fn wrong(&self, number: u64, status: StatusCode, body: &Bytes) {
        let (name, body) = (WEBHOOKS[self.webhook].name, String::from_utf8_lossy(body));
        let text = format!("{name}: number {number} was answered {status}: {body:.200}");
        self.shared.ledger.borrow_mut().problem(text);
    }

    fn count(&self) -> std::cell::RefMut<'_, crate::ledger::Answers> {
        let webhook = self.webhook;
        std::cell::RefMut::map(self.shared.ledger.borrow_mut(), |l| &mut l.answers[webhook])
    }
}
