//! White space around a secret, which users add by accident: `echo` ends its output with a line
//! break, and copied text brings blanks along.

use std::fmt;

/// White space at an end of a secret. It says nothing else about the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SurroundingBlank {
    /// The secret ends with a line break.
    LineBreakAtEnd,
    /// The secret ends with a blank or a tab.
    BlankAtEnd,
    /// The secret begins with a blank, a tab or a line break.
    AtStart,
}

impl SurroundingBlank {
    /// The white space of a secret; the end takes precedence.
    pub fn of(secret: &[u8]) -> Option<Self> {
        match secret {
            [.., b'\n' | b'\r'] => Some(Self::LineBreakAtEnd),
            [.., last] if last.is_ascii_whitespace() => Some(Self::BlankAtEnd),
            [first, ..] if first.is_ascii_whitespace() => Some(Self::AtStart),
            _ => None,
        }
    }
}

impl fmt::Display for SurroundingBlank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LineBreakAtEnd => "ends with a line break",
            Self::BlankAtEnd => "ends with a blank",
            Self::AtStart => "begins with a blank or a line break",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_found_at_both_ends_and_only_there() {
        for (secret, expected) in [
            (&b"s"[..], None),
            (b"a b\nc", None),
            (b"", None),
            ("\u{a0}s\u{a0}".as_bytes(), None),
            (b"s\n", Some(SurroundingBlank::LineBreakAtEnd)),
            (b" s\r\n", Some(SurroundingBlank::LineBreakAtEnd)),
            (b"s\r", Some(SurroundingBlank::LineBreakAtEnd)),
            (b"s\n ", Some(SurroundingBlank::BlankAtEnd)),
            (b"s\t", Some(SurroundingBlank::BlankAtEnd)),
            (b" s", Some(SurroundingBlank::AtStart)),
            (b"\ns", Some(SurroundingBlank::AtStart)),
        ] {
            assert_eq!(SurroundingBlank::of(secret), expected, "{secret:?}");
        }
    }
}
