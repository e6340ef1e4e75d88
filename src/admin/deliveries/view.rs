//! Deliveries in responses of the API, for the server and the clients.

use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::mask;
use crate::admin::overview::view::LastHour;
use crate::delivery;
use crate::event::MediaType;
use crate::http::is_secret;
use crate::moment::Moment;
use crate::resources::DeliveryCounts;
use crate::store::{Attempted, DeliveryState, Detail, Summary, ids};

/// State of a delivery in the API, with the word of its [`DeliveryState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::VariantArray)]
#[serde(into = "&'static str", try_from = "String")]
pub enum StateView {
    /// Not finished: pending or waiting.
    Pending,
    /// The listener answered 2xx.
    Succeeded,
    /// Given up.
    Dead,
}

impl StateView {
    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        self.stored().as_str()
    }

    /// The state in a filter of the store.
    pub fn stored(self) -> DeliveryState {
        match self {
            Self::Pending => DeliveryState::Pending,
            Self::Succeeded => DeliveryState::Succeeded,
            Self::Dead => DeliveryState::Dead,
        }
    }
}

impl From<DeliveryState> for StateView {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Pending | DeliveryState::Waiting => Self::Pending,
            DeliveryState::Succeeded => Self::Succeeded,
            DeliveryState::Dead => Self::Dead,
        }
    }
}

impl From<StateView> for &'static str {
    fn from(state: StateView) -> Self {
        state.as_str()
    }
}

impl FromStr for StateView {
    type Err = strum::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let stored: DeliveryState = text.parse()?;
        let state = Self::from(stored);
        // `waiting` is a state of the store, but not of the API.
        if state.stored() == stored { Ok(state) } else { Err(Self::Err::VariantNotFound) }
    }
}

impl TryFrom<String> for StateView {
    type Error = strum::ParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// A page of the list, latest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List {
    /// The deliveries.
    pub items: Vec<DeliveryView>,
    /// Cursor of the next page; `None` on the last page.
    pub cursor: Option<String>,
    /// Replicas that did not respond; their deliveries are missing from this page.
    #[serde(default)]
    pub unavailable: Vec<String>,
}

/// A delivery in a list. The UUIDs of app and webhook are left out, because they are sufficient to
/// trigger it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryView {
    /// The delivery's id.
    pub id: Uuid,
    /// The event's id, the same for all replays.
    pub event_id: Uuid,
    /// 1 for the first delivery of an event, 2 for its first replay.
    pub generation: u32,
    /// The namespace of app and webhook.
    pub namespace: Arc<str>,
    /// The app's name.
    pub app: Arc<str>,
    /// The webhook's name.
    pub webhook: Arc<str>,
    /// The webhook's action.
    pub action: Arc<str>,
    /// The state.
    pub state: StateView,
    /// Whether a pending delivery waits for the previous one, with `ordering: Fifo`.
    pub waiting: bool,
    /// Reason of a dead delivery, such as `AttemptsUsedUp` or `TooOld`.
    pub reason: Option<String>,
    /// Number of attempts.
    pub attempt_count: u32,
    /// Status of the listener's last response.
    pub last_status: Option<u16>,
    /// Start time.
    pub created_at: Moment,
    /// Time of the next attempt of a pending delivery.
    pub due_at: Option<Moment>,
    /// End time.
    pub finished_at: Option<Moment>,
}

/// A delivery with all its data.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FullDelivery {
    /// The fields of the list.
    #[serde(flatten)]
    pub delivery: DeliveryView,
    /// Attempts, oldest first.
    pub attempts: Vec<AttemptView>,
    /// The content type of the event.
    pub content_type: Option<String>,
    /// Forwarded headers of the trigger; secrets are masked.
    pub headers: Vec<HeaderView>,
    /// The event as sent. Values with secret-like names are masked.
    pub body: ContentView,
    /// What the listener gets in place of the event; `None` without a transform.
    #[serde(default)]
    pub transformed: Option<TransformedView>,
}

/// What the webhook's transform gives now for the stored event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransformedView {
    /// The object. Values with secret-like names are masked.
    pub content: Option<ContentView>,
    /// Why there is none.
    pub error: Option<String>,
}

/// A call of the listener.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptView {
    /// Number of the attempt, from 1.
    pub number: u32,
    /// Start time.
    pub started_at: Moment,
    /// Duration in milliseconds.
    pub duration_milliseconds: u64,
    /// Status of the listener's response, if any.
    pub status: Option<u16>,
    /// Error message.
    pub error: Option<String>,
    /// Beginning of an error response; `None` for a success.
    pub answer: Option<ContentView>,
}

/// A header of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderView {
    /// Name in lower case.
    pub name: String,
    /// Value; `[masked]` for secret-like names.
    pub value: String,
}

/// Bytes, as text if they are UTF-8, otherwise as base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentView {
    /// Total size in bytes.
    pub bytes: u64,
    /// Whether the content is truncated.
    pub truncated: bool,
    /// The content as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The content in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// The new delivery of a replay.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Begun {
    /// The delivery's id.
    pub id: Uuid,
}

