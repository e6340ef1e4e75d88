//! Something that is wrong, and what a person does about it. Pure.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::client::table::{age, clean};
use crate::moment::Moment;

/// How much something matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Severity {
    /// Something does not work.
    Problem,
    /// Good to know.
    Note,
}

/// One paragraph of what a person is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Of what: `Webhook team-a/payments`.
    pub subject: String,
    /// What is so: `is not Ready (SecretNotFound)`.
    pub what: String,
    /// Since when.
    pub since: Option<Moment>,
    /// Why, in a sentence; empty where nobody knows more.
    pub why: String,
    /// What to do, in a sentence.
    pub advice: String,
    /// Commands for that.
    pub commands: Vec<String>,
}

impl Finding {
    /// Something that does not work.
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

    /// Something that is good to know.
    pub fn note(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::problem(subject, what) }
    }

    /// With the moment from which it is so.
    pub fn since(self, since: Moment) -> Self {
        Self { since: Some(since), ..self }
    }

    /// With its cause.
    pub fn because(self, why: impl Into<String>) -> Self {
        Self { why: why.into(), ..self }
    }

    /// With what to do.
    pub fn so(self, advice: impl Into<String>, commands: impl IntoIterator<Item = String>) -> Self {
        Self { advice: advice.into(), commands: commands.into_iter().collect(), ..self }
    }

    /// A paragraph.
    pub fn in_words(&self, now: Moment) -> String {
        let Self { subject, what, since, why, advice, commands, .. } = self;
        let since = since.map(|since| format!(", for {}", age(now.since(since))));
        let mut text = clean(&format!("{subject} {what}{}.", since.unwrap_or_default()));
        for sentence in [why, advice].into_iter().filter(|sentence| !sentence.is_empty()) {
            let end = if sentence.ends_with(['.', '?']) { "" } else { "." };
            // Writing to a text does not fail.
            let _ = write!(text, "\n  {}{end}", clean(sentence));
        }
        for command in commands {
            let _ = write!(text, "\n    {}", clean(command));
        }
        text
    }
}
