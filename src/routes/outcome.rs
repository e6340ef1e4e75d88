//! The outcomes of triggers and of delivery attempts. Metrics, spans and the `reason` of error
//! responses take their labels from here.

use strum::{EnumCount, IntoStaticStr, VariantArray};

/// The outcome of a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumCount, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum TriggerOutcome {
    /// `mode: Sync`: the listener accepted the event.
    Delivered,
    /// The event is on stable storage.
    Stored,
    /// The event was stored before.
    Duplicate,
    /// The event was stored before, and is delivered again.
    Replayed,
    /// The webhook's filter excludes the event.
    Filtered,
    /// A handshake of the sender was answered.
    Handshake,
    /// A request before the first event was answered, see `spec.probes`.
    Probe,
    /// Verification failed.
    InvalidSignature,
    /// The webhook's rate limit is exceeded, or the client has failed verification too often.
    RateLimited,
    /// No webhook has this path.
    #[strum(serialize = "error_404")]
    NotFound,
    /// The path has a malformed UUID.
    InvalidUuid,
    /// The webhook does not support this method.
    MethodNotAllowed,
    /// `spec.suspend` is set.
    Suspended,
    /// The webhook or its app is not Ready, or the keys of its issuer have not been fetched.
    NotReady,
    /// The server is shutting down.
    Draining,
    /// The client's address is not in `spec.sourceRanges`.
    SourceNotAllowed,
    /// A limit of requests in flight or of memory is reached.
    Overloaded,
    /// The body exceeds the limit.
    PayloadTooLarge,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The body is malformed or incomplete.
    InvalidBody,
    /// The body has a content coding that is not supported.
    UnsupportedEncoding,
    /// The body is not valid JSON.
    InvalidJson,
    /// The body is not a valid form.
    InvalidForm,
    /// The webhook's filter cannot be evaluated for this event.
    FilterError,
    /// The webhook's duplicate key cannot be evaluated for this event.
    DedupError,
    /// The webhook's transform cannot be evaluated for this event.
    TransformError,
    /// The event store is full.
    StoreFull,
    /// The app's share of the event store is full.
    AppStoreFull,
    /// The database of the event store cannot be used at this time.
    StoreUnavailable,
    /// The event store has failed.
    StoreFailed,
    /// `mode: Sync`: the listener failed.
    ListenerError,
    /// `mode: Sync`: the listener did not answer in time.
    ListenerTimeout,
    /// `mode: Sync`: the listener's Service has no ready endpoint.
    ListenerUnavailable,
}

impl TriggerOutcome {
    /// The label: of metrics and spans, and the `reason` of the error response.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the response is a success. All other outcomes are those of error responses.
    pub fn is_accepted(self) -> bool {
        matches!(
            self,
            Self::Delivered
                | Self::Stored
                | Self::Duplicate
                | Self::Replayed
                | Self::Filtered
                | Self::Handshake
                | Self::Probe
        )
    }
}

/// The outcome of a delivery attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumCount, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum AttemptOutcome {
    /// The listener answered with a 2xx status.
    Succeeded,
    /// The listener answered with another status.
    Refused,
    /// The listener did not answer in time.
    Timeout,
    /// The connection could not be established.
    Connect,
    /// The connection broke before the response was complete, the response is not valid HTTP, or it
    /// is to be passed to the sender and too long.
    Http,
    /// The listener's Service has no ready endpoint.
    NoEndpoints,
}

impl AttemptOutcome {
    /// The label of metrics and spans.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::doc_tables::{code_spans, first_column, rows};

    const METRICS: &str = include_str!("../../docs/metrics.md");
    const RUNBOOK: &str = include_str!("../../docs/runbook.md");
    const README: &str = include_str!("../../README.md");

    fn labels(is_included: impl Fn(TriggerOutcome) -> bool) -> Vec<&'static str> {
        let outcomes = TriggerOutcome::VARIANTS.iter().copied();
        outcomes.filter(|outcome| is_included(*outcome)).map(TriggerOutcome::as_str).collect()
    }

    #[test]
    fn the_docs_list_exactly_the_outcomes_of_triggers() {
        const HEADER: &str = "| `outcome` of a trigger | status | when |";
        assert_eq!(first_column(METRICS, HEADER), labels(|_| true));
        for row in rows(METRICS, HEADER) {
            let is_accepted = row[1].starts_with('2');
            let outcomes = TriggerOutcome::VARIANTS.iter();
            let mut outcomes =
                outcomes.filter(|outcome| code_spans(row[0]).contains(&outcome.as_str()));
            assert!(outcomes.all(|outcome| outcome.is_accepted() == is_accepted), "{row:?}");
        }
    }

    #[test]
    fn the_readme_lists_exactly_the_reasons_of_error_responses() {
        let rows = rows(README, "| outcome | status | `reason` |");
        let documented: BTreeSet<_> = rows.iter().flat_map(|row| code_spans(row[2])).collect();
        assert_eq!(documented, labels(|outcome| !outcome.is_accepted()).into_iter().collect());
    }

    #[test]
    fn the_docs_list_exactly_the_outcomes_of_attempts() {
        let outcomes = AttemptOutcome::VARIANTS.iter().map(|outcome| outcome.as_str());
        let outcomes: Vec<_> = outcomes.collect();
        let rows = rows(METRICS, "| name | type | labels | what |");
        let attempts = rows.iter().find(|row| row[0] == "`attempts_total`").unwrap();
        assert_eq!(code_spans(attempts[3]), outcomes);
        let (_, section) = RUNBOOK.split_once("\n## WebhookListenerUnreachable\n").unwrap();
        let documented: BTreeSet<_> =
            first_column(section, "| `outcome` | |").into_iter().collect();
        let failures = outcomes.into_iter().filter(|outcome| *outcome != "succeeded");
        assert_eq!(documented, failures.collect());
    }
}
