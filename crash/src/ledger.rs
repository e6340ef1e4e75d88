//! What was promised and what came: every answer and every call is noted here, and held against each
//! other at the end. Pure.

use std::collections::HashMap;

use uuid::Uuid;

use crate::load::WEBHOOKS;

/// More problems than anybody reads.
const MAX_PROBLEMS: usize = 50;

/// What was promised and what came.
#[derive(Debug, Default)]
pub struct Ledger {
    events: HashMap<Uuid, Event>,
    /// The event of each number, by webhook: one event for each.
    numbers: HashMap<(usize, u64), Uuid>,
    /// The highest number that came first, by webhook.
    latest: [u64; WEBHOOKS.len()],
    /// Answers, by webhook.
    pub answers: [Answers; WEBHOOKS.len()],
    problems: Vec<String>,
}

/// What was answered to the senders of a webhook.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answers {
    /// 202.
    pub accepted: u64,
    /// 200: the event had been accepted before.
    pub duplicates: u64,
    /// 429 and 503.
    pub refused: u64,
    /// There was no answer: nothing is promised.
    pub none: u64,
}

/// An event that was accepted or that came.
#[derive(Clone, Copy, Debug)]
struct Event {
    webhook: usize,
    number: u64,
    promised: bool,
    received: bool,
    /// How often the listener answered 2xx, in time.
    delivered: u64,
}

/// What became of a webhook's events in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Events that were promised.
    pub promised: u64,
    /// Those of them that the listener took.
    pub delivered: u64,
    /// Those that are dead with a reason, and were not taken.
    pub dead: u64,
    /// Those that are neither.
    pub missing: u64,
    /// Events that the listener took though no answer promised it.
    pub unpromised: u64,
    /// Calls of events that the listener had taken already.
    pub again: u64,
}

/// Events that are dead, and why.
pub type Dead = HashMap<Uuid, String>;

impl Ledger {
    /// An id was answered for an event: from now on it is promised.
    pub fn promise(&mut self, webhook: usize, number: u64, id: Uuid) {
        self.event(webhook, number, id).promised = true;
    }

    /// A call came, whole or not.
    pub fn receive(&mut self, webhook: usize, number: u64, id: Uuid) {
        let event = self.event(webhook, number, id);
        if std::mem::replace(&mut event.received, true) || !WEBHOOKS[webhook].fifo {
            return;
        }
        let latest = self.latest[webhook];
        if number <= latest {
            let name = WEBHOOKS[webhook].name;
            self.problem(format!(
                "{name}: {id}, number {number}, came first after number {latest}"
            ));
        }
        self.latest[webhook] = number.max(latest);
    }

    /// The listener answers 2xx to it.
    pub fn deliver(&mut self, id: Uuid) {
        if let Some(event) = self.events.get_mut(&id) {
            event.delivered += 1;
        }
    }

    /// Something that must not be.
    pub fn problem(&mut self, text: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(text);
        }
    }

    /// What must not be.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// How often the listener took anything: it grows as long as something moves.
    pub fn deliveries(&self) -> u64 {
        self.events.values().map(|event| event.delivered).sum()
    }

    /// What was promised, and is neither delivered nor dead: what is missing, in the end.
    pub fn missing(&self, dead: &Dead) -> Vec<(Uuid, &'static str, u64)> {
        let missing = self.events.iter().filter(|(id, event)| event.is_missing(id, dead));
        missing.map(|(id, event)| (*id, WEBHOOKS[event.webhook].name, event.number)).collect()
    }

    /// What became of a webhook's events.
    pub fn outcome(&self, webhook: usize, dead: &Dead) -> Outcome {
        let mut outcome = Outcome::default();
        for (id, event) in self.events.iter().filter(|(_, event)| event.webhook == webhook) {
            let delivered = u64::from(event.delivered > 0);
            outcome.again += event.delivered - delivered;
            if event.promised {
                let missing = u64::from(event.is_missing(id, dead));
                outcome.promised += 1;
                outcome.delivered += delivered;
                outcome.missing += missing;
                outcome.dead += 1 - delivered - missing;
            } else {
                outcome.unpromised += delivered;
            }
        }
        outcome
    }

    fn event(&mut self, webhook: usize, number: u64, id: Uuid) -> &mut Event {
        let first = *self.numbers.entry((webhook, number)).or_insert(id);
        if first != id {
            let name = WEBHOOKS[webhook].name;
            self.problem(format!("{name}: number {number} is two events, {first} and {id}"));
        }
        self.events.entry(id).or_insert(Event {
            webhook,
            number,
            promised: false,
            received: false,
            delivered: 0,
        })
    }
}

impl Event {
    fn is_missing(&self, id: &Uuid, dead: &Dead) -> bool {
        self.promised && self.delivered == 0 && dead.get(id).is_none_or(String::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARALLEL: usize = 0;
    const FIFO: usize = 3;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn what_was_promised_is_missing_until_it_is_delivered_or_dead_with_a_reason() {
        let mut ledger = Ledger::default();
        for number in 1..=4 {
            ledger.promise(PARALLEL, number, id(number.into()));
            ledger.receive(PARALLEL, number, id(number.into()));
        }
        ledger.deliver(id(1));
        ledger.deliver(id(1));
        ledger.receive(PARALLEL, 5, id(5));
        ledger.deliver(id(5));
        let dead = Dead::from([(id(2), "Rejected".into()), (id(3), String::new())]);
        let mut missing = ledger.missing(&dead);
        missing.sort();
        assert_eq!(missing, [(id(3), "parallel-a", 3), (id(4), "parallel-a", 4)]);
        let outcome =
            Outcome { promised: 4, delivered: 1, dead: 1, missing: 2, unpromised: 1, again: 1 };
        assert_eq!(ledger.outcome(PARALLEL, &dead), outcome);
        assert_eq!(ledger.outcome(FIFO, &dead), Outcome::default());
        assert_eq!(ledger.problems(), [""; 0]);
    }

    #[test]
    fn of_a_webhook_that_keeps_the_order_only_first_receipts_count_for_it() {
        let mut ledger = Ledger::default();
        for number in [1, 3, 1, 4] {
            ledger.receive(FIFO, number, id(number.into()));
            ledger.receive(PARALLEL, 10 - number, id(u128::from(number) + 100));
        }
        assert_eq!(ledger.problems(), [""; 0]);
        ledger.receive(FIFO, 2, id(2));
        assert_eq!(ledger.problems().len(), 1, "{:?}", ledger.problems());
    }

    #[test]
    fn two_ids_of_one_number_are_a_problem() {
        let mut ledger = Ledger::default();
        ledger.promise(PARALLEL, 1, id(1));
        ledger.receive(PARALLEL, 1, id(2));
        assert_eq!(ledger.problems().len(), 1, "{:?}", ledger.problems());
    }
}
