//! Validates JSON in one pass over the bytes.
//!
//! The grammar is exactly that of RFC 8259: numbers of any size, duplicate names and escapes of
//! lone surrogates are valid. UTF-8 is checked elsewhere. Nothing is stored, so validation neither
//! allocates nor recurses.
//!
//! The functions take the start of an element and return its end, or the position of the error.
//! Passing positions this way, rather than in a struct, keeps them in registers.
//!
//! Own code instead of `serde_json` with `IgnoredAny`: this costs about a quarter less, in the part
//! that costs most of a trigger's CPU after the network, and the depth is limited without recursion.
//! Property tests and the fuzz target `body` compare both on random input.

/// The maximum nesting of arrays and objects in a JSON body.
///
/// The limit protects listeners: most parsers recurse, this one does not. RFC 8259, 9 allows a
/// limit.
pub const MAX_DEPTH: usize = 1024;

/// The reason for rejecting a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonFault {
    /// The byte at this offset is invalid, or the text is incomplete and ends here.
    Unexpected(usize),
    /// More than [`MAX_DEPTH`] levels.
    TooDeep,
}

/// The offset of an invalid byte, or the length of the text if it is incomplete.
#[derive(Debug, Clone, Copy)]
struct Unexpected(usize);

impl From<Unexpected> for JsonFault {
    fn from(Unexpected(at): Unexpected) -> Self {
        Self::Unexpected(at)
    }
}

/// Checks that `text` is one JSON value, optionally surrounded by white space.
pub(super) fn check(text: &[u8]) -> Result<(), JsonFault> {
    let mut open = Levels { depth: 0, inner: 0, outer: [0; MAX_DEPTH / BITS] };
    let mut at = after_spaces(text, 0);
    loop {
        match text.get(at) {
            Some(b'"') => at = after_string(text, at + 1)?,
            Some(b'-' | b'0'..=b'9') => at = after_number(text, at)?,
            Some(b'{') => {
                open.push(Level::Object)?;
                at = after_spaces(text, at + 1);
                if text.get(at) != Some(&b'}') {
                    at = after_name(text, at)?;
                    continue;
                }
            }
            Some(b'[') => {
                open.push(Level::Array)?;
                at = after_spaces(text, at + 1);
                if text.get(at) != Some(&b']') {
                    continue;
                }
            }
            _ => at = after_literal(text, at)?,
        }
        match next_value(text, at, &mut open)? {
            Some(next) => at = next,
            None => return Ok(()),
        }
    }
}

/// The start of the next value; `None` after the last one.
#[inline(always)]
fn next_value(text: &[u8], end: usize, open: &mut Levels) -> Result<Option<usize>, Unexpected> {
    let mut at = end;
    loop {
        at = after_spaces(text, at);
        match (text.get(at), open.innermost()) {
            (Some(b','), Some(Level::Object)) => {
                return after_name(text, after_spaces(text, at + 1)).map(Some);
            }
            (Some(b','), Some(Level::Array)) => return Ok(Some(after_spaces(text, at + 1))),
            (Some(b'}'), Some(Level::Object)) | (Some(b']'), Some(Level::Array)) => {
                open.pop();
                at += 1;
            }
            (None, None) => return Ok(None),
            _ => return Err(Unexpected(at)),
        }
    }
}

/// Skips the name of a member, its colon and white space. Returns the start of the value.
#[inline(always)]
fn after_name(text: &[u8], at: usize) -> Result<usize, Unexpected> {
    if text.get(at) != Some(&b'"') {
        return Err(Unexpected(at));
    }
    let at = after_spaces(text, after_string(text, at + 1)?);
    if text.get(at) != Some(&b':') {
        return Err(Unexpected(at));
    }
    Ok(after_spaces(text, at + 1))
}

#[inline(always)]
fn after_spaces(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// Skips a string from after its opening quotation mark.
#[inline(always)]
fn after_string(text: &[u8], start: usize) -> Result<usize, Unexpected> {
    let mut at = start;
    loop {
        at = after_plain(text, at);
        match text.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = after_escape(text, at + 1)?,
            _ => return Err(Unexpected(at)),
        }
    }
}

