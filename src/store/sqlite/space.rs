//! How much room the file takes and leaves.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// What is always left on the disk, so that attempts can be recorded when no event is taken any more: so
/// many bytes, or this part of a small disk.
const RESERVE_BYTES: u64 = 64 << 20;
const RESERVE_PART: u64 = 20;

/// After so many pages in the log they are moved to the file, or sooner on a small disk: the log, and what
/// it makes the file grow by, have to fit in the reserve.
const CHECKPOINT_PAGES: u64 = 4000;
const PAGE_BYTES: u64 = 4096;

/// Where the room is.
#[derive(Clone, Debug)]
pub struct Space {
    /// The folder of the files.
    pub folder: PathBuf,
    /// The most bytes that may be in use.
    pub max_bytes: u64,
    /// The bytes that are always left on the disk.
    pub reserve: u64,
}

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Enough.
    Enough,
    /// What has ended must make room.
    Scarce,
    /// None for further events.
    None,
}

/// What the file takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in use: the pages of the file but for the free ones. The log comes on top: it is some
    /// mebibytes, whatever the file holds.
    pub used: u64,
    /// Bytes of free pages: the file keeps them, and uses them again.
    pub reusable: u64,
}

impl Space {
    /// The room of a folder.
    pub fn new(folder: PathBuf, max_bytes: u64) -> Self {
        let part = disk(&folder).map_or(RESERVE_BYTES, |disk| disk.total / RESERVE_PART);
        Self { folder, max_bytes, reserve: part.min(RESERVE_BYTES) }
    }

    /// How many pages the log of a database may have.
    pub fn checkpoint_pages(&self) -> u64 {
        (self.reserve / 3 / PAGE_BYTES).clamp(1, CHECKPOINT_PAGES)
    }

    /// What the file takes now.
    pub fn usage(&self, db: &Connection) -> rusqlite::Result<Usage> {
        let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
        let page = u64::from(number("page_size")?);
        let free = u64::from(number("freelist_count")?);
        let pages = u64::from(number("page_count")?).saturating_sub(free);
        Ok(Usage { used: pages * page, reusable: free * page })
    }

    /// How much room is left.
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

/// Scarce are the last `margin` bytes before the end.
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
    // What root alone may use is not ours.
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
