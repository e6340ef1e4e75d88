//! Problems of manifests. Each is logged once, and again only after it was solved.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// One problem of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; 0 for the whole file.
    line: u32,
    /// The object, if known.
    subject: String,
    /// The problem.
    what: String,
    /// The line of the other declaration. It is not part of the fingerprint, because a moved
    /// declaration is not a new problem.
    place: String,
    /// Distinguishes two documents with the same error.
    text: u64,
}

impl Problem {
    /// A problem of an object.
    pub fn new(line: u32, subject: String, what: String) -> Self {
        Self { line, subject, what, place: String::new(), text: 0 }
    }

    /// A syntax error in a document with this fingerprint.
    pub fn broken(line: u32, text: u64, what: String) -> Self {
        Self { text, ..Self::of_text(line, what) }
    }

    /// A problem of a document without an object.
    pub fn of_text(line: u32, what: String) -> Self {
        Self::new(line, String::new(), what)
    }

    /// A problem of a whole file.
    pub fn of_file(what: String) -> Self {
        Self::of_text(0, what)
    }

    /// The object is already declared elsewhere.
    pub fn duplicate(line: u32, subject: String, other: &Path, other_line: u32) -> Self {
        let what =
            format!("is already declared, and that declaration is used: {}", other.display());
        Self { place: format!(":{other_line}"), ..Self::new(line, subject, what) }
    }

    /// The problem as one line.
    pub fn message(&self, path: &Path) -> String {
        let Self { line, subject, what, place, text: _ } = self;
        let path = path.display();
        let line = if *line == 0 { String::new() } else { format!(":{line}") };
        let subject = if subject.is_empty() { String::new() } else { format!(" {subject}:") };
        format!("{path}{line}:{subject} {what}{place}")
    }

    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.subject, &self.what, self.text).hash(&mut hasher);
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
            tracing::warn!("{}", problem.message(path));
        }
    }
}
