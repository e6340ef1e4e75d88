//! The result of a test event, as data and as text. Pure.

use std::fmt::Write as _;

use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use strum::VariantArray;
use uuid::Uuid;

use crate::admin::deliveries::view::{AttemptView, FullDelivery, StateView};
use crate::cli::client::called::command;
use crate::cli::client::table::{age, clean};
use crate::moment::Moment;
use crate::routes::TriggerOutcome;
use crate::trigger::OUTCOME;

/// The result of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// The listener accepted it.
    Delivered,
    /// It is stored; its delivery was not awaited.
    Accepted,
    /// It is stored and was not delivered in time.
    Pending,
    /// It is stored, and the delivery is dead.
    Dead,
    /// It was stored before.
    Duplicate,
    /// It was stored before, and is delivered again.
    Replayed,
    /// The webhook's filter excludes it.
    Filtered,
    /// It was a handshake of the provider, not an event.
    Answered,
    /// It was refused.
    Refused,
}

impl Outcome {
    /// Whether the result is a success for the sender.
    pub fn is_good(self) -> bool {
        !matches!(self, Self::Pending | Self::Dead | Self::Refused)
    }

    /// The result with this label in the header [`OUTCOME`].
    fn named(label: &[u8]) -> Option<Self> {
        let mut outcomes = TriggerOutcome::VARIANTS.iter();
        match outcomes.find(|outcome| outcome.as_str().as_bytes() == label)? {
            TriggerOutcome::Stored => Some(Self::Accepted),
            TriggerOutcome::Delivered => Some(Self::Delivered),
            TriggerOutcome::Duplicate => Some(Self::Duplicate),
            TriggerOutcome::Replayed => Some(Self::Replayed),
            TriggerOutcome::Filtered => Some(Self::Filtered),
            _ => None,
        }
    }
}

/// The report on a test event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The webhook's namespace.
    pub namespace: String,
    /// Its name.
    pub webhook: String,
    /// The `type` of the `verify` entry that the signature is for.
    pub signed_as: Option<&'static str>,
    /// The operator's response.
    #[serde(flatten)]
    pub answer: Answer,
    /// The delivery, if it was awaited.
    pub delivery: Option<FullDelivery>,
    /// Why the delivery was not awaited.
    pub not_followed: Option<String>,
}

/// The operator's response.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The status of the response.
    pub status: u16,
    /// Its meaning.
    pub outcome: Outcome,
    /// The event's id.
    pub event_id: Option<Uuid>,
    /// Reason of the error.
    pub reason: Option<String>,
    /// Message of the error.
    pub message: Option<String>,
}

impl Answer {
    /// Parses a response of the trigger port.
    pub fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let said = headers.get("webhook-event-id").and_then(|id| id.to_str().ok());
        let event_id = said.and_then(|id| id.parse().ok());
        let is_ours = event_id.is_some() || text("reason").is_some();
        // In a response that is not the default one, a header says what the body would have said.
        let named = headers.get(OUTCOME).and_then(|name| Outcome::named(name.as_bytes()));
        let outcome = match status {
            StatusCode::ACCEPTED if value["replayed"] == true => Outcome::Replayed,
            StatusCode::ACCEPTED if is_ours => Outcome::Accepted,
            _ if !status.is_success() || status == StatusCode::ACCEPTED => Outcome::Refused,
            _ if value["duplicate"] == true => Outcome::Duplicate,
            _ if value["filtered"] == true => Outcome::Filtered,
            _ if value == "ok" && is_ours => Outcome::Delivered,
            _ => Outcome::Answered,
        };
        let outcome = named.unwrap_or(outcome);
        let (reason, mut message) = (text("reason"), text("message"));
        if outcome == Outcome::Refused && !is_ours {
            let server = headers.get(header::SERVER).and_then(|name| name.to_str().ok());
            let who = server.map_or(String::new(), |name| format!(" (Server: {name})"));
            message = Some(format!(
                "the response is not from a webhook-operator{who}: check that the URL is that of its trigger port"
            ));
        }
        Self { status: status.as_u16(), outcome, event_id, reason, message }
    }
}

impl Report {
    /// Adds the state of the delivery.
    pub fn follow(&mut self, delivery: FullDelivery) {
        self.answer.outcome = match delivery.delivery.state {
            StateView::Pending => Outcome::Pending,
            StateView::Succeeded => Outcome::Delivered,
            StateView::Dead => Outcome::Dead,
        };
        self.delivery = Some(delivery);
    }

    /// The report as text.
    pub fn to_text(&self, now: Moment) -> String {
        let Self { namespace, webhook, signed_as, answer, .. } = self;
        let how = signed_as.map_or_else(|| "unsigned".into(), |name| format!("signed for {name}"));
        let mut text = format!("Sent to {}, {how}.\n", clean(&format!("{namespace}/{webhook}")));
        text.push_str(&self.taken());
        if let Some(delivery) = &self.delivery {
            let _ = write!(text, "\n{}", became(delivery, now));
        }
        if let (Some(why), Some(id)) = (&self.not_followed, answer.event_id) {
            let _ = write!(text, "\nIts delivery cannot be read from here: {}.", clean(why));
            let _ = write!(text, "\n  {}", command(&format!("deliveries show {id}")));
        }
        text
    }

