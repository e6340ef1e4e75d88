//! The position of a text in a request: of a token, of a challenge, or of what distinguishes a challenge
//! from an event.

use std::borrow::Cow;

use http::HeaderName;

use super::json::{self, Scalar};
use super::pointer::Pointer;
use super::{Denied, EntryError, Input, entry, header};

/// The position of a text in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position<'a> {
    /// A header.
    Header(&'a str),
    /// A parameter of the query.
    Query(&'a str),
    /// A value in the JSON of the body, by its JSON pointer.
    Pointer(&'a str),
}

/// A [`Position`] with its name resolved.
#[derive(Debug)]
pub(super) enum PositionCheck {
    Header(HeaderName),
    Query(Box<str>),
    Pointer(Pointer),
}

impl PositionCheck {
    /// Resolves the name.
    ///
    /// # Errors
    /// If the name is no header name, or the pointer is none.
    pub(super) fn new(position: Position<'_>) -> Result<Self, EntryError> {
        Ok(match position {
            Position::Header(name) => Self::Header(entry::header_name(name)?),
            Position::Query(name) => Self::Query(name.into()),
            Position::Pointer(pointer) => Self::Pointer(entry::pointer(pointer)?),
        })
    }

    /// The text, which must occur exactly once: a header that is not empty and printable ASCII, a
    /// parameter, or a string in the body.
    pub(super) fn text<'a>(&self, input: &Input<'a>) -> Result<Cow<'a, str>, Denied> {
        match self {
            Self::Header(name) => header::text(input.headers, name).map(Cow::Borrowed),
            Self::Query(name) => parameter(input.query(), name),
            Self::Pointer(pointer) => match json::at(input.body, pointer) {
                Some(Scalar::Text(text)) => Ok(text),
                Some(Scalar::Number(_)) => Err(Denied::Malformed),
                None => Err(Denied::MissingHeader),
            },
        }
    }

    /// Whether the request has anything at the position, except a null in the body.
    pub(super) fn is_present(&self, input: &Input<'_>) -> bool {
        match self {
            Self::Header(name) => input.headers.contains_key(name),
            Self::Query(name) => parameters(input.query()).any(|(given, _)| given == **name),
            Self::Pointer(pointer) => json::is_present(input.body, pointer),
        }
    }

    /// Whether a number in the body is this one.
    pub(super) fn is_number(&self, input: &Input<'_>, number: u64) -> bool {
        match self {
            Self::Pointer(pointer) => json::at(input.body, pointer) == Some(Scalar::Number(number)),
            Self::Header(_) | Self::Query(_) => false,
        }
    }
}

fn parameters(query: &str) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(query.as_bytes())
}

fn parameter<'a>(query: &'a str, name: &str) -> Result<Cow<'a, str>, Denied> {
    let mut found = parameters(query).filter(|(given, _)| given == name).map(|(_, value)| value);
    let value = found.next().ok_or(Denied::MissingHeader)?;
    if found.next().is_some() { Err(Denied::DoubledHeader) } else { Ok(value) }
}
