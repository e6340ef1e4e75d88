//! Converts text of other charsets to UTF-8, without loss or not at all.
//!
//! The charset is the parameter of the content type (RFC 9110, section 8.3.2), by the labels of the
//! WHATWG Encoding Standard. A conversion never inserts a replacement character.

use std::borrow::Cow;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE};

/// The charset of a body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Charset(Option<&'static Encoding>);

impl Charset {
    /// UTF-8, the charset of bodies that name none.
    pub const UTF_8: Self = Self(Some(UTF_8));

    /// The charset of a content type: UTF-8 if it names none.
    pub fn of(content_type: &[u8]) -> Self {
        Self::named_by(content_type).unwrap_or(Self::UTF_8)
    }

    /// The charset with a label. A charset that is not known converts nothing but UTF-8.
    pub fn named(label: &[u8]) -> Self {
        Self(Encoding::for_label(label).filter(|known| *known != REPLACEMENT))
    }

    /// The charset of a content type that names one.
    pub fn named_by(content_type: &[u8]) -> Option<Self> {
        parameter(content_type).map(Self::named)
    }

    /// Whether text of this charset is taken as UTF-8, unchanged.
    pub fn is_utf_8(self) -> bool {
        self.0.is_none_or(|known| known == UTF_8)
    }

    /// Converts bytes to text; `None` if this would lose something. A byte order mark of UTF-16 is
    /// obeyed and removed; one of UTF-8 is kept.
    pub fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        let known = self.0.unwrap_or(UTF_8);
        let is_utf_16 = known == UTF_16LE || known == UTF_16BE;
        let mark = Encoding::for_bom(bytes).filter(|(marked, _)| is_utf_16 && *marked != UTF_8);
        let (known, skipped) = mark.unwrap_or((known, 0));
        known.decode_without_bom_handling_and_without_replacement(&bytes[skipped..])
    }
}

/// The value of the parameter `charset`, without its quotes.
fn parameter(content_type: &[u8]) -> Option<&[u8]> {
    content_type.split(|&byte| byte == b';').skip(1).find_map(|parameter| {
        let equals = parameter.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (&parameter[..equals], parameter[equals + 1..].trim_ascii());
        let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
        name.trim_ascii().eq_ignore_ascii_case(b"charset").then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charset_is_a_parameter_with_or_without_quotes() {
        for (content_type, label) in [
            (&b"text/plain"[..], "UTF-8"),
            (b"text/plain; charset=utf-8", "UTF-8"),
            (b"text/plain;charset=ISO-8859-1", "windows-1252"),
            (b"text/plain; a=b; Charset = \"shift_jis\" ; c=d", "Shift_JIS"),
            (b"text/plain; charset=utf-16", "UTF-16LE"),
        ] {
            let Charset(Some(charset)) = Charset::of(content_type) else { panic!("{label}") };
            assert_eq!(charset.name(), label);
        }
        for unknown in [&b"text/plain; charset=x-none"[..], b"text/plain; charset=iso-2022-kr"] {
            assert_eq!(Charset::of(unknown), Charset(None));
        }
    }

    #[test]
    fn a_conversion_loses_nothing_or_fails() {
        for (label, bytes, text) in [
            (&b"iso-8859-1"[..], &b"\xe9"[..], Some("\u{e9}")),
            (b"utf-16", b"\xff\xfe{\0}\0", Some("{}")),
            (b"utf-16", b"\xfe\xff\0{\0}", Some("{}")),
            (b"utf-16be", b"\0{\0}", Some("{}")),
            (b"utf-16le", b"{\0}", None),
            (b"utf-16", b"\0\xd8", None),
            (b"shift_jis", b"\x93\xfa\x96{", Some("\u{65e5}\u{672c}")),
            (b"shift_jis", b"\xff", None),
            (b"us-ascii", b"\x80", Some("\u{20ac}")),
            (b"x-none", "\u{e9}".as_bytes(), Some("\u{e9}")),
            (b"x-none", b"\xe9", None),
        ] {
            assert_eq!(Charset::named(label).decode(bytes).as_deref(), text, "{bytes:?}");
        }
    }
}
