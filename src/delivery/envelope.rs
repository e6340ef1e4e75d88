//! The body of the listener call. One envelope is one function.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Pieces, Subject};
use crate::event::Event;
use crate::resources::Envelope;

/// The end of the body: `,"api":{...}}`, shared by all calls of an app that use the same token.
#[derive(Clone, Debug)]
pub struct ApiField(Bytes);

impl ApiField {
    /// Serializes the URL of the app API and the app's token for it.
    pub fn new(url: &str, token: &str) -> Self {
        let mut text = BytesMut::from(&br#","api":{"url":"#[..]);
        write_json(&mut text, url);
        text.put_slice(br#","token":"#);
        write_json(&mut text, token);
        text.put_slice(b"}}");
        Self(text.freeze())
    }
}

/// The body of a call: `{"action","props","event","api"}`, or with `listener` in place of
/// `action`. The sender's JSON and the props are copied unchanged.
pub fn body(subject: Subject<'_>, event: &Event, api: &ApiField) -> Pieces {
    match subject.app.envelope {
        Envelope::Action => named(br#"{"action":"#, subject, event, api),
        Envelope::Listener => named(br#"{"listener":"#, subject, event, api),
    }
}

fn named(opening: &[u8], subject: Subject<'_>, event: &Event, api: &ApiField) -> Pieces {
    // 64 bytes are nearly always enough for the quotes and escapes of the action, the field names
    // and the pieces around the event. Otherwise the buffer grows.
    let overhead = 64 + opening.len() + subject.action.len() + api.0.len();
    let copied = Pieces::capacity_for(subject.props) + Pieces::capacity_for(&event.body);
    let mut body = Pieces::with_capacity(overhead + copied);
    body.push_slice(opening);
    body.push_slice(&json(subject.action));
    body.push_slice(br#","props":"#);
    body.push(subject.props);
    body.push_slice(br#","event":"#);
    body.push_slice(event.before);
    body.push(&event.body);
    body.push_slice(event.after);
    body.push(&api.0);
    body
}

fn json(text: &str) -> Vec<u8> {
    // Cannot fail: every string serializes.
    serde_json::to_vec(text).unwrap_or_default()
}

fn write_json(out: &mut BytesMut, text: &str) {
    out.put_slice(&json(text));
}
