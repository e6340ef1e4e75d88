//! The program run by a test, and how it ended.

use std::process::Output;

use serde_json::Value;

use crate::support::operator::{Folders, Operator, output};

/// How a run ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Self { code: output.status.code(), stdout, stderr }
    }
}

impl Ended {
    /// What it printed, when it ended with this code.
    #[track_caller]
    pub fn with(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// The same as JSON.
    #[track_caller]
    pub fn json(self, code: i32) -> Value {
        serde_json::from_str(&self.with(code)).unwrap()
    }

    /// One line on stderr, which says this, and code 2.
    #[track_caller]
    pub fn fails(self, saying: &str) -> String {
        assert_eq!((self.code, &*self.stdout), (Some(2), ""), "{}", self.stderr);
        assert!(self.stderr.contains(saying), "{saying} in {}", self.stderr);
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        self.stderr
    }
}

/// Runs a subcommand against a standalone operator.
pub fn at(operator: &Operator, folders: &Folders, words: &[&str]) -> Ended {
    let data = folders.data();
    let flags = ["--server", &operator.admin, "--data-dir", data.to_str().unwrap()];
    output(&[words, &flags].concat()).into()
}
