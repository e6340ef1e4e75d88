//! What a person reads on stdout.

use std::io::Write;

/// Prints a line at once. A reader that has gone is no reason to end.
pub fn line(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}
