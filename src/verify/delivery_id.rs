//! The id of a delivery, which the sender repeats in each repetition of it.

use std::borrow::Cow;

use http::HeaderName;

use super::json::{self, Scalar};
use super::provider::Delivery;
use super::{Input, header};

/// The longest id that is kept, in bytes: an untrusted sender chooses it.
const MAX_LENGTH: usize = 256;

/// What names a delivery in all repetitions of it. Two deliveries are one if all fields are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryId<'a> {
    /// The header or the member of the body that has the id.
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

    /// Reads the id of a provider's request. A header that is repeated or not printable ASCII is
    /// none.
    pub(super) fn read(delivery: Delivery, input: &Input<'a>) -> Option<Self> {
        let text = |name| header::text(input.headers, &HeaderName::from_static(name)).ok();
        match delivery {
            Delivery::Header(names) => {
                let name = names.iter().find(|name| input.headers.contains_key(**name))?;
                Self::new(name, text(name)?)
            }
            Delivery::PerEndpoint(endpoint, name) => {
                let id = Self::new(name, text(name)?)?;
                if !input.headers.contains_key(endpoint) {
                    return Some(id);
                }
                // Without the endpoint, the id would be that of other events as well.
                let endpoint = text(endpoint).filter(|endpoint| is_id(endpoint))?;
                Some(Self { endpoint: Some(endpoint), ..id })
            }
            Delivery::Member(name) => match json::member(input.decoded?, name)? {
                Scalar::Text(text) => Self::new(name, text),
                Scalar::Number(_) => None,
            },
        }
    }
}

/// Whether a text names something: empty and blank ones are sent by senders that have no id.
fn is_id(text: &str) -> bool {
    !text.trim_ascii().is_empty() && text.len() <= MAX_LENGTH
}
