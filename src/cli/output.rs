//! Output on stdout.

use std::io::Write;

/// Prints a line and flushes it. Ignores errors, so that a closed pipe does not end the operator.
pub fn line(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}
