//! JSON pointers (RFC 6901): the position of a value in a JSON document.

/// The longest pointer, in bytes.
const MAX_LENGTH: usize = 256;

/// The number of names in a pointer. No sender nests its ids deeper.
const MAX_DEPTH: usize = 16;

/// A parsed pointer to a value below the root of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    text: Box<str>,
    names: Box<[Box<str>]>,
}

impl Pointer {
    /// Parses a pointer; `None` if it is none, points to the root, or is too long or too deep.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let names = text.strip_prefix('/')?.split('/').take(MAX_DEPTH + 1).map(unescape);
        let names: Box<[_]> = names.collect::<Option<_>>()?;
        (names.len() <= MAX_DEPTH).then(|| Self { text: text.into(), names })
    }

    /// The pointer without its first slash: the name of a member of the root.
    pub(super) fn name(&self) -> &str {
        &self.text[1..]
    }

    /// The names of the members, or the indices of the items, from the root down.
    pub(super) fn names(&self) -> &[Box<str>] {
        &self.names
    }
}

/// `~1` is a slash and `~0` a tilde; a tilde before anything else is a mistake (RFC 6901, section 3).
fn unescape(name: &str) -> Option<Box<str>> {
    let mut pieces = name.split('~');
    let mut text = pieces.next()?.to_owned();
    for piece in pieces {
        let (letter, rest) = match piece.as_bytes().first()? {
            b'0' => ('~', &piece[1..]),
            b'1' => ('/', &piece[1..]),
            _ => return None,
        };
        text.push(letter);
        text.push_str(rest);
    }
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_its_names() {
        for (text, names) in [
            ("/id", &["id"][..]),
            ("/event/0/id", &["event", "0", "id"]),
            ("/", &[""]),
            ("/a~1b/m~0n/~01", &["a/b", "m~n", "~1"]),
            ("/é", &["é"]),
        ] {
            let pointer = Pointer::parse(text).unwrap();
            let parsed: Vec<_> = pointer.names().iter().map(|name| &**name).collect();
            assert_eq!(parsed, names, "{text}");
            assert_eq!(pointer.name(), &text[1..]);
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        let (long, deep) = (format!("/{}", "a".repeat(MAX_LENGTH)), "/a".repeat(MAX_DEPTH + 1));
        for text in ["", "id", "/a~", "/a~2b", "/~~0", "#/id", &long, &deep] {
            assert_eq!(Pointer::parse(text), None, "{text}");
        }
        assert!(Pointer::parse(&deep[2..]).is_some());
    }
}
