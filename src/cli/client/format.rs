//! Output formats.

use clap::ValueEnum;
use serde::Serialize;

use crate::cli::output;

/// The output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table or text.
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl Format {
    /// Prints a value; `table` formats it as text.
    ///
    /// # Errors
    /// The value cannot be serialized.
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
