//! Files that are not as the operator left them: it goes on where it can, and says one clear line and
//! ends where it cannot.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::load::{Promised, trigger};
use crate::shim::{Machine, probe};
use crate::support::listener::Behaviour;
use crate::support::operator::{Operator, eventually, on_free_ports};

const PAGE: u64 = 4096;

/// A machine whose operator has ended, with events that nobody took.
fn with_a_backlog(events: usize) -> (Machine, Promised) {
    let (machine, mut promised) = (Machine::new("Parallel"), Promised::default());
    machine.listener.behave(Behaviour::Answer("503 Service Unavailable"));
    let operator = machine.start();
    promised.send(&operator, events);
    operator.kill();
    machine.listener.behave(Behaviour::Answer("200 OK"));
    machine.received();
    (machine, promised)
}

/// Moves what is in the log into the database, as an orderly end does.
fn checkpoint(machine: &Machine) {
    let database = Connection::open(machine.database()).unwrap();
    database.pragma_update(None, "wal_checkpoint", "TRUNCATE").unwrap();
}

fn wal(machine: &Machine) -> PathBuf {
    machine.queue().join("queue.sqlite3-wal")
}

/// Asserts that a start ends as a command that cannot do what it is asked to.
fn assert_refused(machine: &Machine, words: &[&str]) {
    let output = on_free_ports(&mut machine.plain_command()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
}

#[test]
fn a_log_that_was_cut_off_is_read_as_far_as_it_goes() {
    let (machine, _) = with_a_backlog(20);
    let whole = fs::read(wal(&machine)).unwrap();
    let database = fs::read(machine.database()).unwrap();
    for part in [0, 20, 32, 5_000, whole.len() / 3, whole.len() - 1_000] {
        eprintln!("{part} of {} bytes", whole.len());
        let _ = fs::remove_file(machine.queue().join("queue.sqlite3-shm"));
        fs::write(machine.database(), &database).unwrap();
        fs::write(wal(&machine), &whole[..part]).unwrap();
        let (operator, mut promised) = (machine.start(), Promised::default());
        promised.send(&operator, 1);
        promised.await_all(&machine, &operator);
        operator.kill();
    }
}

#[test]
fn a_corrupt_page_ends_the_store_with_a_clear_line_and_nothing_is_promised_on_it() {
    let (machine, _) = with_a_backlog(200);
    checkpoint(&machine);
    let database = OpenOptions::new().write(true).open(machine.database()).unwrap();
    let pages = database.metadata().unwrap().len() / PAGE;
    // Pages of all tables and indexes; the schema on the first one is left.
    for page in 2..pages {
        database.write_all_at(&[0xa5; 1024], page * PAGE + 8).unwrap();
    }
    let mut operator = Operator::spawn(machine.plain_command());
    if operator.is_ready() {
        assert_ne!(trigger(&operator.url()).unwrap().status, 202);
        eventually("the store to fail", || (probe(&operator, "/readyz").0 == 503).then_some(()));
        assert!(probe(&operator, "/livez").1.contains("the store failed"));
    } else {
        assert_eq!(operator.wait().code(), Some(2), "{:#?}", operator.log());
    }
    operator.await_log(&["malformed"]);
    let said = operator.log();
    assert!(said.len() < 50, "{said:#?}");
}

#[test]
fn what_is_no_database_or_of_something_else_is_refused_and_left_alone() {
    let machine = Machine::new("Parallel");
    fs::create_dir(machine.queue()).unwrap();
    let garbage: Vec<u8> = (0..100_000u32).map(|n| ((n * 7919) >> 8) as u8).collect();
    fs::write(machine.database(), &garbage).unwrap();
    assert_refused(&machine, &["queue.sqlite3", "not a database"]);
    assert_eq!(fs::read(machine.database()).unwrap(), garbage);

    fs::remove_file(machine.database()).unwrap();
    let other = Connection::open(machine.database()).unwrap();
    other.execute_batch("CREATE TABLE mine (a); INSERT INTO mine VALUES (1)").unwrap();
    drop(other);
    assert_refused(&machine, &["queue.sqlite3"]);
    let other = Connection::open(machine.database()).unwrap();
    let tables: i64 =
        other.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).unwrap();
    assert_eq!(tables, 1);
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let (machine, promised) = with_a_backlog(5);
    let version = |number: i32| {
        let database = Connection::open(machine.database()).unwrap();
        database.pragma_update(None, "user_version", number).unwrap();
    };
    let present: i32 = Connection::open(machine.database())
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    version(999);
    assert_refused(&machine, &["queue", "newer", "999"]);
    version(present);
    promised.await_all(&machine, &machine.start());
}

#[test]
fn a_second_operator_on_the_same_folder_is_refused() {
    let machine = Machine::new("Parallel");
    let _first = machine.start();
    assert_refused(&machine, &["another process"]);
}
