//! What a listener gets of an event, with the transform that its webhook has now.

use http::HeaderValue;

use super::view::{ContentView, TransformedView};
use crate::delivery::{OutgoingEvent, Transformation};
use crate::resources::Envelope;
use crate::routes::Route;
use crate::store::{Content, Detail, SHOWN_BODY_BYTES};

/// The longest result that is made to show its beginning, in bytes.
const MAX_RESULT_BYTES: usize = 1024 * 1024;

/// Evaluates the transform for a stored event; `None` if there is none. `route` is absent if the
/// webhook was deleted.
pub fn transformed(detail: &Detail, route: Option<&Route>) -> Option<TransformedView> {
    let (transformation, envelope, props) = match route {
        Some(route) => (Transformation::of(route)?, route.app.envelope, &route.binding.props),
        None => {
            let stored = Transformation::stored(&detail.headers)?;
            (stored, Envelope::default(), &detail.summary.webhook.props)
        }
    };
    let mut outgoing = match event(detail) {
        Ok(event) => event,
        Err(why) => return Some(TransformedView { content: None, error: Some(why) }),
    };
    let applied = transformation
        .apply(envelope, props, &mut outgoing, |len| len <= MAX_RESULT_BYTES)
        .map_err(|error| error.to_string());
    let content = applied.map(|()| {
        let text = outgoing.data.map(|data| data.to_vec()).unwrap_or_default();
        let beginning = &text[..text.len().min(SHOWN_BODY_BYTES)];
        ContentView::new(beginning, text.len() as u64, false)
    });
    let error = content.as_ref().err().cloned();
    Some(TransformedView { content: content.ok(), error })
}

/// The stored event, or why it is not known.
fn event(detail: &Detail) -> Result<OutgoingEvent, String> {
    if (detail.body.len() as u64) < detail.body_bytes {
        return Err(format!("not evaluated: the event is longer than {SHOWN_BODY_BYTES} bytes"));
    }
    let content_type = detail.content_type.as_deref();
    let content = Content {
        form: detail.form,
        content_type: content_type.and_then(|value| HeaderValue::from_str(value).ok()),
        headers: detail.headers.clone(),
        body: detail.body.clone(),
    };
    Ok(OutgoingEvent::new(detail.summary.event, content))
}
