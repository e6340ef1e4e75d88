//! `br` (RFC 7932).

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::decoder::{DecodeError, Moved, Stream};

/// The longest window (RFC 7932, section 9.1). The decoder's buffer grows up to it with the output.
const WINDOW: usize = 16 * 1024 * 1024;

/// The state, and the prefix codes of a usual stream. A malicious one needs about 3 MiB for them.
const STATE_BYTES: usize = 512 * 1024;

type State = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

/// Decodes brotli.
pub struct BrotliStream {
    state: Box<State>,
    is_complete: bool,
}

impl BrotliStream {
    /// A decoder of a whole stream. It refuses windows beyond those of the RFC.
    pub fn new() -> Self {
        let alloc = StandardAlloc::default;
        let state = BrotliState::new_strict(alloc(), alloc(), alloc());
        Self { state: Box::new(state), is_complete: false }
    }
}

impl Stream for BrotliStream {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Moved, DecodeError> {
        if self.is_complete {
            return Err(DecodeError::Malformed);
        }
        let (mut left, mut consumed) = (input.len(), 0);
        let (mut free, mut produced, mut total) = (output.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut consumed,
            input,
            &mut free,
            &mut produced,
            output,
            &mut total,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultSuccess => self.is_complete = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultFailure => return Err(DecodeError::Malformed),
        }
        Ok(Moved { consumed, produced })
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }

    fn fixed_memory(&self) -> usize {
        STATE_BYTES
    }

    fn window(&self) -> usize {
        WINDOW
    }
}
