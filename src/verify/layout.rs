//! The layout of a signature header: one signature, or several, where any may match.

use super::Denied;

/// The number of items that a header may have. Senders that rotate a secret send two or three.
pub const MAX_ITEMS: usize = 16;

/// The position of a signature in the value of its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout<'a> {
    /// The whole value, after a prefix: `sha256=...`.
    Prefixed(&'a str),
    /// Named items: `t=...,v1=...,v1=...` or `v1,... v1a,...`. Items with this name are signatures;
    /// others are ignored, so that a provider can add a scheme. Blanks around an item are ignored,
    /// as in other lists of header fields (RFC 9110, section 5.6.1).
    Items {
        /// The separator of items.
        separator: char,
        /// The separator of an item's name and value.
        assign: char,
        /// The name of a signature item.
        name: &'a str,
    },
}

/// The value of a header, with its form validated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signatures<'a> {
    layout: Layout<'a>,
    value: &'a str,
}

impl<'a> Layout<'a> {
    /// Validates the whole value before any of it is used: one malformed item means that the header
    /// was altered or is of an unknown format.
    pub(super) fn read(self, value: &'a str) -> Result<Signatures<'a>, Denied> {
        match self {
            Self::Prefixed(prefix) => {
                let value = value.strip_prefix(prefix).ok_or(Denied::OtherScheme)?;
                Ok(Signatures { layout: self, value })
            }
            Self::Items { separator, assign, name } => {
                let items = split(value, separator).map(|item| item.split_once(assign));
                let is_complete = |item: Option<(&str, &str)>| {
                    item.is_some_and(|(name, value)| !name.is_empty() && !value.is_empty())
                };
                if items.clone().count() > MAX_ITEMS || !items.clone().all(is_complete) {
                    return Err(Denied::Malformed);
                }
                if !items.flatten().any(|item| item.0 == name) {
                    return Err(Denied::OtherScheme);
                }
                Ok(Signatures { layout: self, value })
            }
        }
    }
}

impl Layout<'_> {
    /// Formats a header value with one signature, preceded by the item `first` if given: the
    /// inverse of [`Self::read`].
    pub(super) fn write(self, first: Option<(&str, &str)>, signature: &str) -> String {
        match self {
            Self::Prefixed(prefix) => format!("{prefix}{signature}"),
            Self::Items { separator, assign, name } => {
                let first = first.map(|(name, value)| format!("{name}{assign}{value}{separator}"));
                format!("{}{name}{assign}{signature}", first.unwrap_or_default())
            }
        }
    }
}

impl<'a> Signatures<'a> {
    /// The signatures, still encoded.
    pub(super) fn iter(self) -> impl Iterator<Item = &'a str> {
        let (whole, name) = match self.layout {
            Layout::Prefixed(_) => (Some(self.value), ""),
            Layout::Items { name, .. } => (None, name),
        };
        whole.into_iter().chain(self.items(name))
    }

    /// The value of an item that must occur exactly once.
    pub(super) fn single(self, name: &str) -> Result<&'a str, Denied> {
        let mut items = self.items(name);
        match (items.next(), items.next()) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(Denied::Malformed),
            (Some(_), Some(_)) => Err(Denied::DoubledHeader),
        }
    }

    /// The values of the items with this name; none if the header has no items.
    fn items<'n>(self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let (value, separator, assign) = match self.layout {
            Layout::Prefixed(_) => ("", ' ', ' '),
            Layout::Items { separator, assign, .. } => (self.value, separator, assign),
        };
        let items = split(value, separator).filter_map(move |item| item.split_once(assign));
        items.filter(move |item| item.0 == name).map(|item| item.1)
    }
}

/// The items of a list, without the blanks around them.
fn split(value: &str, separator: char) -> impl Iterator<Item = &str> + Clone + use<'_> {
    value.split(separator).map(|item| item.trim_matches([' ', '\t']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRIPE: Layout<'static> = Layout::Items { separator: ',', assign: '=', name: "v1" };
    const LIST: Layout<'static> = Layout::Items { separator: ' ', assign: ',', name: "v1" };

    fn read(layout: Layout<'static>, value: &'static str) -> Result<Vec<&'static str>, Denied> {
        layout.read(value).map(|signatures| signatures.iter().collect())
    }

    #[test]
    fn a_prefix_must_be_there_to_the_letter() {
        let layout = Layout::Prefixed("sha256=");
        assert_eq!(read(layout, "sha256=ab"), Ok(vec!["ab"]));
        assert_eq!(read(layout, "sha256="), Ok(vec![""]));
        assert_eq!(read(layout, "SHA256=ab"), Err(Denied::OtherScheme));
        assert_eq!(read(layout, "ab"), Err(Denied::OtherScheme));
        assert_eq!(read(Layout::Prefixed(""), "ab"), Ok(vec!["ab"]));
    }

    #[test]
    fn every_signature_of_the_scheme_counts_and_other_schemes_do_not() {
        assert_eq!(read(STRIPE, "t=1,v1=a,v0=b,v1=c"), Ok(vec!["a", "c"]));
        assert_eq!(read(STRIPE, "t=1,v1=a=="), Ok(vec!["a=="]));
        assert_eq!(read(STRIPE, "t=1, v1=a ,\tv1=b"), Ok(vec!["a", "b"]));
        assert_eq!(read(LIST, "v1a,x v1,a v2,y v1,b"), Ok(vec!["a", "b"]));
        assert_eq!(read(STRIPE, "t=1,v0=b"), Err(Denied::OtherScheme));
        assert_eq!(read(LIST, "v1a,x"), Err(Denied::OtherScheme));
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for (layout, first, value) in [
            (Layout::Prefixed("sha256="), None, "sha256=ab"),
            (STRIPE, Some(("t", "1")), "t=1,v1=ab"),
            (LIST, None, "v1,ab"),
        ] {
            assert_eq!(layout.write(first, "ab"), value);
            assert_eq!(read(layout, value), Ok(vec!["ab"]));
        }
    }

    #[test]
    fn one_malformed_item_spoils_the_header() {
        for value in
            ["v1", "v1=a,", ",v1=a", "v1=a,,v1=b", "v1=a,junk", "=a,v1=b", "v1=", "v1=a,t="]
        {
            assert_eq!(read(STRIPE, value), Err(Denied::Malformed), "{value}");
        }
        for value in ["v1", "v1,a  v1,b", "v1,a v1", "v1, a"] {
            assert_eq!(read(LIST, value), Err(Denied::Malformed), "{value}");
        }
    }

    #[test]
    fn a_timestamp_among_the_items_is_there_once() {
        let single = |value| STRIPE.read(value).and_then(|signatures| signatures.single("t"));
        assert_eq!(single("t=1,v1=a"), Ok("1"));
        assert_eq!(single("v1=a"), Err(Denied::Malformed));
        assert_eq!(single("t=1,v1=a,t=1"), Err(Denied::DoubledHeader));
    }

    #[test]
    fn more_items_than_anyone_sends_are_refused() {
        let most = ["v1=a"; MAX_ITEMS].join(",");
        assert_eq!(STRIPE.read(&most).unwrap().iter().count(), MAX_ITEMS);
        assert_eq!(STRIPE.read(&format!("{most},v1=a")).unwrap_err(), Denied::Malformed);
    }
}
