//! Reads a trigger's body, bounded in bytes, in time, and by the server's memory budget.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

/// The bytes of an oversized body that are read and dropped before the response: senders that read
/// no response until they have sent everything then get it.
const DISCARD_BYTES: usize = 64 * 1024 * 1024;

/// The time limit for dropping an oversized body.
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// The reason why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyReadError {
    /// It exceeds the webhook's limit.
    #[error("the body is too large")]
    TooLarge,
    /// It did not end in time.
    #[error("the body is too slow")]
    TooSlow,
    /// Its framing is invalid, or the sender disconnected.
    #[error("the body is malformed or incomplete")]
    Broken,
    /// The memory budget of the server or of the app is exhausted.
    #[error("the memory budget for bodies is exhausted")]
    OverBudget,
}

/// The limits of a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// The length in bytes.
    pub bytes: usize,
    /// The time until its end.
    pub time: Duration,
    /// Whether the sender waits for `100 Continue` (RFC 9110, section 10.1.1), and so reads an
    /// early response.
    pub sender_waits: bool,
}

/// Reads a whole body. `take` reserves memory; it is called before bytes are kept.
///
/// # Errors
/// See [`BodyReadError`].
pub async fn read<B>(
    body: B,
    limits: BodyLimits,
    mut take: impl FnMut(usize) -> bool,
) -> Result<Bytes, BodyReadError>
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let announced = body.size_hint().lower();
    if announced > limits.bytes as u64 {
        if !limits.sender_waits {
            discard(body).await;
        }
        return Err(BodyReadError::TooLarge);
    }
    let deadline = Instant::now() + limits.time;
    let mut buffer = BodyBuffer::Nothing;
    loop {
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| BodyReadError::TooSlow)?;
        let Some(frame) = frame else { return Ok(buffer.into_bytes()) };
        let frame = frame.map_err(|_| BodyReadError::Broken)?;
        // Trailers (RFC 9110, section 6.5) are not passed to listeners.
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limits.bytes - buffer.len() {
            discard(body).await;
            return Err(BodyReadError::TooLarge);
        }
        if !take(data.len()) {
            return Err(BodyReadError::OverBudget);
        }
        buffer = buffer.with(data, announced);
        if body.is_end_stream() {
            return Ok(buffer.into_bytes());
        }
    }
}

/// The bytes read so far. Most bodies arrive in one piece, which is kept without a copy.
enum BodyBuffer {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl BodyBuffer {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(bytes) => bytes.len(),
            Self::Many(bytes) => bytes.len(),
        }
    }

    fn with(self, data: Bytes, announced: u64) -> Self {
        match self {
            Self::Nothing => Self::One(data),
            Self::One(first) => {
                // Twice the received bytes; never the announced length, which the sender chooses.
                let doubled = 2 * (first.len() + data.len());
                let announced = usize::try_from(announced).unwrap_or(usize::MAX);
                let capacity = doubled.min(announced.max(first.len() + data.len()));
                let mut all = BytesMut::with_capacity(capacity);
                all.extend_from_slice(&first);
                all.extend_from_slice(&data);
                Self::Many(all)
            }
            Self::Many(mut all) => {
                all.extend_from_slice(&data);
                Self::Many(all)
            }
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(bytes) => bytes,
            Self::Many(bytes) => bytes.freeze(),
        }
    }
}

async fn discard<B: Body<Data = Bytes>>(mut body: std::pin::Pin<&mut B>) {
    let deadline = Instant::now() + DISCARD_TIME;
    let mut dropped = 0;
    while dropped < DISCARD_BYTES {
        match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => dropped += frame.data_ref().map_or(0, Bytes::len),
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};
    use std::convert::Infallible;

    const BOUNDS: BodyLimits =
        BodyLimits { bytes: 8, time: Duration::from_secs(30), sender_waits: false };

    fn pieces(pieces: &'static [&'static str]) -> impl Body<Data = Bytes, Error = Infallible> {
        let frames =
            pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))));
        StreamBody::new(stream::iter(frames))
    }

    #[tokio::test]
    async fn a_body_in_one_piece_is_kept_as_it_came() {
        let sent = Bytes::from_static(b"12345678");
        let read = read(Full::new(sent.clone()), BOUNDS, |_| true).await.unwrap();
        assert_eq!(read.as_ptr(), sent.as_ptr());
    }

    #[tokio::test]
    async fn pieces_are_joined_up_to_the_bound_and_not_beyond() {
        assert_eq!(
            read(pieces(&["123", "45", "678"]), BOUNDS, |_| true).await.unwrap(),
            "12345678"
        );
        let error = read(pieces(&["123", "45", "6789"]), BOUNDS, |_| true).await.unwrap_err();
        assert_eq!(error, BodyReadError::TooLarge);
        assert_eq!(read(pieces(&[]), BOUNDS, |_| true).await.unwrap(), "");
    }

    #[tokio::test]
    async fn an_announced_length_beyond_the_bound_is_refused_before_anything_is_kept() {
        let error = read(Full::new(Bytes::from_static(b"123456789")), BOUNDS, |_| panic!("buffer"));
        assert_eq!(error.await.unwrap_err(), BodyReadError::TooLarge);
    }

    #[tokio::test]
    async fn bytes_are_asked_for_before_they_are_kept() {
        let error = read(pieces(&["123", "45"]), BOUNDS, |bytes| bytes != 2).await.unwrap_err();
        assert_eq!(error, BodyReadError::OverBudget);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_too_slow() {
        let endless = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        assert_eq!(read(endless, BOUNDS, |_| true).await.unwrap_err(), BodyReadError::TooSlow);
    }
}
