//! How a webhook answers triggers.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};

/// `spec.response`: the response to a trigger that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptedResponse {
    /// The same for each trigger.
    Fixed(FixedResponse),
    /// The listener's.
    Listener,
}

/// A response whose unset parts are those of the default response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedResponse {
    /// The status.
    pub status: Option<StatusCode>,
    /// The body with its content type. An empty body has none.
    pub body: Option<(Option<HeaderValue>, Bytes)>,
}

/// `spec.probes`: methods that get an empty 200 response without an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    /// `HEAD`.
    pub head: bool,
    /// `GET`.
    pub get: bool,
}

impl Probes {
    /// Whether requests with this method are answered.
    pub fn include(self, method: &Method) -> bool {
        match *method {
            Method::HEAD => self.head,
            Method::GET => self.get,
            _ => false,
        }
    }
}
