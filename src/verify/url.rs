//! The external URL of a request, as the sender spells it.

/// The accepted spellings of the signed URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlForm {
    /// The configured external URL.
    AsConfigured,
    /// With or without the port: senders differ.
    EitherPort,
}

/// The text before the port of an external URL, the port with its colon, and the text after it.
type UrlPieces<'a> = [&'a str; 3];

impl UrlForm {
    /// The accepted spellings of the URL up to the path, each in three pieces.
    pub(super) fn spellings(self, external: &str) -> impl Iterator<Item = UrlPieces<'_>> {
        let spellings = match self {
            Self::AsConfigured => [Some([external, "", ""]), None],
            Self::EitherPort => {
                let [before, port, after] = split(external);
                [Some([before, "", after]), Some([before, port, after])]
            }
        };
        spellings.into_iter().flatten()
    }
}

/// The path of a URL without a query; empty if it has none.
pub(super) fn path(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |at| at + 3);
    url[authority..].find('/').map_or("", |at| &url[authority + at..])
}

/// Splits a URL around its port. A URL without a port gets the default port of its scheme.
fn split(url: &str) -> UrlPieces<'_> {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url[authority..].find('/').map_or(url.len(), |at| authority + at);
    let digits = url[..end].trim_end_matches(|c: char| c.is_ascii_digit()).len();
    if digits < end && url[authority..digits].ends_with(':') {
        return [&url[..digits - 1], &url[digits - 1..end], &url[end..]];
    }
    let port = if url.starts_with("https:") { ":443" } else { ":80" };
    [&url[..end], port, &url[end..]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_or_known_from_the_scheme() {
        for (url, pieces) in [
            ("https://a.example", ["https://a.example", ":443", ""]),
            ("http://a.example", ["http://a.example", ":80", ""]),
            ("https://a.example:8443/x:1", ["https://a.example", ":8443", "/x:1"]),
            ("https://10.0.0.1", ["https://10.0.0.1", ":443", ""]),
            ("https://[2001:db8::1]", ["https://[2001:db8::1]", ":443", ""]),
            ("https://[2001:db8::1]:8443/x", ["https://[2001:db8::1]", ":8443", "/x"]),
        ] {
            assert_eq!(split(url), pieces, "{url}");
        }
    }

    #[test]
    fn a_path_begins_after_the_authority() {
        for (url, expected) in [
            ("https://a.example", ""),
            ("https://a.example:8443/below", "/below"),
            ("http://[2001:db8::1]/x/y", "/x/y"),
            ("", ""),
        ] {
            assert_eq!(path(url), expected, "{url}");
        }
    }

    #[test]
    fn either_port_is_two_spellings_and_another_form_is_one() {
        let spell = |form: UrlForm| -> Vec<_> {
            form.spellings("https://a.example:444/x").map(|pieces| pieces.concat()).collect()
        };
        assert_eq!(spell(UrlForm::AsConfigured), ["https://a.example:444/x"]);
        assert_eq!(spell(UrlForm::EitherPort), ["https://a.example/x", "https://a.example:444/x"]);
    }
}
