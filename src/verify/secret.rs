//! A secret in memory: `Debug` hides it, and it is zeroed on drop.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The bytes of a secret, as the user gave them.
pub struct Secret(Zeroizing<Vec<u8>>);

/// A secret that is empty or only white space, and so can be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret is empty")]
pub struct EmptySecret;

impl Secret {
    /// Wraps these bytes unchanged: a line break at the end is part of the secret.
    ///
    /// # Errors
    /// If the secret is empty or only white space.
    pub fn new(bytes: Vec<u8>) -> Result<Self, EmptySecret> {
        let secret = Self(Zeroizing::new(bytes));
        if secret.0.trim_ascii().is_empty() { Err(EmptySecret) } else { Ok(secret) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Compares in constant time; only the lengths affect the duration.
    pub(super) fn matches(&self, presented: &[u8]) -> bool {
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
        assert!(secret.matches(b"s3cret\n"));
        assert!(!secret.matches(b"s3cret"));
        assert!(!secret.matches(b"s3creT\n"));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
