//! Counts HTTP/2 frames that cause work but carry no request. h2 answers PING and SETTINGS frames
//! without a limit (CVE-2019-9512, CVE-2019-9515) and offers no option for one, so they are counted
//! in the bytes before h2 reads them.

use super::opening::PREFACE;

/// Length, type, flags and stream (RFC 9113, section 4.1).
const HEAD_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// Tracks the frames of a connection across reads.
#[derive(Debug)]
pub struct Frames {
    /// The bytes to skip before the next frame header.
    skip: usize,
    head: [u8; HEAD_BYTES],
    len: usize,
}

impl Default for Frames {
    /// Skips the preface first.
    fn default() -> Self {
        Self { skip: PREFACE.len(), head: [0; HEAD_BYTES], len: 0 }
    }
}

impl Frames {
    /// Reads further bytes. Returns the number of frames beginning in them that carry no request.
    pub fn read(&mut self, mut bytes: &[u8]) -> u32 {
        let mut idle = 0;
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEAD_BYTES - self.len).min(bytes.len());
            if taken == 0 {
                return idle;
            }
            self.head[self.len..self.len + taken].copy_from_slice(&bytes[..taken]);
            self.len += taken;
            bytes = &bytes[taken..];
            if self.len == HEAD_BYTES {
                let [a, b, c, kind, ..] = self.head;
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                self.len = 0;
                let has_no_request = match kind {
                    HEADERS => false,
                    DATA => self.skip == 0,
                    _ => true,
                };
                idle += u32::from(has_no_request);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        [&[0, 0, payload.len() as u8, kind, 0, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn frames_that_ask_for_nothing_are_counted_however_the_bytes_are_cut() {
        let headers = frame(HEADERS, b"\0\0\x08\x06\0\0\0\0\0 no PING");
        let all = [
            PREFACE.to_vec(),
            frame(4, b""),
            headers,
            frame(9, b"abc"),
            frame(DATA, b"{}"),
            frame(DATA, b""),
            frame(6, &[7; 8]),
            frame(8, &[0; 4]),
        ]
        .concat();
        for size in 1..all.len() {
            let mut frames = Frames::default();
            let idle: u32 = all.chunks(size).map(|piece| frames.read(piece)).sum();
            assert_eq!(idle, 5, "pieces of {size}");
        }
    }
}
