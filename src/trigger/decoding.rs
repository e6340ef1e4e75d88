//! Removes the content codings of a body, within the limit of the webhook and the budgets of
//! memory.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::budget::BodyReservation;
use super::{Rejection, overloaded};
use crate::coding::{self, Coding, Codings, DecodeError, Decoder, Progress, UnsupportedCoding};
use crate::routes::{InFlightPermit, TriggerOutcome};

/// The memory of one trigger: its shares of the app's budget and of the operator's.
#[derive(Debug)]
pub struct Memory {
    pub permit: InFlightPermit,
    pub reservation: BodyReservation,
}

impl Memory {
    /// Reserves memory; false if a budget is exceeded.
    pub fn take(&mut self, bytes: usize) -> bool {
        self.permit.buffer(bytes) && self.reservation.take(bytes)
    }

    fn release(&mut self, bytes: usize) {
        self.permit.release(bytes);
        self.reservation.release(bytes);
    }
}

/// The body of a trigger, as it was sent, and decoded if that was possible and needed.
#[derive(Debug)]
pub struct CodedBody {
    codings: Result<Codings, UnsupportedCoding>,
    /// The bytes of the request.
    pub sent: Bytes,
    /// The body without codings.
    pub decoded: Option<Bytes>,
}

/// The reason why a body was not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyDecodeError {
    /// A coding is unknown, or there are too many.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedCoding),
    /// The body is malformed or too large.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The memory budget of the server or of the app is exhausted.
    #[error("the memory budget for bodies is exhausted")]
    OverBudget,
}

impl CodedBody {
    /// A body that is not decoded yet, unless it is empty or has no coding.
    pub fn new(headers: &HeaderMap, sent: Bytes) -> Self {
        let codings = if sent.is_empty() { Ok(Codings::default()) } else { Codings::of(headers) };
        let is_plain = codings.is_ok_and(Codings::is_empty);
        let decoded = is_plain.then(|| sent.clone());
        Self { codings, sent, decoded }
    }

    /// Whether the body has a content coding, known or not.
    pub fn is_encoded(&self) -> bool {
        !self.codings.is_ok_and(Codings::is_empty)
    }

    /// Decodes the body, unless it is decoded already. `limit` is its greatest length in bytes.
    ///
    /// # Errors
    /// See [`BodyDecodeError`].
    pub async fn decode(
        &mut self,
        limit: usize,
        memory: &mut Memory,
    ) -> Result<(), BodyDecodeError> {
        if self.decoded.is_none() {
            // Boxed, because most bodies have no coding and should not make room for a decoder.
            let decoding = Box::pin(decode_all(self.codings?, &self.sent, limit, memory));
            self.decoded = Some(decoding.await?);
        }
        Ok(())
    }
}

async fn decode_all(
    codings: Codings,
    sent: &Bytes,
    limit: usize,
    memory: &mut Memory,
) -> Result<Bytes, BodyDecodeError> {
    let (mut body, mut held) = (sent.clone(), 0);
    for coding in codings.to_decode() {
        body = decode_one(coding, body, limit, memory).await?;
        // The result of the coding before is dropped.
        memory.release(held);
        held = body.len();
    }
    Ok(body)
}

/// The length of the output stays reserved; the rest is released.
async fn decode_one(
    coding: Coding,
    body: Bytes,
    limit: usize,
    memory: &mut Memory,
) -> Result<Bytes, BodyDecodeError> {
    let mut decoder = Decoder::new(coding, body, limit);
    let mut taken = 0;
    let decoded = run(&mut decoder, memory, &mut taken).await;
    // Without unused capacity, what stays in memory is what is counted.
    let output = decoded.map(|()| decoder.into_output());
    memory.release(taken - output.as_ref().map_or(0, Bytes::len));
    output
}

/// Runs a decoder to its end. `taken` is the memory that was reserved for it.
async fn run(
    decoder: &mut Decoder,
    memory: &mut Memory,
    taken: &mut usize,
) -> Result<(), BodyDecodeError> {
    loop {
        let growth = decoder.growth();
        *taken += growth;
        if !memory.take(growth) {
            return Err(BodyDecodeError::OverBudget);
        }
        if decoder.step()? == Progress::Finished {
            return Ok(());
        }
        // Other tasks of this runtime must not wait for a large body.
        tokio::task::yield_now().await;
    }
}