    /// The operator's response as text.
    fn taken(&self) -> String {
        let Answer { status, outcome, event_id, reason, message } = &self.answer;
        let id = event_id.map(|id| id.to_string()).unwrap_or_default();
        match outcome {
            Outcome::Delivered if self.delivery.is_none() => {
                format!("{status}: the listener accepted it (event {id}).")
            }
            Outcome::Delivered | Outcome::Accepted | Outcome::Pending | Outcome::Dead => {
                format!("{status}: stored as event {id}.")
            }
            Outcome::Duplicate => format!(
                "{status}: a duplicate of the stored event {id}; it is not delivered again."
            ),
            Outcome::Replayed => {
                format!(
                    "{status}: a repetition of the stored event {id}, which is delivered again."
                )
            }
            Outcome::Filtered => format!(
                "{status}: excluded by the webhook's filter, so the listener is not called (event {id})."
            ),
            Outcome::Answered => {
                format!("{status}: answered as a handshake of the provider; no event was created.")
            }
            Outcome::Refused => {
                let reason = reason.as_deref().map(|reason| format!(" {}", clean(reason)));
                let message = message.as_deref().map(|message| format!(": {}", clean(message)));
                let (reason, message) = (reason.unwrap_or_default(), message.unwrap_or_default());
                format!("Refused with {status}{reason}{message}{}", self.hint())
            }
        }
    }

    /// Advice for a refused event.
    fn hint(&self) -> String {
        let Self { namespace, webhook, .. } = self;
        match self.answer.reason.as_deref() {
            Some(
                "not_ready" | "suspended" | "error_404" | "store_full" | "app_store_full"
                | "store_unavailable" | "store_failed",
            ) => {
                let status = command(&format!("status {namespace}/{webhook}"));
                format!("\n  {}", clean(&status))
            }
            _ => String::new(),
        }
    }
}

/// The state of the delivery as text.
fn became(full: &FullDelivery, now: Moment) -> String {
    let delivery = &full.delivery;
    let app = clean(&delivery.app);
    let last = full.attempts.last();
    match (delivery.state, last) {
        (StateView::Succeeded, Some(AttemptView { number, duration_milliseconds, status, .. })) => {
            let status =
                status.map_or(String::new(), |status| format!(", which responded with {status}"));
            format!(
                "Delivered to the listener of {app}{status}, on attempt {number} in {duration_milliseconds} ms."
            )
        }
        (StateView::Succeeded, None) => format!("Delivered to the listener of {app}."),
        (StateView::Dead, last) => {
            let reason = delivery.reason.as_deref().map(clean).unwrap_or_default();
            let last = last.map(|attempt| format!(": {}", failed(attempt))).unwrap_or_default();
            let replay = command(&format!("deliveries replay {}", delivery.id));
            format!("Dead, {reason}{last}. Replay it with: {replay}")
        }
        (StateView::Pending, _) if delivery.waiting => {
            "Still waiting for the event before it (ordering: Fifo).".into()
        }
        (StateView::Pending, None) => "Still pending: no attempt has been made yet.".into(),
        (StateView::Pending, Some(attempt)) => {
            let next = match delivery.due_at {
                Some(due) if due > now => format!("in {}", age(due.since(now))),
                _ => "now".into(),
            };
            format!("Still pending: {}; the next attempt is {next}.", failed(attempt))
        }
    }
}