/// Result of a replay by filter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplayedView {
    /// Number of new deliveries.
    pub replayed: u64,
    /// Replicas that did not respond; their new deliveries are not counted.
    #[serde(default)]
    pub unavailable: Vec<String>,
}

/// Delivery counts of the webhooks of one replica.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TalliesView {
    /// One item per webhook with counts.
    pub items: Vec<WebhookTally>,
}

/// Delivery counts of a webhook on one replica.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookTally {
    /// The namespace of app and webhook.
    pub namespace: Arc<str>,
    /// The app's name.
    pub app: Arc<str>,
    /// The webhook's name.
    pub webhook: Arc<str>,
    /// Delivery counts; `None` if the webhook never queued an event.
    pub deliveries: Option<DeliveryCounts>,
    /// Time of the last successful delivery.
    pub last_delivery: Option<Moment>,
    /// Counts per minute, if requested and metrics are enabled.
    #[serde(default)]
    pub last_hour: Option<LastHour>,
}

impl From<Summary> for DeliveryView {
    fn from(summary: Summary) -> Self {
        let Summary {
            id,
            event,
            generation,
            webhook,
            state,
            reason,
            attempts,
            due,
            finished,
            last_status,
        } = summary;
        Self {
            id,
            event_id: event,
            generation,
            namespace: webhook.namespace.clone(),
            app: webhook.app_name.clone(),
            webhook: webhook.name.clone(),
            action: webhook.action.clone(),
            state: state.into(),
            waiting: state == DeliveryState::Waiting,
            reason: reason.map(|reason| reason.as_str().to_owned()),
            attempt_count: attempts,
            last_status,
            created_at: ids::moment(id),
            due_at: due,
            finished_at: finished,
        }
    }
}

impl FullDelivery {
    /// The delivery, and what the listener gets.
    pub fn new(detail: Detail, transformed: Option<TransformedView>) -> Self {
        let Detail { summary, attempts, content_type, headers, form: _, body_bytes, body } = detail;
        let is_form = content_type
            .as_ref()
            .is_some_and(|value| MediaType::of(value.as_bytes()) == MediaType::UrlEncoded);
        Self {
            delivery: summary.into(),
            attempts: attempts.into_iter().map(AttemptView::from).collect(),
            content_type,
            headers: shown_headers(&headers),
            body: ContentView::new(&body, body_bytes, is_form),
            transformed,
        }
    }
}

fn shown_headers(headers: &HeaderMap) -> Vec<HeaderView> {
    let shown = |name: &str, value: &http::HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes());
        let value = match is_secret(name) {
            true => mask::MASK.into(),
            // A query string has the form of a URL-encoded body.
            false if name == delivery::QUERY || name == delivery::RAW_QUERY => {
                mask::text(&text, true)
            }
            false => text.into_owned(),
        };
        HeaderView { name: name.to_owned(), value }
    };
    // The stored inputs of a transform are not passed on.
    let passed_on =
        headers.iter().filter(|(name, _)| !delivery::transform::is_input(name.as_str()));
    passed_on.map(|(name, value)| shown(name.as_str(), value)).collect()
}

impl From<Attempted> for AttemptView {
    fn from(attempted: Attempted) -> Self {
        let Attempted { number, started, took, status, error, answer } = attempted;
        Self {
            number,
            started_at: started,
            duration_milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            status,
            error: error.map(String::from),
            answer: shown_answer(&answer),
        }
    }
}

fn shown_answer(answer: &Bytes) -> Option<ContentView> {
    (!answer.is_empty()).then(|| ContentView::new(answer, answer.len() as u64, false))
}

impl ContentView {
    /// Content that starts with `beginning` and has `total` bytes in all.
    pub fn new(beginning: &[u8], total: u64, is_form: bool) -> Self {
        let truncated = (beginning.len() as u64) < total;
        let text = match str::from_utf8(beginning) {
            Ok(text) => Some(text),
            // Only the last character is truncated: the text ends before it.
            Err(error) if truncated && error.error_len().is_none() => {
                str::from_utf8(&beginning[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        Self {
            bytes: total,
            truncated,
            text: text.map(|text| mask::text(text, is_form)),
            base64: text.is_none().then(|| STANDARD.encode(beginning)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_if_they_are_utf_8_and_base64_otherwise() {
        let content = |bytes: &[u8], total| {
            let ContentView { truncated, text, base64, .. } = ContentView::new(bytes, total, false);
            (truncated, text, base64)
        };
        assert_eq!(content("zwölf".as_bytes(), 6), (false, Some("zwölf".into()), None));
        assert_eq!(content(b"", 0), (false, Some(String::new()), None));
        assert_eq!(content(&[0xff, 0], 2), (false, None, Some("/wA=".into())));
        assert_eq!(content(&"zwö".as_bytes()[..3], 6), (true, Some("zw".into()), None));
        assert_eq!(
            content(&"zwö".as_bytes()[..3], 3),
            (false, None, Some(STANDARD.encode("zwö".as_bytes().split_at(3).0)))
        );
    }
}
