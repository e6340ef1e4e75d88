//! Decodes one coding of a body, step by step.

use bytes::Bytes;

use super::Coding;
use super::brotli::BrotliStream;
use super::deflate::DeflateStream;
use super::zstd::ZstdStream;

/// The input that one step consumes at most, and the output that it produces at most, in bytes.
/// This takes some tenths of a millisecond.
const STEP: usize = 64 * 1024;

/// The smallest capacity of an output, in bytes.
const FIRST_CAPACITY: usize = 512;

/// Whether a body is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More steps are needed.
    Unfinished,
    /// The output is complete.
    Finished,
}

/// The reason why a body was not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The decoded body exceeds the limit.
    #[error("the decoded body is too large")]
    TooLarge,
    /// The body is malformed or incomplete, or has bytes after its end.
    #[error("the body is not valid in its content coding")]
    Malformed,
}

/// The bytes that a stream consumed of its input, and those that it wrote to its output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub consumed: usize,
    pub produced: usize,
}

/// A stream of one coding.
pub(super) trait Stream {
    /// Decodes a part of the input into a part of the output, and fills the output as long as there
    /// is input.
    ///
    /// # Errors
    /// The input is malformed.
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Moved, DecodeError>;

    /// Whether the stream may end here, all output written.
    fn is_complete(&self) -> bool;

    /// The memory of the decoder itself, in bytes.
    fn fixed_memory(&self) -> usize;

    /// The memory of the longest window that the decoder keeps beside its output, in bytes. It
    /// is taken as the output grows.
    fn window(&self) -> usize;
}

/// Decodes a body that is in memory completely.
pub struct Decoder {
    stream: Box<dyn Stream + Send>,
    input: Bytes,
    output: Vec<u8>,
    limit: usize,
    /// The memory that was announced by [`Self::growth`] so far.
    memory: usize,
}

impl Decoder {
    /// Creates a decoder for a body that has one coding. `limit` is the longest output, in bytes.
    pub fn new(coding: Coding, input: Bytes, limit: usize) -> Self {
        let stream: Box<dyn Stream + Send> = match coding {
            Coding::Gzip => Box::new(DeflateStream::gzip()),
            Coding::Deflate => Box::new(DeflateStream::zlib_or_raw(&input)),
            Coding::Brotli => Box::new(BrotliStream::new()),
            Coding::Zstd => Box::new(ZstdStream::new()),
        };
        Self { stream, input, output: Vec::new(), limit, memory: 0 }
    }

    /// The memory that the next step may take in addition, in bytes.
    pub fn growth(&self) -> usize {
        self.next_memory() - self.memory
    }

    /// The memory after the next step: the decoder, the output, and the window, which has at most
    /// the bytes of the output.
    fn next_memory(&self) -> usize {
        let capacity = self.next_capacity();
        self.stream.fixed_memory() + capacity + self.stream.window().min(capacity)
    }

    /// The capacity of the output in the next step. One byte more than the limit shows that an
    /// output exceeds it.
    fn next_capacity(&self) -> usize {
        let capacity = self.output.capacity();
        if self.output.len() < capacity {
            return capacity;
        }
        // JSON shrinks to some tenth. The sender chooses the input, so its length is only a hint.
        let first = self.input.len().saturating_mul(4).clamp(FIRST_CAPACITY, STEP);
        let next = if capacity == 0 { first } else { capacity.saturating_mul(2) };
        next.min(self.limit.saturating_add(1))
    }

    /// Decodes the next part of the body.
    ///
    /// # Errors
    /// The body is malformed, or longer than the limit.
    pub fn step(&mut self) -> Result<Progress, DecodeError> {
        self.memory = self.next_memory();
        self.output.reserve_exact(self.next_capacity() - self.output.len());
        let before = self.output.len();
        let room = (self.output.capacity() - before).min(STEP);
        self.output.resize(before + room, 0);
        let part = &self.input[..self.input.len().min(STEP)];
        let Moved { consumed, produced } = self.stream.decode(part, &mut self.output[before..])?;
        self.output.truncate(before + produced);
        if self.output.len() > self.limit {
            return Err(DecodeError::TooLarge);
        }
        let _ = self.input.split_to(consumed);
        let is_at_end = self.input.is_empty();
        if is_at_end && self.stream.is_complete() {
            return Ok(Progress::Finished);
        }
        let has_progressed = consumed > 0 || produced > 0;
        if !has_progressed || (is_at_end && produced < room) {
            return Err(DecodeError::Malformed);
        }
        Ok(Progress::Unfinished)
    }

    /// The decoded body, after [`Progress::Finished`], without unused capacity.
    pub fn into_output(mut self) -> Bytes {
        self.output.shrink_to_fit();
        self.output.into()
    }
}
