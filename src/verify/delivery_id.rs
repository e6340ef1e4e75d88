//! The id of a delivery, which the sender repeats in each repetition of it.

use std::borrow::Cow;

use http::HeaderName;

use super::json::{self, Scalar};
use super::pointer::Pointer;
use super::provider::Delivery;
use super::{EntryError, Input, entry, header};

/// The longest id that is kept, in bytes: an untrusted sender chooses it.
const MAX_LENGTH: usize = 256;

/// What names a delivery in all repetitions of it. Two deliveries are one if all fields are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryId<'a> {
    /// The header that has the id, or its JSON pointer in the body without the first slash.
    pub name: &'a str,
    /// The endpoint of the sender, if the id is shared by several.
    pub endpoint: Option<&'a str>,
    /// The id; never blank, at most 256 bytes.
    pub id: Cow<'a, str>,
}

impl<'a> DeliveryId<'a> {
    /// An id; `None` if it is blank or too long, which names nothing.
    pub(super) fn new(name: &'a str, id: impl Into<Cow<'a, str>>) -> Option<Self> {
        let id = id.into();
        is_id(&id).then_some(Self { name, endpoint: None, id })
    }
}

/// The position of a delivery id, with its names resolved.
#[derive(Debug)]
pub(super) enum DeliveryIdSource {
    /// The first of these headers that the request has.
    Header(Box<[HeaderName]>),
    /// The endpoint, and the id that endpoints share.
    PerEndpoint(HeaderName, HeaderName),
    Pointer(Pointer),
}

impl DeliveryIdSource {
    /// Resolves the names.
    ///
    /// # Errors
    /// If a name is no header name, or the pointer is none.
    pub(super) fn new(delivery: Delivery<'_>) -> Result<Self, EntryError> {
        Ok(match delivery {
            Delivery::Header(name) => Self::Header([entry::header_name(name)?].into()),
            Delivery::FirstHeader(names) => {
                let names = names.iter().map(|name| entry::header_name(name));
                Self::Header(names.collect::<Result<_, _>>()?)
            }
            Delivery::PerEndpoint(endpoint, name) => {
                Self::PerEndpoint(entry::header_name(endpoint)?, entry::header_name(name)?)
            }
            Delivery::Pointer(pointer) => Self::Pointer(entry::pointer(pointer)?),
        })
    }

    /// Whether the id is in this header.
    pub(super) fn is_in(&self, header: &HeaderName) -> bool {
        match self {
            Self::Header(names) => names.contains(header),
            Self::PerEndpoint(_, name) => name == header,
            Self::Pointer(_) => false,
        }
    }

    /// Reads the id of a request. A header that is repeated or not printable ASCII is none.
    pub(super) fn read<'a>(&'a self, input: &Input<'a>) -> Option<DeliveryId<'a>> {
        let text = |name| header::text(input.headers, name).ok();
        match self {
            Self::Header(names) => {
                let name = names.iter().find(|name| input.headers.contains_key(*name))?;
                DeliveryId::new(name.as_str(), text(name)?)
            }
            Self::PerEndpoint(endpoint, name) => {
                let id = DeliveryId::new(name.as_str(), text(name)?)?;
                if !input.headers.contains_key(endpoint) {
                    return Some(id);
                }
                // Without the endpoint, the id would be that of other events as well.
                let endpoint = text(endpoint).filter(|endpoint| is_id(endpoint))?;
                Some(DeliveryId { endpoint: Some(endpoint), ..id })
            }
            Self::Pointer(pointer) => match json::at(input.decoded?, pointer)? {
                Scalar::Text(text) => DeliveryId::new(pointer.name(), text),
                Scalar::Number(number) => DeliveryId::new(pointer.name(), number.to_string()),
            },
        }
    }
}

/// Whether a text names something: empty and blank ones are sent by senders that have no id.
fn is_id(text: &str) -> bool {
    !text.trim_ascii().is_empty() && text.len() <= MAX_LENGTH
}
