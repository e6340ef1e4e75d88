//! Deliveries as the API writes them, and as its clients read them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::mask;
use crate::admin::overview::view::LastHour;
use crate::moment::Moment;
use crate::resources::DeliveryCounts;
use crate::store::{self, Attempted, Detail, Reason, Summary, ids};

/// Where a delivery stands, as callers name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has not ended.
    Pending,
    /// The listener took it.
    Succeeded,
    /// It was given up.
    Dead,
}

impl State {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Succeeded, Self::Dead];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Dead => "dead",
        }
    }

    /// As a filter of the store has it.
    pub fn stored(self) -> store::State {
        match self {
            Self::Pending => store::State::Pending,
            Self::Succeeded => store::State::Succeeded,
            Self::Dead => store::State::Dead,
        }
    }
}

impl From<store::State> for State {
    fn from(state: store::State) -> Self {
        match state {
            store::State::Pending | store::State::Waiting => Self::Pending,
            store::State::Succeeded => Self::Succeeded,
            store::State::Dead => Self::Dead,
        }
    }
}

/// A part of the list, the latest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List {
    /// The deliveries.
    pub items: Vec<Delivery>,
    /// Where the next part begins; `None` when this is the last one.
    pub cursor: Option<String>,
    /// The replicas that did not answer: what they have is not here.
    #[serde(default)]
    pub unavailable: Vec<String>,
}

/// A delivery in a list. Neither UUID of its webhook's URL is told: who knows both may trigger it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The delivery's id.
    pub id: Uuid,
    /// The event's id: the same for its replays.
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
    /// Where it stands.
    pub state: State,
    /// Whether it waits for one before it, by `ordering: Fifo`.
    pub waiting: bool,
    /// Why it is dead: `AttemptsUsedUp`, `TooOld`, `Rejected` or `AppDeleted`.
    pub reason: Option<String>,
    /// How many attempts were made.
    pub attempt_count: u32,
    /// The status that the listener answered last.
    pub last_status: Option<u16>,
    /// When it began.
    pub created_at: Moment,
    /// When it is attempted next, while it is pending.
    pub due_at: Option<Moment>,
    /// When it ended.
    pub finished_at: Option<Moment>,
}

/// A delivery with all that is kept of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FullDelivery {
    /// As in the list.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// Its attempts, the first one first.
    pub attempts: Vec<Attempt>,
    /// The content type of the event.
    pub content_type: Option<String>,
    /// Headers of the trigger that are passed on; secrets are masked.
    pub headers: Vec<Header>,
    /// The event as it was sent; secrets are masked as far as names tell them.
    pub body: Content,
}

/// A call of the listener.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// When it began.
    pub started_at: Moment,
    /// How long it took, in milliseconds.
    pub duration_milliseconds: u64,
    /// The status that the listener answered, if it did.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// The beginning of the listener's answer; nothing is kept of the answer to a success.
    pub answer: Option<Content>,
}

/// A header of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// In lower case.
    pub name: String,
    /// `[masked]` where the name tells that it is a secret.
    pub value: String,
}

/// Bytes for people: text where they are UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// How many there are in all.
    pub bytes: u64,
    /// Whether only the beginning is here.
    pub truncated: bool,
    /// Their text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// The delivery that a replay began.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Begun {
    /// Its id.
    pub id: Uuid,
}

/// What a replay by filter did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replayed {
    /// How many deliveries began.
    pub replayed: u64,
    /// The replicas that did not answer: how many began there is not known.
    #[serde(default)]
    pub unavailable: Vec<String>,
}

/// What became of the events of webhooks at one replica.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tallies {
    /// Of each webhook that had something to count.
    pub items: Vec<WebhookTally>,
}

/// What became of the events of a webhook at one replica.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookTally {
    /// The namespace of app and webhook.
    pub namespace: Arc<str>,
    /// The app's name.
    pub app: Arc<str>,
    /// The webhook's name.
    pub webhook: Arc<str>,
    /// How many deliveries there are; `None` of one that never queued anything.
    pub deliveries: Option<DeliveryCounts>,
    /// When its listener last took an event.
    pub last_delivery: Option<Moment>,
    /// Minute by minute, where it was asked for and is counted.
    #[serde(default)]
    pub last_hour: Option<LastHour>,
}

impl From<Summary> for Delivery {
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
            waiting: state == store::State::Waiting,
            reason: reason.map(|reason| reason_name(reason).to_owned()),
            attempt_count: attempts,
            last_status,
            created_at: ids::moment(id),
            due_at: due,
            finished_at: finished,
        }
    }
}

fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::AttemptsUsedUp => "AttemptsUsedUp",
        Reason::TooOld => "TooOld",
        Reason::Rejected => "Rejected",
        Reason::AppDeleted => "AppDeleted",
        Reason::Unreadable => "Unreadable",
    }
}

impl From<Detail> for FullDelivery {
    fn from(detail: Detail) -> Self {
        let Detail { summary, attempts, content_type, headers, body_bytes, body } = detail;
        let essence = content_type.as_deref().and_then(|value| value.split(';').next());
        let is_form = essence.is_some_and(|essence| {
            essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
        Self {
            delivery: summary.into(),
            attempts: attempts.into_iter().map(Attempt::from).collect(),
            content_type,
            headers: shown_headers(&headers),
            body: Content::new(&body, body_bytes, is_form),
        }
    }
}

fn shown_headers(headers: &HeaderMap) -> Vec<Header> {
    let shown = |name: &str, value: &http::HeaderValue| {
        let value = match mask::is_secret(name) {
            true => mask::MASK.into(),
            false => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        };
        Header { name: name.to_owned(), value }
    };
    headers.iter().map(|(name, value)| shown(name.as_str(), value)).collect()
}

impl From<Attempted> for Attempt {
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

fn shown_answer(answer: &Bytes) -> Option<Content> {
    (!answer.is_empty()).then(|| Content::new(answer, answer.len() as u64, false))
}

impl Content {
    /// The beginning of `total` bytes.
    fn new(beginning: &[u8], total: u64, is_form: bool) -> Self {
        let truncated = (beginning.len() as u64) < total;
        let text = match str::from_utf8(beginning) {
            Ok(text) => Some(text),
            // A character that was cut through ends the text, no more.
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
    fn bytes_are_text_where_they_are_utf_8_and_base64_elsewhere() {
        let content = |bytes: &[u8], total| {
            let Content { truncated, text, base64, .. } = Content::new(bytes, total, false);
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
