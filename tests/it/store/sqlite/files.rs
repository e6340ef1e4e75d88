//! What is found in a folder, and what is refused.

use rusqlite::Connection;
use webhook_operator::store::sqlite::{OpenError, Sqlite};

use super::World;
use crate::store::world::NOW;

fn open(world: &World) -> Result<Sqlite, OpenError> {
    Sqlite::open(&world.engine.options(&world.settings), || NOW)
}

#[tokio::test]
async fn two_processes_do_not_use_one_folder() {
    let world = World::new();
    assert!(matches!(open(&world), Err(OpenError::InUse)));
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_stays_as_it_is() {
    let World { engine, settings, store, .. } = World::new();
    drop(store);
    let options = engine.options(&settings);
    let file = options.folder.join("queue.sqlite3");
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let refused = loop {
        match Sqlite::open(&options, || NOW) {
            Err(OpenError::InUse) => std::thread::yield_now(),
            other => break other.map(drop),
        }
    };
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("newer version") && error.contains("999"), "{error}");
}

#[test]
fn what_is_no_queue_of_ours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = |name: &str| webhook_operator::store::sqlite::Options {
        folder: folder.path().join(name),
        retention: std::time::Duration::from_secs(1),
        max_bytes: 1 << 30,
    };
    let other = options("other");
    std::fs::create_dir_all(&other.folder).unwrap();
    let db = Connection::open(other.folder.join("queue.sqlite3")).unwrap();
    db.execute_batch("CREATE TABLE things (a)").unwrap();
    drop(db);
    assert!(matches!(Sqlite::open(&other, || NOW), Err(OpenError::Foreign)));
    let rubbish = options("rubbish");
    std::fs::create_dir_all(&rubbish.folder).unwrap();
    std::fs::write(rubbish.folder.join("queue.sqlite3"), [7; 5000]).unwrap();
    let error = Sqlite::open(&rubbish, || NOW).unwrap_err().to_string();
    assert!(error.contains("not a database"), "{error}");
}