/// Skips the unescaped characters of a string, eight bytes at a time while that many are left.
///
/// A loop over single bytes is slightly faster if the branch predictor learns the lengths of the
/// strings, as with identical bodies, and much slower otherwise.
#[inline(always)]
fn after_plain(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(eight) = text.get(at..).and_then(<[u8]>::first_chunk) {
        let marks = mark_special(u64::from_le_bytes(*eight));
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while text.get(at).is_some_and(|&byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}

/// Sets the high bit of the first byte that is a quotation mark, a backslash or a control
/// character, and of no byte below it. Higher bytes may be marked wrongly because of borrows in the
/// subtraction.
#[inline(always)]
fn mark_special(bytes: u64) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    // Flipping the bit 0x02 swaps the quotation mark, 0x22, with the space, 0x20, and so places it
    // next to the control characters.
    let control_or_quote = (bytes ^ (EACH * 0x02)).wrapping_sub(EACH * 0x21);
    let backslash = (bytes ^ (EACH * 0x5c)).wrapping_sub(EACH);
    // Bytes with the high bit set belong to multi-byte UTF-8 sequences and are never special.
    (control_or_quote | backslash) & !bytes & (EACH * 0x80)
}

/// Skips an escape sequence from after its backslash.
fn after_escape(text: &[u8], at: usize) -> Result<usize, Unexpected> {
    match text.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
        Some(b'u') => after_hex(text, at + 1),
        _ => Err(Unexpected(at)),
    }
}

fn after_hex(text: &[u8], start: usize) -> Result<usize, Unexpected> {
    let end = start + 4;
    match (start..end).find(|&at| !text.get(at).is_some_and(u8::is_ascii_hexdigit)) {
        Some(at) => Err(Unexpected(at)),
        None => Ok(end),
    }
}

#[inline(always)]
fn after_number(text: &[u8], start: usize) -> Result<usize, Unexpected> {
    let first = start + usize::from(text[start] == b'-');
    let at = match text.get(first) {
        Some(b'0') => first + 1,
        _ => after_digits(text, first)?,
    };
    match text.get(at) {
        Some(b'.' | b'e' | b'E') => after_fraction(text, at),
        _ => Ok(at),
    }
}

/// Skips the fraction and the exponent of a number.
fn after_fraction(text: &[u8], start: usize) -> Result<usize, Unexpected> {
    let mut at = start;
    if text[at] == b'.' {
        at = after_digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
        at = after_digits(text, at)?;
    }
    Ok(at)
}

/// Skips one or more digits.
#[inline(always)]
fn after_digits(text: &[u8], start: usize) -> Result<usize, Unexpected> {
    let mut at = start;
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if at == start { Err(Unexpected(at)) } else { Ok(at) }
}

fn after_literal(text: &[u8], at: usize) -> Result<usize, Unexpected> {
    let literal: &[u8] = match text.get(at) {
        Some(b't') => b"true",
        Some(b'f') => b"false",
        Some(b'n') => b"null",
        _ => return Err(Unexpected(at)),
    };
    if text[at..].starts_with(literal) {
        return Ok(at + literal.len());
    }
    let alike = text[at..].iter().zip(literal).take_while(|(byte, expected)| byte == expected);
    Err(Unexpected(at + alike.count()))
}

#[derive(Clone, Copy)]
enum Level {
    Array = 0,
    Object = 1,
}

/// The open arrays and objects.
struct Levels {
    depth: usize,
    /// The innermost levels; the innermost one is the lowest bit.
    inner: u64,
    /// The full words of outer levels, so that only one level in 64 touches memory.
    outer: [u64; MAX_DEPTH / BITS],
}

const BITS: usize = u64::BITS as usize;

impl Levels {
    #[inline(always)]
    fn push(&mut self, level: Level) -> Result<(), JsonFault> {
        if self.depth.is_multiple_of(BITS) {
            *self.outer.get_mut(self.depth / BITS).ok_or(JsonFault::TooDeep)? = self.inner;
        }
        self.inner = self.inner << 1 | level as u64;
        self.depth += 1;
        Ok(())
    }

    /// Leaves the innermost level; the caller checks that one is open.
    #[inline(always)]
    fn pop(&mut self) {
        self.depth -= 1;
        self.inner = if self.depth.is_multiple_of(BITS) {
            self.outer[self.depth / BITS]
        } else {
            self.inner >> 1
        };
    }

