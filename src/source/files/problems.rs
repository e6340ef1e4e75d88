//! Problems of manifests. Each is logged once, and again only after it was solved.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use super::desired::Location;

/// One problem of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; 0 for the whole file.
    line: u32,
    /// The problem, after the object, if that is known.
    what: String,
    /// The line of the other declaration. It is not part of the fingerprint, because a moved
    /// declaration is not a new problem.
    other_line: Option<u32>,
    /// Distinguishes two documents with the same error.
    document: u64,
}

impl Problem {
    /// A problem of an object, which is named as in log messages.
    pub fn new(line: u32, object: &str, why: impl std::fmt::Display) -> Self {
        Self::of_text(line, format!("{object}: {why}"))
    }

    /// A problem of a document without an object.
    pub fn of_text(line: u32, what: String) -> Self {
        Self { line, what, other_line: None, document: 0 }
    }

    /// A syntax error in a document with this fingerprint.
    pub fn broken(line: u32, document: u64, what: String) -> Self {
        Self { document, ..Self::of_text(line, what) }
    }

    /// A file that cannot be read.
    pub fn unreadable(error: &std::io::Error) -> Self {
        Self::of_text(0, format!("cannot be read: {error}"))
    }

    /// The object is already declared elsewhere. `created` is the directory of created webhooks.
    pub fn duplicate(line: u32, object: &str, winner: &Location, created: &Path) -> Self {
        let path = winner.manifest.as_deref().unwrap_or(created).display();
        let why = format!("is already declared, and that declaration is used: {path}");
        Self { other_line: Some(winner.line), ..Self::new(line, object, why) }
    }

    /// The problem as one line.
    pub fn message(&self, path: &Path) -> String {
        let line = if self.line == 0 { String::new() } else { format!(":{}", self.line) };
        let other_line = self.other_line.map_or(String::new(), |line| format!(":{line}"));
        format!("{}{line}: {}{other_line}", path.display(), self.what)
    }

    /// Logs the problem.
    pub fn log(&self, path: &Path) {
        tracing::warn!("{}", self.message(path));
    }

    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.what, self.document).hash(&mut hasher);
        hasher.finish()
    }
}

/// The logged problems of a file.
#[derive(Debug, Default)]
pub struct ReportedProblems {
    now: HashSet<u64>,
    before: HashSet<u64>,
}

impl ReportedProblems {
    /// The file is read again: problems that are not reported before `end` are solved.
    pub fn begin(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// The file was read.
    pub fn end(&mut self) {
        self.before = HashSet::new();
    }

    /// Logs a problem, unless it was logged before.
    pub fn report(&mut self, path: &Path, problem: &Problem) {
        let fingerprint = problem.fingerprint();
        if self.now.insert(fingerprint) && !self.before.contains(&fingerprint) {
            problem.log(path);
        }
    }
}
