//! Content codings of HTTP (RFC 9110, section 8.4): which ones a request names, and their decoders.
//!
//! Pure: a decoder is a state machine over a body in memory. One step consumes and produces a
//! bounded number of bytes, and [`Decoder::growth`] says before it how many bytes of memory it may
//! take. So the caller bounds memory and time, and other tasks of its runtime run between two
//! steps.
//!
//! | coding | decoder | limits beside those of the caller |
//! |---|---|---|
//! | `gzip`, `x-gzip` | `flate2` on `zlib-rs` | [`MAX_MEMBERS`] |
//! | `deflate` | the same; zlib (RFC 1950), and raw deflate (RFC 1951), which some senders send instead | |
//! | `br` | `brotli-decompressor` | windows up to 16 MiB (RFC 7932); no "large window" |
//! | `zstd` | libzstd | windows up to 8 MiB (RFC 9659, section 3); no dictionaries |
//!
//! libzstd is C. The decoder in Rust, `ruzstd`, returns no byte before its whole window is full, so
//! a limit could not be kept while the output grows, and it panics on some malformed blocks.

mod brotli;
mod decoder;
mod deflate;
mod list;
#[cfg(test)]
mod tests;
mod zstd;

pub use decoder::{DecodeError, Decoder, Progress};
pub use deflate::MAX_MEMBERS;
pub use list::{ACCEPTED, Codings, MAX_CODINGS, UnsupportedCoding};

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip` or `x-gzip` (RFC 1952).
    Gzip,
    /// `deflate`: zlib, or raw deflate.
    Deflate,
    /// `br` (RFC 7932).
    Brotli,
    /// `zstd` (RFC 8878).
    Zstd,
}
