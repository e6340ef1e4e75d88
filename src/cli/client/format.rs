//! How something is printed: for people, or for programs.

use clap::ValueEnum;
use serde::Serialize;

use crate::cli::output;

/// How something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For programs, and people too.
    Yaml,
}

impl Format {
    /// Prints a value; `table` writes it for people.
    ///
    /// # Errors
    /// When the value has no such form.
    pub fn print(
        self,
        value: &impl Serialize,
        table: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        let text = match self {
            Self::Table => table(),
            Self::Json => serde_json::to_string_pretty(value)?,
            Self::Yaml => serde_saphyr::to_string(value)?,
        };
        output::line(text.trim_end());
        Ok(())
    }
}