    #[inline(always)]
    fn innermost(&self) -> Option<Level> {
        match (self.depth, self.inner & 1) {
            (0, _) => None,
            (_, 0) => Some(Level::Array),
            _ => Some(Level::Object),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use serde::de::IgnoredAny;

    use super::*;

    fn agrees_with_serde_json(text: &[u8]) {
        // serde_json also checks UTF-8, so only valid UTF-8 can be compared.
        let Ok(text) = std::str::from_utf8(text) else { return };
        let expected = serde_json::from_str::<IgnoredAny>(text).is_ok();
        assert_eq!(check(text.as_bytes()).is_ok(), expected, "{text:?}");
    }

    #[test]
    fn what_the_grammar_allows_passes() {
        for text in [
            "{}",
            "[]",
            "\"\"",
            "0",
            "-0",
            "-0.0e-0",
            "1E+9999",
            "123456789012345678901234567890.123456789",
            "true",
            " false\r\n",
            "\t[ null , [ ] , { } ]\n",
            r#"{ "a" : 1 , "a" : { "" : [ "b" ] } }"#,
            r#"["\"\\\/\b\f\n\r\t\u12aF\ud800\u0000"]"#,
            "\"\x7f\u{80}\u{2028}\u{feff}日本 😀\"",
            "\"1234567\\\\12345678\\\"123456789\"",
        ] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text:?}");
            agrees_with_serde_json(text.as_bytes());
        }
    }

    fn is_refused_at(at: usize, text: &str) {
        assert_eq!(check(text.as_bytes()), Err(JsonFault::Unexpected(at)), "{text:?}");
        agrees_with_serde_json(text.as_bytes());
    }

    #[test]
    fn values_in_a_wrong_order_are_refused_where_they_go_wrong() {
        for (text, at) in [
            ("", 0),
            (" \n", 2),
            ("\0", 0),
            ("\u{a0}1", 0),
            ("1\u{a0}", 1),
            ("\u{c}1", 0),
            ("\u{feff}1", 0),
            ("[1,]", 3),
            ("[,1]", 1),
            ("[1 2]", 3),
            ("[1:2]", 2),
            ("[1}", 2),
            ("[]]", 2),
            ("[", 1),
            ("[1", 2),
            ("[1,", 3),
            ("]", 0),
            ("{,}", 1),
            ("{\"a\":1,}", 7),
            ("{\"a\" 1}", 5),
            ("{\"a\"}", 4),
            ("{\"a\":}", 5),
            ("{\"a\",1}", 4),
            ("{1:1}", 1),
            ("{'a':1}", 1),
            ("{a:1}", 1),
            ("{\"a\":1]", 6),
            ("{", 1),
            ("{\"a\"", 4),
            ("{\"a\":", 5),
            ("{\"a\":1", 6),
            ("{\"a\":[{}}", 8),
            ("{}{}", 2),
            ("1 2", 2),
            ("1,2", 1),
            ("[1]/**/", 3),
        ] {
            is_refused_at(at, text);
        }
    }

    #[test]
    fn numbers_and_literals_and_strings_are_refused_where_they_go_wrong() {
        for (text, at) in [
            ("01", 1),
            ("-", 1),
            ("-a", 1),
            ("-01", 2),
            ("--1", 1),
            ("1.", 2),
            ("1.e1", 2),
            ("1e", 2),
            ("1e+", 3),
            ("1e1.5", 3),
            ("1.2.3", 3),
            ("+1", 0),
            (".5", 0),
            ("0x1", 1),
            ("NaN", 0),
            ("-Infinity", 1),
            ("nul", 3),
            ("nuLl", 2),
            ("truee", 4),
            ("True", 0),
            ("\"", 1),
            ("\"abc", 4),
            ("\"abcdefghi", 10),
            ("\"\\", 2),
            ("\"\\\"", 3),
            ("\"\\x\"", 2),
            ("\"\\u12G4\"", 5),
            ("\"\\u12\"", 5),
            ("\"\\u123", 6),
            ("\"a\nb\"", 2),
            ("\"\x1f\"", 1),
            ("\"12345678\x00\"", 9),
        ] {
            is_refused_at(at, text);
        }
    }

