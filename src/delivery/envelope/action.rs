//! The envelopes `Action` and `Listener`: `{"action","props","event","api"}`, or with `listener` in
//! place of `action`. The sender's JSON and the props are copied unchanged.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Enveloped, json, json_string};
use crate::delivery::{OutgoingEvent, Pieces, Subject};
use crate::event::EventError;

/// The end of the body: `,"api":{...}}`, shared by all calls of an app that use the same token.
#[derive(Clone, Debug)]
pub struct ApiField(Bytes);

impl ApiField {
    /// Serializes the URL of the app API and the app's token for it.
    pub fn new(url: &str, token: &str) -> Self {
        let mut text = BytesMut::from(&br#","api":{"url":"#[..]);
        text.put_slice(&json_string(url));
        text.put_slice(br#","token":"#);
        text.put_slice(&json_string(token));
        text.put_slice(b"}}");
        Self(text.freeze())
    }
}

/// `opening` is the beginning of the body, up to the value of the action.
pub fn wrap(
    opening: &[u8],
    subject: Subject<'_>,
    mut outgoing: OutgoingEvent,
    api: &ApiField,
) -> Result<Enveloped, EventError> {
    let event = outgoing.data()?;
    // 64 bytes are nearly always enough for the quotes and escapes of the action, the field names
    // and the pieces around the event. Otherwise the buffer grows.
    let overhead = 64 + opening.len() + subject.action.len() + api.0.len();
    let copied = Pieces::capacity_for(subject.props) + Pieces::capacity_for(&event.body);
    let mut body = Pieces::with_capacity(overhead + copied);
    body.push_slice(opening);
    body.push_slice(&json_string(subject.action));
    body.push_slice(br#","props":"#);
    body.push(subject.props);
    body.push_slice(br#","event":"#);
    body.push_event(&event);
    body.push(&api.0);
    Ok(json("application/json", body, outgoing.content.headers))
}
