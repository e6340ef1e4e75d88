//! What is wrong with a manifest: told once, and again only when it is another problem.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// One problem of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; 0 where the file as a whole is meant.
    line: u32,
    /// The object, where one is known.
    subject: String,
    /// What is wrong.
    what: String,
    /// Where the other side of the problem is. It moves, and is then not a new problem.
    place: String,
    /// Tells two texts apart that are broken in the same way.
    text: u64,
}

impl Problem {
    /// A problem of an object.
    pub fn new(line: u32, subject: String, what: String) -> Self {
        Self { line, subject, what, place: String::new(), text: 0 }
    }

    /// A text of this fingerprint is broken.
    pub fn broken(line: u32, text: u64, what: String) -> Self {
        Self { text, ..Self::of_text(line, what) }
    }

    /// A problem of a text in which no object was found.
    pub fn of_text(line: u32, what: String) -> Self {
        Self::new(line, String::new(), what)
    }

    /// A problem of a whole file.
    pub fn of_file(what: String) -> Self {
        Self::of_text(0, what)
    }

    /// The object was declared elsewhere before.
    pub fn duplicate(line: u32, subject: String, other: &Path, other_line: u32) -> Self {
        let what = format!("is declared already, and counts as it is there: {}", other.display());
        Self { place: format!(":{other_line}"), ..Self::new(line, subject, what) }
    }

    /// The problem in one line.
    pub fn told(&self, path: &Path) -> String {
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

/// The problems of one file that were told.
#[derive(Debug, Default)]
pub struct Told {
    now: HashSet<u64>,
    before: HashSet<u64>,
}

impl Told {
    /// The file is read again: what is not told from here on is over.
    pub fn begin(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// The file was read.
    pub fn end(&mut self) {
        self.before = HashSet::new();
    }

    /// Tells of a problem, unless it was told already.
    pub fn tell(&mut self, path: &Path, problem: &Problem) {
        let fingerprint = problem.fingerprint();
        if self.now.insert(fingerprint) && !self.before.contains(&fingerprint) {
            tracing::warn!("{}", problem.told(path));
        }
    }
}
