//! The power fails: what was not synced is lost, whole or in part, and nothing that was promised is.

use std::ops::ControlFlow;

use crate::load::Promised;
use crate::shim::Machine;
use crate::support::listener::Behaviour;
use crate::support::operator::Operator;

/// How many histories of a machine are tried.
const SEEDS: u64 = 12;
/// How often the power fails in each.
const LOSSES: u64 = 2;
/// Changes of files up to the loss: a fresh start takes about 20, an event under load about 4.
const CHANGES: std::ops::Range<u64> = 1..300;

/// An operator that may be dead before it serves, under load until it is.
fn until_the_power_fails(machine: &Machine, promised: &mut Promised, senders: usize) {
    let mut operator = Operator::spawn(machine.command());
    if operator.is_ready() {
        promised.flood(&operator, senders, |_| ControlFlow::Continue(()));
    }
    operator.wait();
    operator.await_log(&["faults: power loss"]);
}

#[test]
fn whenever_the_power_fails_everything_that_was_answered_202_is_there_after_a_restart() {
    let mut total = 0;
    for seed in 0..SEEDS {
        // What is sent at once has no order.
        let (ordering, senders) = if seed % 2 == 0 { ("Parallel", 4) } else { ("Fifo", 1) };
        let (machine, mut promised) = (Machine::new(ordering), Promised::default());
        let mut random = fastrand::Rng::with_seed(seed);
        for loss in 0..LOSSES {
            let plan = format!("power-loss {} {}", random.u64(CHANGES), seed * LOSSES + loss);
            machine.fail(&plan);
            eprintln!("seed {seed}: {plan}");
            until_the_power_fails(&machine, &mut promised, senders);
        }
        machine.fail("none");
        let operator = machine.start();
        let came = promised.await_all(&machine, &operator);
        total += promised.len();
        eprintln!("seed {seed}: {} promised, {} calls", promised.len(), came.len());
        if ordering == "Fifo" {
            assert!(first_calls(&came).is_sorted(), "seed {seed}: {came:?}");
        }
    }
    assert!(total > 100, "only {total} events were accepted: this shows nothing");
}

/// Ids ascend in the order of acceptance.
fn first_calls(came: &[String]) -> Vec<&String> {
    let mut seen = std::collections::BTreeSet::new();
    came.iter().filter(|id| seen.insert(*id)).collect()
}

#[test]
fn a_start_that_the_power_fails_in_again_and_again_takes_nothing_either() {
    let (machine, mut promised) = (Machine::new("Parallel"), Promised::default());
    machine.listener.behave(Behaviour::Answer("503 Service Unavailable"));
    let operator = machine.start();
    promised.send(&operator, 30);
    // Killed: the log of writes is there, and is read by the next start.
    operator.kill();
    machine.listener.behave(Behaviour::Answer("200 OK"));
    for (seed, changes) in [1, 1, 2, 3, 5, 8].into_iter().enumerate() {
        machine.fail(&format!("power-loss {changes} {seed}"));
        until_the_power_fails(&machine, &mut promised, 4);
    }
    machine.fail("none");
    promised.await_all(&machine, &machine.start());
}
