//! Decodes signatures on the stack.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The length of the longest signature, in bytes: RSA with 8192 bits.
const MAX_LEN: usize = 1024;

/// The URL-safe alphabet, with or without padding, as senders differ.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The encoding of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal digits, upper or lower case.
    Hex,
    /// Standard base64 (RFC 4648, section 4) with padding: each signature has exactly one spelling.
    Base64,
    /// URL-safe base64 (RFC 4648, section 5), with or without padding.
    Base64Url,
}

/// A decoded signature.
pub(super) struct DecodedSignature {
    /// The base64 decoder requires up to two bytes beyond the longest signature.
    buffer: [u8; MAX_LEN + 2],
    len: usize,
}

impl DecodedSignature {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Encoding {
    /// Decodes a signature whose length in bytes is in `lengths`; `None` for anything else.
    pub(super) fn decode(
        self,
        text: &str,
        lengths: &RangeInclusive<usize>,
    ) -> Option<DecodedSignature> {
        let mut buffer = [0; MAX_LEN + 2];
        // Longer text cannot be valid; skip decoding it.
        let fits = match self {
            Self::Hex => text.len() <= lengths.end() * 2,
            Self::Base64 | Self::Base64Url => text.len() <= lengths.end().div_ceil(3) * 4,
        };
        let len = match self {
            _ if !fits => None,
            Self::Hex => {
                let into = buffer.get_mut(..text.len() / 2)?;
                hex(text.as_bytes(), into).map(|()| text.len() / 2)
            }
            Self::Base64 => STANDARD.decode_slice(text, &mut buffer).ok(),
            Self::Base64Url => URL_SAFE.decode_slice(text, &mut buffer).ok(),
        };
        len.filter(|len| lengths.contains(len)).map(|len| DecodedSignature { buffer, len })
    }

    /// Encodes a signature as its sender would.
    pub(super) fn encode(self, signature: &[u8]) -> String {
        match self {
            Self::Hex => to_hex(signature),
            Self::Base64 => STANDARD.encode(signature),
            Self::Base64Url => URL_SAFE.encode(signature),
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
        let decoded = encoding.decode(text, &(len..=len));
        decoded.map(|signature| signature.bytes().to_vec())
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
    fn the_url_safe_alphabet_is_another_and_its_padding_is_optional() {
        for text in ["AP-pAQ==", "AP-pAQ"] {
            assert_eq!(decode(Encoding::Base64Url, text, 4), Some(vec![0, 255, 0xa9, 1]), "{text}");
        }
        for text in ["", "AP+pAQ==", "AP-pAR", "AP-pAQEB"] {
            assert_eq!(decode(Encoding::Base64Url, text, 4), None, "{text}");
        }
        assert_eq!(Encoding::Base64Url.encode(&[0, 255, 0xa9, 1]), "AP-pAQ");
    }

    #[test]
    fn the_longest_signature_fits() {
        for len in [64, MAX_LEN - 1, MAX_LEN] {
            let bytes = vec![0xab; len];
            for encoding in [Encoding::Hex, Encoding::Base64, Encoding::Base64Url] {
                let text = encoding.encode(&bytes);
                assert_eq!(decode(encoding, &text, len), Some(bytes.clone()), "{encoding:?}");
                assert_eq!(decode(encoding, &text, len - 1), None, "{encoding:?}");
            }
        }
        assert_eq!(to_hex(&[0xab; 64]), "ab".repeat(64));
    }

    #[test]
    fn a_signature_may_have_one_of_several_lengths() {
        let decode = |text| Encoding::Hex.decode(text, &(2..=3)).map(|found| found.bytes().len());
        assert_eq!(decode("abab"), Some(2));
        assert_eq!(decode("ababab"), Some(3));
        for text in ["", "ab", "ababa", "abababab"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
