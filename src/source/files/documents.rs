//! Splits a stream into YAML documents, so that each is parsed separately.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead};

/// One document, unmodified.
#[derive(Debug, PartialEq, Eq)]
pub struct YamlDocument {
    /// The first line of the text in the file, from 1.
    pub start: u32,
    /// The first line with content, as shown to users.
    pub line: u32,
    /// The text, including the preceding `---` line.
    pub text: Vec<u8>,
}

impl YamlDocument {
    /// A hash of the text, to detect changes. Never 0.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        hasher.finish().max(1)
    }
}

/// Iterates over the documents with content.
#[derive(Debug)]
pub struct YamlDocuments<R> {
    reader: R,
    /// The number of the next line to read.
    next_line: u32,
    /// The `---` line that ended the previous document.
    separator: Vec<u8>,
}

impl<R: BufRead> YamlDocuments<R> {
    /// The documents of a stream.
    pub fn new(reader: R) -> Self {
        Self { reader, next_line: 1, separator: Vec::new() }
    }

    /// Reads up to the next `---` line; `None` at the end.
    fn read(&mut self) -> io::Result<Option<YamlDocument>> {
        let text = std::mem::take(&mut self.separator);
        let start = if text.is_empty() { self.next_line } else { self.next_line - 1 };
        let mut document = YamlDocument { start, line: start, text };
        loop {
            let before = document.text.len();
            if self.reader.read_until(b'\n', &mut document.text)? == 0 {
                break;
            }
            self.next_line += 1;
            let line = &document.text[before..];
            // At the beginning of a line, `---` is a separator even within a scalar.
            if is_separator(line) && before > 0 {
                self.separator = document.text.split_off(before);
                break;
            }
        }
        Ok((!document.text.is_empty()).then_some(document))
    }
}

impl<R: BufRead> Iterator for YamlDocuments<R> {
    type Item = io::Result<YamlDocument>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut document = match self.read() {
                Ok(document) => document?,
                Err(error) => return Some(Err(error)),
            };
            if let Some(offset) = content_offset(&document.text) {
                document.line = document.start + offset;
                return Some(Ok(document));
            }
        }
    }
}

fn is_separator(line: &[u8]) -> bool {
    line.strip_prefix(b"---").is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// The number of lines before the first one with content; `None` if there is none.
fn content_offset(text: &[u8]) -> Option<u32> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let says_something = |line: &[u8]| {
        let line = if is_separator(line) { &line[3..] } else { line };
        let line = line.trim_ascii();
        // `%` begins a directive, and `...` ends a document.
        !(line.is_empty() || line.starts_with(b"#") || line.starts_with(b"%") || line == b"...")
    };
    let offset = text.split(|byte| *byte == b'\n').position(says_something)?;
    u32::try_from(offset).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Start, line and text.
    type Cut<T> = (u32, u32, T);

    fn documents(text: &str) -> Vec<Cut<String>> {
        let documents = YamlDocuments::new(text.as_bytes()).map(Result::unwrap);
        let shown = |document: YamlDocument| String::from_utf8(document.text).unwrap();
        documents.map(|document| (document.start, document.line, shown(document))).collect()
    }

    #[test]
    fn a_stream_is_cut_at_its_separators_and_what_says_nothing_is_left_out() {
        let cases: [(&str, &[Cut<&str>]); 9] = [
            ("", &[]),
            ("# only\n\n---\n---\n", &[]),
            ("a: 1", &[(1, 1, "a: 1")]),
            (
                "---\n# of a\na: 1\n---\nb: 2\n",
                &[(1, 3, "---\n# of a\na: 1\n"), (4, 5, "---\nb: 2\n")],
            ),
            ("a: 1\n---   # b\nb: 2\n", &[(1, 1, "a: 1\n"), (2, 3, "---   # b\nb: 2\n")]),
            ("%YAML 1.2\n---\na: 1\n...\n", &[(2, 3, "---\na: 1\n...\n")]),
            ("--- {a: 1}\n--- {b: 2}\n", &[(1, 1, "--- {a: 1}\n"), (2, 2, "--- {b: 2}\n")]),
            ("a: |\n  ---\n  x\n----\n", &[(1, 1, "a: |\n  ---\n  x\n----\n")]),
            ("a: 1\r\n---\r\nb: 2\r\n", &[(1, 1, "a: 1\r\n"), (2, 3, "---\r\nb: 2\r\n")]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|(start, line, text)| (*start, *line, (*text).into()))
                .collect();
            assert_eq!(documents(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_fingerprint_follows_the_text_and_not_the_place() {
        let fingerprints = |text: &str| -> Vec<u64> {
            YamlDocuments::new(text.as_bytes())
                .map(|document| document.unwrap().fingerprint())
                .collect()
        };
        let (before, after) = (
            fingerprints("---\na: 1\n---\nb: 2\n"),
            fingerprints("---\na: 2\n---\nc: 3\n---\nb: 2\n"),
        );
        assert_ne!(before[0], after[0]);
        assert_eq!(before[1], after[2]);
    }
}
