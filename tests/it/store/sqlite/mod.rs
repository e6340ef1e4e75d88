//! What is the own of the embedded engine: its file, its earlier schemas, damage, and space.

mod files;
mod quota;
mod schema;
mod space;
mod unreadable;

use std::fs::File;
use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;
use webhook_operator::store::Store;
use webhook_operator::store::sqlite::{OpenError, Options, Sqlite};

use crate::store::engine::{Engine, Settings, TestClock};

/// A store in a folder of its own.
pub type World = crate::store::world::World<SqliteEngine>;

/// The embedded engine, and the folder of its file.
pub struct SqliteEngine(TempDir);

impl Default for SqliteEngine {
    fn default() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl SqliteEngine {
    pub fn options(&self, settings: &Settings) -> Options {
        let Settings { retention, max_bytes } = *settings;
        Options { folder: self.0.path().join("queue"), retention, max_bytes }
    }

    /// The file, once nobody has it open any more.
    fn file(&self) -> Connection {
        let folder = self.0.path().join("queue");
        File::open(folder.join("lock")).unwrap().lock().unwrap();
        Connection::open(folder.join("queue.sqlite3")).unwrap()
    }
}

impl Engine for SqliteEngine {
    fn open(&mut self, settings: &Settings, clock: &TestClock) -> Arc<dyn Store> {
        let options = self.options(settings);
        // The writing thread ends when it sees that nobody is left.
        loop {
            let clock = clock.clone();
            match Sqlite::open(&options, move || clock.now()) {
                Ok(store) => break Arc::new(store),
                Err(OpenError::InUse) => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn stored_rows(&mut self) -> [i64; 3] {
        let file = self.file();
        ["webhook", "tally", "app"].map(|table| {
            let sql = format!("SELECT count(*) FROM {table}");
            file.query_row(&sql, (), |row| row.get(0)).unwrap()
        })
    }
}

impl World {
    /// With as much room as wanted.
    pub fn new() -> Self {
        Self::of(SqliteEngine::default())
    }

    /// With other settings.
    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        Self::with_settings(SqliteEngine::default(), settings)
    }

    /// The same folder, opened again after its file was changed.
    pub fn restart_with(self, change: impl FnOnce(&Connection)) -> Self {
        self.restart_after(|engine| change(&engine.file()))
    }
}
