//! What is found in a folder, and what is refused.

use rusqlite::Connection;
use webhook_operator::moment::Moment;
use webhook_operator::store::sqlite::{OpenError, Sqlite};
use webhook_operator::store::{Next, Store};

use super::world::{NOW, TO_VERSION_2, World, attempted};

fn open(world: &World) -> Result<Sqlite, OpenError> {
    Sqlite::open(&world.options, || NOW)
}

#[tokio::test]
async fn two_processes_do_not_use_one_folder() {
    let world = World::new();
    assert!(matches!(open(&world), Err(OpenError::InUse)));
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_stays_as_it_is() {
    let World { folder, options, store, app: _ } = World::new();
    drop(store);
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
    drop(folder);
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

#[tokio::test]
async fn what_was_undelivered_is_told_of_when_a_store_is_opened() {
    let world = World::new();
    world.accept("a").await;
    world.accept("fifo").await;
    world.accept("fifo").await;
    let world = world.restart();
    assert_eq!(world.due_apps().await, [(world.app, Moment(0))]);
    let figures = world.store.figures();
    assert_eq!(figures.undelivered, [(world.app, 3)]);
    assert_eq!(figures.oldest, [(world.app, NOW)]);
}

#[tokio::test]
async fn what_succeeded_before_it_was_counted_is_counted_when_a_file_is_brought_up_to_date() {
    let world = World::new();
    world.accept("a").await;
    let leased = world.take_one(NOW).await;
    world.store.settle(leased.lease, attempted(1), Next::Succeeded).await.unwrap();
    let before = world.store.tallies().await.unwrap();
    let world = world.restart_with(|db| {
        db.execute_batch(TO_VERSION_2).unwrap();
        db.execute_batch("DROP TABLE tally; PRAGMA user_version = 1").unwrap();
    });
    let after = world.store.tallies().await.unwrap();
    assert_eq!(after, before);
    assert_eq!((after[0].1.succeeded, after[0].1.pending), (1, 0));
    assert_eq!(after[0].1.last, Some(NOW + std::time::Duration::from_millis(1)));
}
