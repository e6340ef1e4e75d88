//! The time of day is set while the operator runs, and while it does not.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::load::Promised;
use crate::shim::Machine;
use crate::support::github::hmac_sha256;
use crate::support::http::request;
use crate::support::listener::Behaviour;
use crate::support::operator::{Operator, eventually};

const HOUR: &str = "3600";

/// Events that failed once wait for their next attempt.
fn waiting(machine: &Machine, promised: &mut Promised, operator: &Operator) {
    machine.listener.behave(Behaviour::Answer("500 Internal Server Error"));
    promised.send(operator, 3);
    machine.listener.call();
}

fn state_of_all(operator: &Operator, state: &str) -> usize {
    let url = format!("{}/api/deliveries?state={state}", operator.admin);
    request("GET", &url, &[], b"").json()["items"].as_array().unwrap().len()
}

#[test]
fn a_clock_that_is_set_delays_no_retry_and_gives_nothing_up() {
    for ordering in ["Parallel", "Fifo"] {
        for by in [format!("-{HOUR}"), HOUR.to_owned()] {
            let (machine, mut promised) = (Machine::new(ordering), Promised::default());
            let operator = machine.start();
            waiting(&machine, &mut promised, &operator);
            machine.fail(&format!("clock {by}"));
            // What comes later does not overtake in a Fifo webhook, and is not the only thing delivered in another.
            promised.send(&operator, 3);
            machine.listener.behave(Behaviour::Answer("200 OK"));
            let came = promised.await_all(&machine, &operator);
            if ordering == "Fifo" {
                let mut order: Vec<_> = came.iter().collect();
                order.dedup();
                assert!(order.is_sorted(), "{order:?}");
            }
            eventually("all to have succeeded", || {
                (state_of_all(&operator, "succeeded") == 6).then_some(())
            });
            operator.await_log(&["the system clock was set"]);
        }
    }
}

#[test]
fn a_clock_that_was_set_back_between_two_starts_delays_no_retry() {
    let (machine, mut promised) = (Machine::new("Parallel"), Promised::default());
    machine.fail(&format!("clock {HOUR}"));
    let operator = machine.start();
    waiting(&machine, &mut promised, &operator);
    operator.kill();
    machine.fail("none");
    let operator = machine.start();
    operator.await_log(&["the clock was set back since the queue was last used"]);
    machine.listener.behave(Behaviour::Answer("200 OK"));
    promised.await_all(&machine, &operator);
}

const SECRET: &str = "a secret of thirty-two characters";

/// The answer to an event that is signed as Stripe signs, dated so many seconds after the present.
fn signed(operator: &Operator, ahead: i64) -> u16 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let time = now.saturating_add_signed(ahead);
    let tag = hmac_sha256(SECRET, format!("{time}.{{}}"));
    let signature = format!("t={time},v1={tag}");
    let headers = [("content-type", "application/json"), ("stripe-signature", &*signature)];
    request("POST", &operator.url(), &headers, b"{}").status
}

#[test]
fn signatures_are_dated_by_the_clock_as_it_was_set_at_once() {
    let machine = Machine::verifying("Stripe", SECRET);
    let operator = machine.start();
    assert_eq!((signed(&operator, 0), signed(&operator, 3600)), (202, 401));
    machine.fail(&format!("clock {HOUR}"));
    assert_eq!((signed(&operator, 3600), signed(&operator, 0)), (202, 401));
}
