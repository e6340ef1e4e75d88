//! Removes the content codings of a body, within the limit of the webhook and the budgets of memory.

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
            self.decoded = Some(decode_all(self.codings?, &self.sent, limit, memory).await?);
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
