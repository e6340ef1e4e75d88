//! `gzip` (RFC 1952) and `deflate` (zlib, RFC 1950, or raw, RFC 1951).

use flate2::{Decompress, FlushDecompress, Status};

use super::decoder::{DecodeError, Moved, Stream};

/// The number of members that a gzip body may have (RFC 1952, section 2.2). Each one costs a new
/// decoder; blocked gzip has one member for 64 KiB.
pub const MAX_MEMBERS: usize = 1024;

/// The state and the window of 32 KiB that an inflater has.
const INFLATER_BYTES: usize = 64 * 1024;

/// The largest window of a gzip stream, as a power of two.
const WINDOW_BITS: u8 = 15;

/// Inflates a body.
pub struct DeflateStream {
    inflater: Decompress,
    /// Further members follow the first one, in gzip only.
    has_members: bool,
    members: usize,
    is_member_complete: bool,
}

impl DeflateStream {
    /// A decoder of gzip.
    pub fn gzip() -> Self {
        Self::new(Decompress::new_gzip(WINDOW_BITS), true)
    }

    /// A decoder of zlib, or of raw deflate if the input does not begin with a header of zlib. The
    /// first two bytes distinguish them: raw deflate that looks like such a header would begin with
    /// a stored block whose padding is not zero.
    pub fn zlib_or_raw(input: &[u8]) -> Self {
        Self::new(Decompress::new(has_zlib_header(input)), false)
    }

    fn new(inflater: Decompress, has_members: bool) -> Self {
        Self { inflater, has_members, members: 1, is_member_complete: false }
    }

    /// Begins the next member, if the body may have one.
    fn next_member(&mut self) -> Result<(), DecodeError> {
        if !self.has_members || self.members == MAX_MEMBERS {
            return Err(DecodeError::Malformed);
        }
        self.members += 1;
        self.inflater = Decompress::new_gzip(WINDOW_BITS);
        self.is_member_complete = false;
        Ok(())
    }
}

/// Whether a body begins with a header of zlib (RFC 1950, section 2.2).
fn has_zlib_header(input: &[u8]) -> bool {
    let Some(&[method, flags]) = input.first_chunk::<2>() else { return false };
    method & 0x0f == 8 && method >> 4 <= 7 && u16::from_be_bytes([method, flags]) % 31 == 0
}

impl Stream for DeflateStream {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Moved, DecodeError> {
        if self.is_member_complete {
            self.next_member()?;
        }
        let before = (self.inflater.total_in(), self.inflater.total_out());
        let status = self.inflater.decompress(input, output, FlushDecompress::None);
        match status.map_err(|_| DecodeError::Malformed)? {
            Status::StreamEnd => self.is_member_complete = true,
            Status::Ok | Status::BufError => {}
        }
        Ok(Moved {
            consumed: (self.inflater.total_in() - before.0) as usize,
            produced: (self.inflater.total_out() - before.1) as usize,
        })
    }

    fn is_complete(&self) -> bool {
        self.is_member_complete
    }

    fn fixed_memory(&self) -> usize {
        INFLATER_BYTES
    }

    fn window(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_deflate_is_recognized_by_its_first_bytes() {
        for (input, is_zlib) in [
            (&b"\x78\x9c"[..], true),
            (b"\x78\x01", true),
            (b"\x18\x19", true),
            (b"\x78", false),
            (b"\x78\x9d", false),
            (b"\xab\x56", false),
            (b"\x88\x1c", false),
        ] {
            assert_eq!(has_zlib_header(input), is_zlib, "{input:?}");
        }
    }
}
