//! Checks of the endpoint that a provider sends unsigned, before or between its events.

use http::header::CONTENT_TYPE;

use super::Input;
use super::challenge::MAX_BODY;
use crate::event::MediaType;

/// A request by which a provider checks the endpoint and that it does not sign. It is answered 200
/// and has no effect: no event, and nothing that counts for or against its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsignedCheck {
    /// A header with this value.
    Header(&'static str, &'static str),
    /// A field of an urlencoded form with this value.
    FormField(&'static str, &'static str),
}

impl UnsignedCheck {
    /// Whether the request is this check. The caller ensures that it has no signature.
    pub(super) fn matches(self, input: &Input<'_>) -> bool {
        match self {
            Self::Header(name, value) => {
                let mut values = input.headers.get_all(name).iter();
                values.next().is_some_and(|first| first == value) && values.next().is_none()
            }
            Self::FormField(name, value) => small_form(input).is_some_and(|form| {
                let mut fields = form_urlencoded::parse(form);
                fields.any(|field| field.0 == name && field.1 == value)
            }),
        }
    }
}

/// The body if it is an urlencoded form that is not larger than a handshake may be.
fn small_form<'a>(input: &Input<'a>) -> Option<&'a [u8]> {
    let content_type = input.headers.get(CONTENT_TYPE)?.as_bytes();
    let is_form = MediaType::of(content_type) == MediaType::UrlEncoded;
    (is_form && input.body.len() <= MAX_BODY).then_some(input.body)
}
