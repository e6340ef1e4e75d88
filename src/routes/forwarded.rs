//! Which headers of a trigger a webhook passes on to its listener.

use http::HeaderName;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT,
    HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

/// `spec.forwardHeaders`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForwardedHeaders {
    /// The headers that are named in full.
    pub names: Box<[HeaderName]>,
    /// Beginnings of names, in lower case. They match only what [`is_forwardable`].
    pub prefixes: Box<[Box<str>]>,
}

impl ForwardedHeaders {
    /// Whether no header is passed on.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.prefixes.is_empty()
    }

    /// Whether a prefix matches the name.
    pub fn has_prefix_of(&self, name: &HeaderName) -> bool {
        let mut prefixes = self.prefixes.iter();
        prefixes.any(|prefix| name.as_str().starts_with(&**prefix)) && is_forwardable(name)
    }
}

/// Whether a header may be passed on: neither a hop-by-hop header (RFC 9110, section 7.6.1), nor a
/// credential, nor one that the operator sets itself. The schema of `spec.forwardHeaders` has the
/// same list for names in full.
fn is_forwardable(name: &HeaderName) -> bool {
    const NEVER: [HeaderName; 12] = [
        AUTHORIZATION,
        CONNECTION,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        COOKIE,
        EXPECT,
        HOST,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    let text = name.as_str();
    !(NEVER.contains(name)
        || matches!(text, "keep-alive" | "traceparent")
        || text.starts_with("proxy-")
        || text.starts_with("webhook-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(prefix: &str, name: &'static str) -> bool {
        let forwarded =
            ForwardedHeaders { prefixes: Box::new([prefix.into()]), ..Default::default() };
        forwarded.has_prefix_of(&HeaderName::from_static(name))
    }

    #[test]
    fn a_prefix_is_the_beginning_of_a_name() {
        assert!(passes("x-shop-", "x-shop-id"));
        assert!(passes("x-shop-", "x-shop-"));
        assert!(!passes("x-shop-", "x-shopping"));
        assert!(!passes("x-shop-", "my-x-shop-id"));
    }

    #[test]
    fn no_prefix_matches_what_is_never_forwarded() {
        for name in [
            "authorization",
            "connection",
            "content-encoding",
            "content-length",
            "content-type",
            "cookie",
            "expect",
            "host",
            "keep-alive",
            "proxy-authorization",
            "te",
            "traceparent",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "webhook-event-id",
        ] {
            assert!(!passes(&name[..2], name), "{name}");
        }
    }
}
