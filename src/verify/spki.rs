//! Reads public keys in DER: SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7), of the three kinds of
//! keys that sign webhooks. Other encodings than DER's single one are refused.

use super::jwt::PublicKey;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// `id-Ed25519` (RFC 8410, section 3), without parameters.
const ED25519: &[u8] = &[0x06, 3, 0x2b, 0x65, 0x70];

/// `id-ecPublicKey` with the curve `secp256r1` (RFC 5480, section 2.1.1).
const P256: &[u8] = &[
    0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];

/// `rsaEncryption` with NULL (RFC 3279, section 2.3.1).
const RSA: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0];

/// Reads a key; `None` if it is malformed or of another kind.
pub(super) fn read(der: &[u8]) -> Option<PublicKey> {
    let mut info = whole(SEQUENCE, der)?;
    let algorithm = element(SEQUENCE, &mut info)?;
    // The first byte is the number of unused bits.
    let key = whole(BIT_STRING, info)?.strip_prefix(&[0])?;
    match algorithm {
        ED25519 => (key.len() == 32).then(|| PublicKey::Ed25519(key.into())),
        P256 => (key.len() == 65 && key[0] == 4).then(|| PublicKey::P256(key.into())),
        RSA => rsa(key),
        _ => None,
    }
}

/// `RSAPublicKey` (RFC 8017, section A.1.1).
fn rsa(der: &[u8]) -> Option<PublicKey> {
    let mut numbers = whole(SEQUENCE, der)?;
    let modulus = positive(element(INTEGER, &mut numbers)?)?.into();
    let exponent = positive(whole(INTEGER, numbers)?)?.into();
    Some(PublicKey::Rsa { modulus, exponent })
}

/// The bytes of a positive integer without the zero that marks its sign.
fn positive(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [0, rest @ ..] => rest.first().is_some_and(|first| *first >= 0x80).then_some(rest),
        [1..=0x7f, ..] => Some(bytes),
        _ => None,
    }
}

/// The content of the only element.
fn whole(tag: u8, mut input: &[u8]) -> Option<&[u8]> {
    let content = element(tag, &mut input)?;
    input.is_empty().then_some(content)
}

/// The content of the first element, which is removed from the input. A length has its shortest form.
fn element<'a>(tag: u8, input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let rest = input.strip_prefix(&[tag])?;
    let (len, rest) = match rest {
        [len @ 0..=0x7f, rest @ ..] => (usize::from(*len), rest),
        [0x81, len @ 0x80..=0xff, rest @ ..] => (usize::from(*len), rest),
        [0x82, high @ 1..=0xff, low, rest @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    *input = rest;
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let len = content.len();
        let head = match len {
            0..=0x7f => vec![tag, len as u8],
            0x80..=0xff => vec![tag, 0x81, len as u8],
            _ => vec![tag, 0x82, (len >> 8) as u8, len as u8],
        };
        [&*head, content].concat()
    }

    fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
        let bits = tlv(BIT_STRING, &[&[0], key].concat());
        tlv(SEQUENCE, &[tlv(SEQUENCE, algorithm), bits].concat())
    }

    fn numbers(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        tlv(SEQUENCE, &[tlv(INTEGER, modulus), tlv(INTEGER, exponent)].concat())
    }

    #[test]
    fn a_key_of_each_kind_is_read() {
        assert_eq!(read(&spki(ED25519, &[7; 32])), Some(PublicKey::Ed25519(vec![7; 32])));
        let point = [&[4][..], &[9; 64]].concat();
        assert_eq!(read(&spki(P256, &point)), Some(PublicKey::P256(point)));
        let modulus = [&[0x80][..], &[5; 255]].concat();
        let signed = [&[0], &*modulus].concat();
        let key = PublicKey::Rsa { modulus, exponent: vec![1, 0, 1] };
        assert_eq!(read(&spki(RSA, &numbers(&signed, &[1, 0, 1]))), Some(key));
    }

    #[test]
    fn what_is_cut_short_or_goes_on_is_refused_at_every_length() {
        let whole = spki(RSA, &numbers(&[1; 300], &[3]));
        assert!(read(&whole).is_some());
        for len in 0..whole.len() {
            assert_eq!(read(&whole[..len]), None, "{len}");
        }
        assert_eq!(read(&[&*whole, &[0]].concat()), None);
    }

    #[test]
    fn other_keys_and_other_encodings_are_refused() {
        let point = [&[4][..], &[9; 64]].concat();
        let compressed = [&[2][..], &[9; 32]].concat();
        for der in [
            spki(ED25519, &[7; 31]),
            spki(P256, &compressed),
            spki(P256, &[7; 32]),
            spki(ED25519, &point),
            spki(&[0x06, 3, 0x2b, 0x65, 0x6e], &[7; 32]),
            spki(&[ED25519, &[0x05, 0]].concat(), &[7; 32]),
            // Negative, zero, and with a needless zero.
            spki(RSA, &numbers(&[0x80; 256], &[3])),
            spki(RSA, &numbers(&[1; 256], &[0])),
            spki(RSA, &numbers(&[0, 1], &[3])),
            spki(RSA, &numbers(&[], &[3])),
            // A length of two forms, and an indefinite one.
            vec![SEQUENCE, 0x81, 2, 0x05, 0],
            vec![SEQUENCE, 0x82, 0, 2, 0x05, 0],
            vec![SEQUENCE, 0x80, 0, 0],
            vec![SEQUENCE, 0x84, 0, 0, 0, 0],
            vec![],
        ] {
            assert_eq!(read(&der), None, "{der:02x?}");
        }
        let mut odd = spki(ED25519, &[7; 32]);
        let at = odd.len() - 33;
        odd[at] = 1;
        assert_eq!(read(&odd), None, "a bit is unused");
    }
}