/// The response to a body that cannot be decoded.
pub fn rejection(error: BodyDecodeError) -> Rejection {
    match error {
        BodyDecodeError::Unsupported(_) => Rejection::unsupported_encoding(coding::ACCEPTED),
        BodyDecodeError::Decode(DecodeError::TooLarge) => Rejection::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            TriggerOutcome::PayloadTooLarge,
            "The decoded request body is too large for this webhook.",
        ),
        BodyDecodeError::Decode(DecodeError::Malformed) => Rejection::bad_request(
            TriggerOutcome::InvalidBody,
            "The request body is not valid in its content coding.",
        ),
        BodyDecodeError::OverBudget => overloaded(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;
    use http::HeaderValue;
    use http::header::CONTENT_ENCODING;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::Budget;
    use super::*;
    use crate::coding::encode::CODINGS;
    use crate::event::{self, EventError};
    use crate::expression::{Expression, Inputs};
    use crate::routes::{AppLimits, AppQuota};

    const TOTAL: usize = 16 * 1024 * 1024;

    fn memory(budget: &Arc<Budget>) -> Memory {
        let load: Arc<AppLimits> = Arc::default();
        let permit = load.enter(AppQuota { in_flight: 1, buffered: TOTAL }).unwrap();
        Memory { permit, reservation: budget.account() }
    }

    fn coded(coding: &str, body: Vec<u8>) -> CodedBody {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap());
        CodedBody::new(&headers, body.into())
    }

    /// Decodes as a runtime without other tasks does.
    fn decode(body: &mut CodedBody, memory: &mut Memory) -> Result<(), BodyDecodeError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(body.decode(1_000_000, memory))
    }

    /// What a filter says of a body, or why there is no event.
    fn matches(body: &Bytes) -> Result<(Vec<u8>, Option<bool>), EventError> {
        let event = event::from_body(Some(b"application/json"), body.clone())?;
        let filter = Expression::compile("event.n > 0").unwrap();
        let text = event.text();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let inputs = Inputs { event: &text, headers: b"{}", props: b"null", query: b"{}", now };
        Ok((text.to_vec(), filter.holds(inputs).ok()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn decoding_then_matching_is_matching_the_plain_body(
            plain in prop_oneof![
                "\\{\"n\": (-?[0-9]{1,5}|\"x\")(, \"m\": \"[a-z]{0,300}\")?\\}".prop_map(String::into_bytes),
                vec(any::<u8>(), 1..300),
            ],
            (inner, encode) in select(&CODINGS[..]),
            outer in proptest::option::of(select(&CODINGS[..])),
        ) {
            let (mut names, mut body) = (inner.to_owned(), encode(&plain));
            if let Some((outer, encode)) = outer {
                names = format!("{names}, {outer}");
                body = encode(&body);
            }
            let mut body = coded(&names, body);
            decode(&mut body, &mut memory(&Budget::new(TOTAL))).unwrap();
            let decoded = body.decoded.unwrap();
            prop_assert_eq!(&decoded, &plain);
            prop_assert_eq!(matches(&decoded), matches(&plain.into()));
        }
    }

    #[test]
    fn a_decoded_body_stays_counted_and_nothing_else() {
        let plain = b"0123456789".repeat(30_000);
        for (coding, encode) in CODINGS {
            for names in [coding.to_owned(), format!("{coding},{coding}")] {
                let layers = names.split(',').count();
                let body = (0..layers).fold(plain.clone(), |body, _| encode(&body));
                let budget = Budget::new(TOTAL);
                let mut memory = memory(&budget);
                decode(&mut coded(&names, body), &mut memory).unwrap();
                assert!(budget.account().take(TOTAL - plain.len()), "{names}");
                assert!(!budget.account().take(TOTAL - plain.len() + 1), "{names}");
            }
        }
    }

    #[test]
    fn a_failure_gives_everything_back() {
        let zeros = vec![0; 2_000_000];
        for (coding, encode) in CODINGS {
            for (total, error) in [
                (TOTAL, BodyDecodeError::Decode(DecodeError::TooLarge)),
                (300_000, BodyDecodeError::OverBudget),
            ] {
                let budget = Budget::new(total);
                let mut memory = memory(&budget);
                assert_eq!(decode(&mut coded(coding, encode(&zeros)), &mut memory), Err(error));
                assert!(budget.account().take(total), "{coding}");
            }
        }
    }

    /// The first poll decodes a step and no more.
    #[test]
    fn other_tasks_run_between_the_steps_of_a_large_body() {
        let plain = b"0123456789".repeat(30_000);
        for (coding, encode) in CODINGS {
            let budget = Budget::new(TOTAL);
            let (mut memory, mut body) = (memory(&budget), coded(coding, encode(&plain)));
            assert!(body.decode(1_000_000, &mut memory).now_or_never().is_none(), "{coding}");
            let mut small = coded(coding, encode(b"{}"));
            assert!(small.decode(1_000_000, &mut memory).now_or_never().is_some(), "{coding}");
        }
    }
}