    #[test]
    fn each_byte_is_judged_alike_at_each_place_of_a_string() {
        for place in 0..20 {
            for byte in 0..=0x7f {
                let mut text = [b'a'; 22];
                (text[0], text[21], text[1 + place]) = (b'"', b'"', byte);
                agrees_with_serde_json(&text);
            }
        }
    }

    fn nested(levels: usize) -> Vec<u8> {
        let (open, close): (Vec<_>, Vec<_>) = (0..levels).map(opening_and_closing).unzip();
        open.into_iter().chain(["0"]).chain(close.into_iter().rev()).collect::<String>().into()
    }

    /// Irregular, so that confusing one level with another shows.
    fn opening_and_closing(level: usize) -> (&'static str, &'static str) {
        if (level * level / 7).is_multiple_of(2) { ("[", "]") } else { ("{\"\":", "}") }
    }

    #[test]
    fn the_limit_itself_is_allowed_and_one_more_is_not() {
        for levels in [1, 63, 64, 65, 128, 129, MAX_DEPTH - 1, MAX_DEPTH] {
            assert_eq!(check(&nested(levels)), Ok(()), "{levels}");
        }
        assert_eq!(check(&nested(MAX_DEPTH + 1)), Err(JsonFault::TooDeep));
    }

    #[test]
    fn each_level_is_closed_by_its_own_bracket_only() {
        let text = nested(MAX_DEPTH);
        for at in text.len() - MAX_DEPTH..text.len() {
            let mut wrong = text.clone();
            wrong[at] = if text[at] == b']' { b'}' } else { b']' };
            assert_eq!(check(&wrong), Err(JsonFault::Unexpected(at)));
        }
    }

    #[test]
    fn a_wide_value_is_not_deep() {
        let text = format!("[{}[]]", "[{\"a\":[]}],".repeat(5000));
        assert_eq!(check(text.as_bytes()), Ok(()));
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        let inside = r#"\"[{\\"#.repeat(5000);
        assert_eq!(check(format!(r#"["{inside}"]"#).as_bytes()), Ok(()));
    }

    fn with_spaces(part: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
        let spaces = || prop_oneof![4 => Just(String::new()), 1 => "[ \t\r\n]{1,3}"];
        (spaces(), part, spaces()).prop_map(|(before, part, after)| before + &part + &after)
    }

    fn string() -> impl Strategy<Value = String> {
        r#""([ !#-\[\]-~é日😀\x7f]{0,9}|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}){0,4}""#
    }

    fn document() -> impl Strategy<Value = String> {
        let number = r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,5})?";
        let leaf = prop_oneof![
            select(vec!["true", "false", "null"]).prop_map(String::from),
            string(),
            number
        ];
        let value = leaf.prop_recursive(6, 40, 5, |inner| {
            let name = with_spaces(string());
            let member = (name, with_spaces(inner.clone())).prop_map(|(n, value)| n + ":" + &value);
            prop_oneof![
                vec(with_spaces(inner), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
                vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        });
        with_spaces(value)
    }

    /// Bytes with a meaning in JSON, and some without.
    fn significant_byte() -> impl Strategy<Value = u8> {
        select(&b"{}[]:,\"\\/ \t\n\r\x0b\0\x1f\x7f+-.019eEutrfalsn'x"[..])
    }

    proptest! {
        #[test]
        fn random_bytes_are_judged_as_serde_json_judges_them(text in vec(significant_byte(), 0..24)) {
            agrees_with_serde_json(&text);
        }

        #[test]
        fn random_documents_pass(text in document()) {
            prop_assert_eq!(check(text.as_bytes()), Ok(()));
            agrees_with_serde_json(text.as_bytes());
        }

        #[test]
        fn a_document_with_a_byte_changed_is_judged_as_serde_json_judges_it(
            text in document(), at in any::<Index>(), byte in significant_byte(),
        ) {
            let at = at.index(text.len());
            let (before, after) = text.as_bytes().split_at(at);
            agrees_with_serde_json(before);
            agrees_with_serde_json(&[before, &after[1..]].concat());
            agrees_with_serde_json(&[before, &[byte], after].concat());
            agrees_with_serde_json(&[before, &[byte], &after[1..]].concat());
        }
    }
}
