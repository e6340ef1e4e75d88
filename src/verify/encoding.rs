//! Decodes signatures on the stack.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The buffer size for a signature: 64 bytes for the longest one, and what the base64 decoder
/// requires beyond that.
pub(super) const BUFFER_LEN: usize = 72;

/// The encoding of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal digits, upper or lower case.
    Hex,
    /// Standard base64 (RFC 4648, section 4) with padding: each signature has exactly one spelling.
    Base64,
}

impl Encoding {
    /// Decodes a signature of exactly `len` bytes; `None` for anything else.
    pub(super) fn decode(
        self,
        text: &str,
        len: usize,
        buffer: &mut [u8; BUFFER_LEN],
    ) -> Option<()> {
        match self {
            Self::Hex => hex(text.as_bytes(), buffer.get_mut(..len)?),
            Self::Base64 => {
                // Longer text cannot be valid; skip decoding it.
                let fits = text.len() <= len.div_ceil(3) * 4;
                let decoded = fits.then(|| STANDARD.decode_slice(text, buffer).ok())??;
                (decoded == len).then_some(())
            }
        }
    }

    /// Encodes a signature as its sender would.
    pub(super) fn encode(self, signature: &[u8]) -> String {
        match self {
            Self::Hex => to_hex(signature),
            Self::Base64 => STANDARD.encode(signature),
        }
    }
}

/// Decodes hexadecimal digits; they must fill the buffer exactly.
pub(super) fn hex(digits: &[u8], into: &mut [u8]) -> Option<()> {
    if digits.len() != 2 * into.len() {
        return None;
    }
    for (byte, pair) in into.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}

fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Encodes bytes as lower-case hexadecimal digits.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(encoding: Encoding, text: &str, len: usize) -> Option<Vec<u8>> {
        let mut buffer = [0; BUFFER_LEN];
        encoding.decode(text, len, &mut buffer).map(|()| buffer[..len].to_vec())
    }

    #[test]
    fn hex_is_read_in_either_case_and_only_at_its_full_length() {
        assert_eq!(decode(Encoding::Hex, "00fFa9", 3), Some(vec![0, 255, 0xa9]));
        for text in ["", "00fFa", "00fFa90", "00fFa900", "00fFg9", "0x00fF", "é0fF"] {
            assert_eq!(decode(Encoding::Hex, text, 3), None, "{text}");
        }
    }

    #[test]
    fn base64_is_read_in_one_spelling() {
        assert_eq!(decode(Encoding::Base64, "AP+pAQ==", 4), Some(vec![0, 255, 0xa9, 1]));
        for text in ["", "AP+pAQ", "AP+pAQ=", "AP-pAQ==", "AP+pAR==", "AP+pAQ==A", "AP+pAQEB"] {
            assert_eq!(decode(Encoding::Base64, text, 4), None, "{text}");
        }
    }

    #[test]
    fn the_longest_signature_fits() {
        let digits = "ab".repeat(64);
        assert_eq!(decode(Encoding::Hex, &digits, 64), Some(vec![0xab; 64]));
        let text = STANDARD.encode([0xab; 64]);
        assert_eq!(decode(Encoding::Base64, &text, 64), Some(vec![0xab; 64]));
        assert_eq!(to_hex(&[0xab; 64]), digits);
    }
}
