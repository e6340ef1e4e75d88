//! Disk usage of the database, and the free space for new events.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// Reserve on the disk, so that attempts can be recorded while new events are rejected: this many
/// bytes, or this fraction (1/n) of a small disk.
const RESERVE_BYTES: u64 = 64 << 20;
const RESERVE_FRACTION: u64 = 20;

/// Maximum pages of the write-ahead log before a checkpoint. Fewer on a small disk, as the log and
/// the growth of the file by the checkpoint must fit in the reserve.
const CHECKPOINT_PAGES: u64 = 4000;
const PAGE_BYTES: u64 = 4096;

/// The limits of a store's disk usage.
#[derive(Clone, Debug)]
pub struct Space {
    /// The data folder.
    pub folder: PathBuf,
    /// Maximum used bytes of the file.
    pub max_bytes: u64,
    /// Bytes of the disk that are kept free.
    pub reserve: u64,
}

/// How much space is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Enough space.
    Enough,
    /// Little space is left: finished deliveries are deleted early.
    Scarce,
    /// No space is left: new events are rejected.
    None,
}

/// Disk usage of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of used pages. Excludes the write-ahead log, whose size does not depend on the stored
    /// data.
    pub used: u64,
    /// Bytes of free pages, which SQLite reuses.
    pub reusable: u64,
}

impl Space {
    /// Determines the limits for a folder.
    pub fn new(folder: PathBuf, max_bytes: u64) -> Self {
        let fraction = disk(&folder).map_or(RESERVE_BYTES, |disk| disk.total / RESERVE_FRACTION);
        Self { folder, max_bytes, reserve: fraction.min(RESERVE_BYTES) }
    }

    /// Maximum pages of the write-ahead log before a checkpoint.
    pub fn checkpoint_pages(&self) -> u64 {
        (self.reserve / 3 / PAGE_BYTES).clamp(1, CHECKPOINT_PAGES)
    }

    /// Reads the current usage.
    pub fn usage(&self, db: &Connection) -> rusqlite::Result<Usage> {
        let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
        let page = u64::from(number("page_size")?);
        let free = u64::from(number("freelist_count")?);
        let pages = u64::from(number("page_count")?).saturating_sub(free);
        Ok(Usage { used: pages * page, reusable: free * page })
    }

    /// How much space is left, by the limit or on the disk, whichever is less.
    pub fn room(&self, usage: Usage) -> Room {
        let cap = room(usage.used, self.max_bytes, self.max_bytes / 10);
        let disk = disk(&self.folder).map_or(Room::Enough, |disk| {
            let free = disk.free + usage.reusable;
            let end = disk.total.saturating_sub(self.reserve);
            room(disk.total.saturating_sub(free), end, self.reserve)
        });
        cap.max(disk)
    }
}

/// Space is scarce within `margin` bytes below `end`.
fn room(used: u64, end: u64, margin: u64) -> Room {
    match used {
        used if used >= end => Room::None,
        used if used >= end - margin.min(end) => Room::Scarce,
        _ => Room::Enough,
    }
}

struct Disk {
    total: u64,
    free: u64,
}

fn disk(folder: &Path) -> io::Result<Disk> {
    let stat = rustix::fs::statvfs(folder)?;
    // Excludes the blocks that are reserved for root.
    let total = stat.f_frsize * (stat.f_blocks - stat.f_bfree + stat.f_bavail);
    Ok(Disk { total, free: stat.f_frsize * stat.f_bavail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_becomes_scarce_before_it_ends() {
        for (used, expected) in
            [(0, Room::Enough), (89, Room::Enough), (90, Room::Scarce), (100, Room::None)]
        {
            assert_eq!(room(used, 100, 10), expected, "{used}");
        }
        assert_eq!(room(0, 0, 10), Room::None);
        assert_eq!(room(3, 5, 10), Room::Scarce);
    }
}
