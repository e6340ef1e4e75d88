//! A finding: a problem or a remark, with advice. Pure.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::client::table::{age, clean};
use crate::moment::Moment;

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Severity {
    /// A problem.
    Problem,
    /// A remark.
    Note,
}

/// One finding, printed as a paragraph.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Its severity.
    pub severity: Severity,
    /// Its object: `Webhook team-a/payments`.
    pub subject: String,
    /// The observation: `is not Ready (SecretNotFound)`.
    pub what: String,
    /// Start of the condition.
    pub since: Option<Moment>,
    /// The cause, in a sentence; empty if unknown.
    pub why: String,
    /// Advice, in a sentence.
    pub advice: String,
    /// Commands for the advice.
    pub commands: Vec<String>,
}

impl Finding {
    /// A problem.
    pub fn problem(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Problem,
            subject: subject.into(),
            what: what.into(),
            since: None,
            why: String::new(),
            advice: String::new(),
            commands: Vec::new(),
        }
    }

    /// A remark.
    pub fn note(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::problem(subject, what) }
    }

    /// Adds the time from which it holds.
    pub fn since(self, since: Moment) -> Self {
        Self { since: Some(since), ..self }
    }

    /// Adds the cause.
    pub fn because(self, why: impl Into<String>) -> Self {
        Self { why: why.into(), ..self }
    }

    /// Adds the advice.
    pub fn so(self, advice: impl Into<String>, commands: impl IntoIterator<Item = String>) -> Self {
        Self { advice: advice.into(), commands: commands.into_iter().collect(), ..self }
    }

    /// The paragraph.
    pub fn to_text(&self, now: Moment) -> String {
        let Self { subject, what, since, why, advice, commands, .. } = self;
        let since = since.map(|since| format!(", for {}", age(now.since(since))));
        let mut text = clean(&format!("{subject} {what}{}.", since.unwrap_or_default()));
        for sentence in [why, advice].into_iter().filter(|sentence| !sentence.is_empty()) {
            let end = if sentence.ends_with(['.', '?']) { "" } else { "." };
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  {}{end}", clean(sentence));
        }
        for command in commands {
            let _ = write!(text, "\n    {}", clean(command));
        }
        text
    }
}
