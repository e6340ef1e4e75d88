//! Whether the server keeps what it has acknowledged.

use tokio_postgres::Client;

use super::failure::DatabaseFailure;

/// The settings that decide about it.
const SETTINGS: &str = "SELECT current_setting('fsync'), current_setting('synchronous_commit'),
    current_setting('full_page_writes'), current_setting('transaction_read_only'),
    current_setting('synchronous_standby_names') <> ''";

/// Why a server is refused that does not keep what it has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDurable {
    /// A crash of the server's machine loses data.
    #[error("the server has fsync off: it may lose what it has acknowledged")]
    Fsync,
    /// A crash of the server's machine damages data.
    #[error("the server has full_page_writes off: a crash of its machine may damage data")]
    FullPageWrites,
    /// A crash of the server loses the last acknowledged writes.
    #[error("synchronous_commit must be on or remote_apply: commits are acknowledged too early")]
    SynchronousCommit,
}

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct DurabilitySettings {
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
    /// Whether it rejects writes.
    pub is_read_only: bool,
    /// Whether a commit waits for a standby.
    pub has_standby: bool,
}

impl DurabilitySettings {
    /// Reads the settings.
    pub async fn read(client: &Client) -> Result<Self, DatabaseFailure> {
        let row = client.query_one(SETTINGS, &[]).await?;
        Ok(Self {
            fsync: row.get(0),
            synchronous_commit: row.get(1),
            full_page_writes: row.get(2),
            is_read_only: row.get::<_, &str>(3) == "on",
            has_standby: row.get(4),
        })
    }

    /// Why the server is refused, if it is.
    pub fn refused(&self) -> Option<NotDurable> {
        if self.fsync != "on" {
            return Some(NotDurable::Fsync);
        }
        if self.full_page_writes != "on" {
            return Some(NotDurable::FullPageWrites);
        }
        let is_early = !matches!(&*self.synchronous_commit, "on" | "remote_apply");
        is_early.then_some(NotDurable::SynchronousCommit)
    }

    /// Fails if the server does not accept writes, or does not keep them. A server that takes over
    /// may have other settings than the one before.
    pub fn check(&self, requires_standby: bool) -> Result<(), DatabaseFailure> {
        if let Some(refused) = self.refused() {
            return Err(DatabaseFailure::unavailable(refused.to_string()));
        }
        if self.is_read_only {
            return Err(DatabaseFailure::unavailable("the database is read-only"));
        }
        if requires_standby && !self.has_standby {
            return Err(DatabaseFailure::unavailable("the database has no synchronous standby"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_acknowledges_too_early_is_refused() {
        let durability = |fsync: &str, full_page_writes: &str, synchronous_commit: &str| {
            let [fsync, full_page_writes, synchronous_commit] =
                [fsync, full_page_writes, synchronous_commit].map(String::from);
            let (is_read_only, has_standby) = (false, false);
            let settings = DurabilitySettings {
                fsync,
                full_page_writes,
                synchronous_commit,
                is_read_only,
                has_standby,
            };
            settings.refused()
        };
        assert_eq!(durability("on", "on", "on"), None);
        assert_eq!(durability("on", "on", "remote_apply"), None);
        assert_eq!(durability("off", "on", "on"), Some(NotDurable::Fsync));
        assert_eq!(durability("on", "off", "on"), Some(NotDurable::FullPageWrites));
        for early in ["off", "local", "remote_write"] {
            assert_eq!(
                durability("on", "on", early),
                Some(NotDurable::SynchronousCommit),
                "{early}"
            );
        }
    }
}
