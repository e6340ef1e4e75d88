//! The disk is full: triggers are refused with a time to come back, nothing that was promised is lost,
//! and the store goes on by itself when there is room again.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::load::{Promised, trigger};
use crate::shim::{Machine, probe};
use crate::support::http::Response;
use crate::support::operator::{Operator, eventually};

fn until_refused(answer: &Response) -> ControlFlow<()> {
    match answer.status {
        202 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}

/// Asserts that a trigger is refused for want of room.
fn assert_full(answer: &Response) {
    assert_eq!((answer.status, answer.reason().as_str()), (503, "store_full"), "{answer:?}");
    let wait: u64 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=300).contains(&wait), "{wait}");
}

fn fill(promised: &mut Promised, operator: &Operator) {
    promised.flood(operator, 4, until_refused);
    let refused = eventually("a trigger to be refused", || {
        trigger(&operator.url()).ok().filter(|answer| answer.status != 202)
    });
    assert_full(&refused);
    assert_eq!(probe(operator, "/livez").0, 200, "a full store is no reason for a restart");
    operator.await_log(&["the store is full"]);
}

#[test]
fn a_write_that_finds_no_room_is_refused_with_retry_after_and_room_is_all_it_takes_to_go_on() {
    let (machine, mut promised) = (Machine::new("Parallel"), Promised::default());
    let mut operator = machine.start();
    promised.send(&operator, 3);
    for bytes in [0, 100_000, 1_000_000] {
        eprintln!("room for {bytes} bytes");
        machine.fail(&format!("enospc {bytes}"));
        fill(&mut promised, &operator);
        machine.fail("none");
        promised.await_accepted(&operator);
    }
    assert!(!operator.has_ended());
    promised.await_all(&machine, &operator);
}

/// An operator whose data dir is a small file system of its own, in a mount namespace of its own.
fn on_a_small_disk(machine: &Machine, megabytes: u32) -> Operator {
    let plain = machine.plain_command();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-euc"]);
    command.arg(r#"mount -t tmpfs -o "size=$1m" tmpfs "$2"; shift 2; exec "$@""#);
    command.arg("sh").arg(megabytes.to_string()).arg(machine.queue().parent().unwrap());
    command.arg(plain.get_program()).args(plain.get_args()).stdin(Stdio::null());
    let mut operator = Operator::spawn(command);
    operator.await_ready();
    operator
}

#[test]
fn a_file_system_that_others_fill_up_stops_triggers_until_they_make_room() {
    let (machine, mut promised) = (Machine::new("Parallel"), Promised::default());
    let mut operator = on_a_small_disk(&machine, 8);
    promised.send(&operator, 3);
    // What the process sees at that path, and nobody else.
    let within = PathBuf::from(format!("/proc/{}/root", operator.pid()));
    let queue = machine.queue();
    let ballast = within.join(queue.strip_prefix("/").unwrap()).join("../ballast");
    // A file system of 8 MiB: what is written fails when it is full.
    assert!(fs::write(&ballast, vec![0; 16 << 20]).is_err(), "the file system is not small");
    fill(&mut promised, &operator);
    fs::remove_file(&ballast).unwrap();
    promised.await_accepted(&operator);
    assert!(!operator.has_ended());
    promised.await_all(&machine, &operator);
}

#[test]
fn a_small_file_system_that_the_queue_itself_fills_up_delivers_what_it_took() {
    let (machine, mut promised) = (Machine::new("Parallel"), Promised::default());
    machine.listener.behave(crate::support::listener::Behaviour::Answer("503 Service Unavailable"));
    let operator = on_a_small_disk(&machine, 8);
    fill(&mut promised, &operator);
    machine.listener.behave(crate::support::listener::Behaviour::Answer("200 OK"));
    promised.await_all(&machine, &operator);
    // What was delivered makes room: it is kept only as long as nothing else wants it.
    promised.await_accepted(&operator);
}
