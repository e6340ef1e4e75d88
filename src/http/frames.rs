//! Frames of HTTP/2 that ask for nothing but work. h2 answers PING and SETTINGS for as long as they come
//! (CVE-2019-9512, CVE-2019-9515), and offers no bound; so they are counted in the bytes before it reads them.

use super::opening::PREFACE;

/// Length, type, flags and stream (RFC 9113, section 4.1).
const HEAD_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// Follows the frames of a connection in its bytes, however they are cut.
#[derive(Debug)]
pub struct Frames {
    /// Bytes that belong to no head.
    skip: usize,
    head: [u8; HEAD_BYTES],
    len: usize,
}

impl Default for Frames {
    /// The preface comes first.
    fn default() -> Self {
        Self { skip: PREFACE.len(), head: [0; HEAD_BYTES], len: 0 }
    }
}

impl Frames {
    /// Reads on. Returns how many frames begin here that ask for nothing.
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
                let asks_nothing = match kind {
                    HEADERS => false,
                    DATA => self.skip == 0,
                    _ => true,
                };
                idle += u32::from(asks_nothing);
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
