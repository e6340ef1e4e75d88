//! A secret that is shown in a header, compared in constant time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use zeroize::Zeroizing;

use super::proof::{CannotSign, Proof};
use super::scheme::{Token, TokenForm};
use super::{Denied, EntryError, Input, Secret, entry, header};

/// A [`Token`] with its names resolved and its secrets as they are shown.
#[derive(Debug)]
pub(super) struct TokenCheck {
    header: HeaderName,
    /// The scheme of an `Authorization` header.
    scheme: Option<&'static str>,
    shown: Box<[Secret]>,
}

impl TokenCheck {
    /// Prepares a token for the secrets that have its form; `None` when none has.
    ///
    /// # Errors
    /// When the header's name is none.
    pub(super) fn new(token: &Token<'_>, secrets: &[Secret]) -> Result<Option<Self>, EntryError> {
        let scheme = match token.form {
            TokenForm::Whole => None,
            TokenForm::Bearer => Some("Bearer"),
            TokenForm::Basic => Some("Basic"),
        };
        let shown = secrets.iter().filter_map(|secret| shown(token.form, secret)).collect();
        let check = Self { header: entry::header_name(token.header)?, scheme, shown };
        Ok((!check.shown.is_empty()).then_some(check))
    }

    pub(super) fn check(&self, input: &Input<'_>) -> Result<(), Denied> {
        let value = header::single(input.headers, &self.header)?;
        let presented = match self.scheme {
            None => value,
            Some(scheme) => header::credentials(value, scheme)?,
        };
        let is_one = self.shown.iter().any(|secret| secret.is(presented));
        if is_one { Ok(()) } else { Err(Denied::Mismatch) }
    }

    /// The header that shows the first of the secrets.
    ///
    /// # Errors
    /// When no header may have its bytes.
    pub(super) fn sign(&self) -> Result<Proof, CannotSign> {
        let mut proof = Proof::default();
        let scheme = self.scheme.map(|scheme| format!("{scheme} ")).unwrap_or_default();
        if let Some(secret) = self.shown.first() {
            let value = Zeroizing::new([scheme.as_bytes(), secret.bytes()].concat());
            proof.add(&self.header, &value)?;
        }
        Ok(proof)
    }
}

/// A secret as it is sent: encoded once here, so that nothing is decoded for a request; `None` when
/// it does not have the form, which is `user:password` for `Basic`, with a password.
fn shown(form: TokenForm, secret: &Secret) -> Option<Secret> {
    let bytes = secret.bytes();
    let shown = match form {
        TokenForm::Whole | TokenForm::Bearer => bytes.to_vec(),
        TokenForm::Basic => {
            let colon = bytes.iter().position(|byte| *byte == b':')?;
            (colon + 1 < bytes.len()).then(|| STANDARD.encode(bytes).into_bytes())?
        }
    };
    Secret::new(shown).ok()
}