fn failed(attempt: &AttemptView) -> String {
    let AttemptView { number, status, error, .. } = attempt;
    match (status, error) {
        (Some(status), _) => format!("attempt {number} got status {status}"),
        (None, Some(error)) => format!("attempt {number} failed: {}", clean(error)),
        (None, None) => format!("attempt {number} failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;
    use serde_json::json;

    const ID: &str = "019d5a1c-0c1e-7c40-8f0e-2a9d4b7f1c22";

    fn answer(status: u16, with_id: bool, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if with_id {
            headers.insert("webhook-event-id", ID.parse().unwrap());
        }
        Answer::read(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
    }

    fn report(answer: Answer) -> Report {
        Report {
            namespace: "team-a".into(),
            webhook: "pay".into(),
            signed_as: Some("GitHub"),
            answer,
            delivery: None,
            not_followed: None,
        }
    }

    fn delivery(state: &str, attempts: Value) -> FullDelivery {
        serde_json::from_value(json!({
            "id": ID, "eventId": ID, "generation": 1, "namespace": "team-a", "app": "shop",
            "webhook": "pay", "action": "paid", "state": state, "waiting": false,
            "reason": (state == "dead").then_some("Rejected"), "attemptCount": 1,
            "lastStatus": null, "createdAt": "2026-11-24T12:00:00Z",
            "dueAt": "2026-11-24T12:00:05Z", "finishedAt": null, "attempts": attempts,
            "contentType": null, "headers": [], "body": {"bytes": 0, "truncated": false},
        }))
        .unwrap()
    }

    fn attempt(status: Option<u16>, error: Option<&str>) -> Value {
        json!([{"number": 1, "startedAt": "2026-11-24T12:00:00Z", "durationMilliseconds": 12,
            "status": status, "error": error, "answer": null}])
    }

    #[test]
    fn each_answer_of_the_contract_has_an_outcome() {
        for (status, with_id, body, outcome) in [
            (202, true, r#"{"id":"x"}"#, Outcome::Accepted),
            (200, true, r#""ok""#, Outcome::Delivered),
            (200, true, r#"{"id":"x","duplicate":true}"#, Outcome::Duplicate),
            (202, true, r#"{"id":"x","replayed":true}"#, Outcome::Replayed),
            (200, true, r#"{"id":"x","filtered":true}"#, Outcome::Filtered),
            (200, false, r#"{"type":1}"#, Outcome::Answered),
            (401, false, r#"{"message":"m","reason":"invalid_signature"}"#, Outcome::Refused),
            (502, true, r#"{"message":"m","reason":"listener_error"}"#, Outcome::Refused),
            (202, false, "<html>", Outcome::Refused),
            (404, false, "<html>", Outcome::Refused),
            (301, false, "", Outcome::Refused),
        ] {
            assert_eq!(answer(status, with_id, body).outcome, outcome, "{status} {body}");
        }
    }

    #[test]
    fn a_response_that_the_webhook_chose_says_its_outcome_in_a_header() {
        for (named, outcome) in [
            ("stored", Outcome::Accepted),
            ("delivered", Outcome::Delivered),
            ("duplicate", Outcome::Duplicate),
            ("replayed", Outcome::Replayed),
            ("filtered", Outcome::Filtered),
            ("other", Outcome::Answered),
        ] {
            let headers = HeaderMap::from_iter([
                (HeaderName::from_static("webhook-event-id"), ID.parse().unwrap()),
                (HeaderName::from_static("webhook-outcome"), named.parse().unwrap()),
            ]);
            let answer = Answer::read(StatusCode::OK, &headers, b"<Response/>");
            assert_eq!(answer.outcome, outcome, "{named}");
        }
    }

    #[test]
    fn what_no_operator_answered_is_told_from_a_refusal() {
        let words = report(answer(404, false, "<html>")).to_text(Moment(0));
        assert!(words.contains("not from a webhook-operator"), "{words}");
        let refused = r#"{"message":"No valid signature.","reason":"invalid_signature"}"#;
        let words = report(answer(401, false, refused)).to_text(Moment(0));
        assert!(
            words.ends_with("Refused with 401 invalid_signature: No valid signature."),
            "{words}"
        );
    }

    #[test]
    fn what_became_of_a_delivery_is_told_in_words() {
        let now = Moment::parse("2026-11-24T12:00:01Z").unwrap();
        for (state, attempts, outcome, words) in [
            (
                "succeeded",
                attempt(Some(200), None),
                Outcome::Delivered,
                "Delivered to the listener of shop, which responded with 200, on attempt 1 in 12 ms.",
            ),
            (
                "dead",
                attempt(Some(404), None),
                Outcome::Dead,
                "Dead, Rejected: attempt 1 got status 404. Replay it with: webhook-operator deliveries replay 019d5a1c-0c1e-7c40-8f0e-2a9d4b7f1c22",
            ),
            (
                "pending",
                attempt(Some(503), None),
                Outcome::Pending,
                "Still pending: attempt 1 got status 503; the next attempt is in 4s.",
            ),
            (
                "pending",
                attempt(None, Some("no\nroute")),
                Outcome::Pending,
                "Still pending: attempt 1 failed: no\\nroute; the next attempt is in 4s.",
            ),
            (
                "pending",
                json!([]),
                Outcome::Pending,
                "Still pending: no attempt has been made yet.",
            ),
        ] {
            let mut report = report(answer(202, true, "{}"));
            report.follow(delivery(state, attempts));
            assert_eq!(report.answer.outcome, outcome);
            let said = report.to_text(now);
            assert_eq!(
                said.lines().collect::<Vec<_>>(),
                [
                    "Sent to team-a/pay, signed for GitHub.",
                    &format!("202: stored as event {ID}."),
                    words,
                ]
            );
        }
    }

    #[test]
    fn only_what_is_refused_dead_or_late_is_no_success() {
        use Outcome::{Accepted, Answered, Dead, Delivered, Duplicate, Filtered, Pending, Refused};
        let good = [Accepted, Answered, Delivered, Duplicate, Outcome::Replayed, Filtered];
        assert!(good.iter().all(|it| it.is_good()));
        assert!([Pending, Dead, Refused].iter().all(|it| !it.is_good()));
    }
}
