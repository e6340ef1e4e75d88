//! The bound on how deep JSON may nest.
//!
//! `serde_json` skips a value without recursion and therefore without a limit of its own: neither its stack nor its
//! time is at risk, but the listener's may be, since most parsers recurse. RFC 8259, 9 allows a limit.

/// Levels of arrays and objects that a JSON body may have.
pub const MAX_DEPTH: usize = 1024;

/// Whether JSON nests deeper than [`MAX_DEPTH`]. Exact for valid JSON; for text that is not JSON it is exact up to
/// where a parser would stop, so that a parser run afterwards never holds more than [`MAX_DEPTH`] levels.
pub(super) fn is_too_deep(text: &[u8]) -> bool {
    has_many_openings(text) && exceeds(text)
}

/// A body with few brackets cannot be deep. This is nearly free and spares all usual bodies the exact look.
fn has_many_openings(text: &[u8]) -> bool {
    // Counting in single bytes, in chunks too short to overflow one, lets the compiler use vectors of bytes.
    text.len() > MAX_DEPTH
        && text
            .chunks(u8::MAX.into())
            .map(|chunk| usize::from(chunk.iter().map(|&byte| is_opening(byte)).sum::<u8>()))
            .sum::<usize>()
            > MAX_DEPTH
}

/// 1 for `[` and `{`, which differ in the one bit set here; no other byte becomes `{` by it.
fn is_opening(byte: u8) -> u8 {
    u8::from(byte | 0x20 == b'{')
}

/// Follows the brackets outside of strings.
fn exceeds(text: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => skip_string(&mut rest),
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Moves past the closing quotation mark of a string, or to the end of the text.
fn skip_string(rest: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => return,
            b'\\' => _ = rest.next(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        "[".repeat(levels) + &"]".repeat(levels)
    }

    #[test]
    fn the_limit_itself_is_allowed_and_one_more_is_not() {
        assert!(!is_too_deep(nested(MAX_DEPTH).as_bytes()));
        assert!(is_too_deep(nested(MAX_DEPTH + 1).as_bytes()));
    }

    #[test]
    fn objects_and_arrays_count_alike() {
        let levels = MAX_DEPTH / 2 + 1;
        let text = r#"{"a":["#.repeat(levels) + &"]}".repeat(levels);
        assert!(is_too_deep(text.as_bytes()));
    }

    #[test]
    fn a_wide_value_is_not_deep() {
        let text = format!("[{}[]]", "[],".repeat(5000));
        assert!(!is_too_deep(text.as_bytes()));
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        let inside = r#"\"[{\\"#.repeat(5000);
        assert!(!is_too_deep(format!(r#"["{inside}"]"#).as_bytes()));
    }

    #[test]
    fn closings_in_strings_hide_nothing() {
        let text = r#"["]]\"]",["#.repeat(MAX_DEPTH);
        assert!(is_too_deep(text.as_bytes()));
    }

    #[test]
    fn surplus_closings_and_open_strings_are_harmless() {
        let surplus = "]".repeat(5000) + &nested(MAX_DEPTH);
        assert!(!is_too_deep(surplus.as_bytes()));
        let open = nested(MAX_DEPTH) + "\"[[\\";
        assert!(!is_too_deep(open.as_bytes()));
    }
}
