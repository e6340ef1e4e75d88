//! `zstd` (RFC 8878).

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::decoder::{DecodeError, Moved, Stream};

/// The longest window, as a power of two: 8 MiB, the limit for content codings (RFC 9659, section
/// 3). It also bounds what the decoder allocates.
const WINDOW_LOG: u32 = 23;

/// The state, and the buffers of one block of 128 KiB each.
const STATE_BYTES: usize = 512 * 1024;

/// Decodes frames of zstd, skippable ones included.
pub struct ZstdStream {
    context: DCtx<'static>,
    /// A frame ended, with all of its output, at the end of what was consumed.
    is_frame_complete: bool,
}

impl ZstdStream {
    /// A decoder of one or more frames.
    pub fn new() -> Self {
        let mut context = DCtx::create();
        // Cannot fail: the value is within the parameter's bounds, and no frame has begun.
        let is_set = context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG));
        debug_assert!(is_set.is_ok());
        Self { context, is_frame_complete: false }
    }
}

impl Stream for ZstdStream {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Moved, DecodeError> {
        let mut from = InBuffer::around(input);
        let mut to = OutBuffer::around(output);
        let expected = self.context.decompress_stream(&mut to, &mut from);
        let expected = expected.map_err(|_| DecodeError::Malformed)?;
        // Zero after a frame; else a hint for the length of the next input.
        self.is_frame_complete = expected == 0;
        Ok(Moved { consumed: from.pos(), produced: to.pos() })
    }

    fn is_complete(&self) -> bool {
        self.is_frame_complete
    }

    fn fixed_memory(&self) -> usize {
        STATE_BYTES
    }

    fn window(&self) -> usize {
        1 << WINDOW_LOG
    }
}
