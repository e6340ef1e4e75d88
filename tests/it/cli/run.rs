//! The program run by a test.

use crate::support::ended::Ended;
use crate::support::operator::{Folders, Operator, output};

/// Runs a subcommand against a standalone operator.
pub fn at(operator: &Operator, folders: &Folders, words: &[&str]) -> Ended {
    let data = folders.data();
    let flags = ["--server", &operator.admin, "--data-dir", data.to_str().unwrap()];
    output(&[words, &flags].concat()).into()
}
