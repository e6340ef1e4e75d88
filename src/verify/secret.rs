//! A secret in memory: nothing shows it, and it is overwritten when it is dropped.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The bytes of a secret, as the user gave them.
pub struct Secret(Zeroizing<Vec<u8>>);

/// A secret without a byte that is not blank: anyone could know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret is empty")]
pub struct EmptySecret;

impl Secret {
    /// A secret of these bytes, which are kept as they are: a line break at the end is part of it.
    ///
    /// # Errors
    /// When there is nothing but white space.
    pub fn new(bytes: Vec<u8>) -> Result<Self, EmptySecret> {
        let secret = Self(Zeroizing::new(bytes));
        if secret.0.trim_ascii().is_empty() { Err(EmptySecret) } else { Ok(secret) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether these are the bytes of the secret. The time it takes depends on the lengths alone.
    pub(super) fn is(&self, presented: &[u8]) -> bool {
        self.0.ct_eq(presented).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_nothing_or_of_white_space_is_refused() {
        for bytes in ["", " ", "\n", "\r\n\t "] {
            assert_eq!(Secret::new(bytes.into()).unwrap_err(), EmptySecret);
        }
    }

    #[test]
    fn a_secret_is_kept_to_the_byte_and_never_shown() {
        let secret = Secret::new(b"s3cret\n".into()).unwrap();
        assert!(secret.is(b"s3cret\n"));
        assert!(!secret.is(b"s3cret"));
        assert!(!secret.is(b"s3creT\n"));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
