//! The disk answers with errors: the store that saw one promises nothing any more, says so, and a
//! restart recovers.

use std::ops::ControlFlow;

use crate::load::{Promised, trigger};
use crate::shim::{Machine, probe};
use crate::support::listener::Behaviour;
use crate::support::operator::{Operator, eventually, on_free_ports};

/// Asserts that nothing is promised, that probes and log say why, and that the process has not ended.
fn assert_failed(operator: &mut Operator) {
    for _ in 0..5 {
        let answer = trigger(&operator.url()).unwrap();
        assert_eq!((answer.status, answer.reason().as_str()), (503, "store_failed"), "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    for path in ["/readyz", "/livez"] {
        let (status, says) = probe(operator, path);
        assert_eq!(status, 503, "{path}: {says}");
        assert!(says.contains("the store failed"), "{path}: {says}");
    }
    operator.await_log(&["ERROR", "the store failed"]);
    assert!(!operator.has_ended());
    let about_it = operator.log().iter().filter(|line| line.contains("the store failed")).count();
    assert!(about_it < 20, "it says so again and again: {:#?}", operator.log());
}

/// The store meets a plan's fault under load; what it answered 202 comes after a restart.
fn fails_and_recovers(plan: &str) {
    let (machine, mut promised) = (Machine::new("Parallel"), Promised::default());
    let mut operator = machine.start();
    promised.send(&operator, 3);
    machine.fail(plan);
    promised.flood(&operator, 4, |answer| match answer.status {
        202 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    });
    operator.await_log(&["faults: "]);
    // A disk that works again does not make it whole: what is in the file is not known.
    machine.fail("none");
    assert_failed(&mut operator);
    operator.kill();
    let operator = machine.start();
    promised.send(&operator, 1);
    promised.await_all(&machine, &operator);
}

#[test]
fn after_a_sync_that_failed_nothing_is_promised_until_a_restart() {
    for (nth, seed) in [(1, 0), (1, 1), (2, 2), (3, 3), (9, 4), (14, 5)] {
        eprintln!("sync {nth}, seed {seed}");
        fails_and_recovers(&format!("eio-sync {nth} {seed}"));
    }
}

#[test]
fn after_a_write_that_failed_nothing_is_promised_until_a_restart() {
    for nth in [1, 6, 23] {
        eprintln!("write {nth}");
        fails_and_recovers(&format!("eio-write {nth}"));
    }
}

#[test]
fn a_disk_that_does_not_read_is_one_clear_line_at_the_start() {
    let machine = Machine::new("Parallel");
    machine.start().kill();
    machine.fail("eio-read 1");
    let output = on_free_ports(&mut machine.command()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let lines: Vec<_> = said.lines().filter(|line| !line.starts_with("faults: ")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].contains("queue"), "{said}");
}

#[test]
fn a_disk_that_ceases_to_read_is_the_end_of_the_store_and_not_of_what_it_holds() {
    let (machine, mut promised) = (Machine::new("Parallel"), Promised::default());
    let mut operator = machine.start();
    machine.listener.behave(Behaviour::Answer("503 Service Unavailable"));
    promised.send(&operator, 40);
    machine.fail("eio-read 1");
    eventually("the store to fail", || {
        // A list is read from the file, as it has changed since.
        promised.flood(&operator, 1, |_| ControlFlow::Break(()));
        probe(&operator, "/api/deliveries");
        (probe(&operator, "/readyz").0 == 503).then_some(())
    });
    assert_failed(&mut operator);
    operator.kill();
    machine.fail("none");
    machine.listener.behave(Behaviour::Answer("200 OK"));
    promised.await_all(&machine, &machine.start());
}

#[test]
fn reads_and_writes_that_do_half_of_what_they_are_asked_for_are_no_faults() {
    let (machine, mut promised) = (Machine::new("Fifo"), Promised::default());
    machine.fail("short 1");
    let operator = machine.start();
    promised.send(&operator, 20);
    promised.await_all(&machine, &operator);
    operator.kill();
    let (operator, mut promised) = (machine.start(), Promised::default());
    promised.send(&operator, 1);
    promised.await_all(&machine, &operator);
}
