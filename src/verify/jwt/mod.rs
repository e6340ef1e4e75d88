//! Tokens of an issuer (RFC 7519), verified with the key set that it publishes.
//!
//! Built on ring rather than a JWT library: the available ones bring a second implementation of RSA
//! and of the curves, or another cryptography provider. The code needed here only splits three
//! base64 parts.

mod algorithm;
mod claims;
mod jwks;
mod key_sets;
mod keys;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Denied, EntryError, Input, header};
pub use algorithm::{JwtAlgorithm, PublicKey};
use claims::JwtClaims;
pub(super) use jwks::read_jwk;
pub use jwks::{Jwks, JwksError, MAX_KEYS};
pub use key_sets::{HOST_SETS, KeySet, KeySetError, KeySets, MAX_SETS, MAX_URL, NAMESPACE_SETS};
pub use keys::{Keys, WeakKeys};

/// The longest accepted token, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// The tokens that an entry accepts: `spec.verify[].jwt`.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The required `iss`.
    pub issuer: Box<str>,
    /// `aud` must contain one of these.
    pub audiences: Box<[Box<str>]>,
    /// The keys of the issuer.
    pub keys: Keys,
}

/// The header of a token (RFC 7515, section 4.1), with the members that matter here.
#[derive(Deserialize)]
struct JoseHeader {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood. None is supported.
    crit: Option<IgnoredAny>,
}

/// The claimed issuer of a token, before verification.
#[derive(Deserialize)]
struct ClaimedIssuer {
    iss: Box<str>,
}

impl Rules {
    /// Checks that the rules require both an issuer and an audience.
    pub(super) fn bound(self) -> Result<Self, EntryError> {
        let is_named = |name: &str| !name.is_empty();
        let has_audience =
            !self.audiences.is_empty() && self.audiences.iter().all(|it| is_named(it));
        if is_named(&self.issuer) && has_audience { Ok(self) } else { Err(EntryError::JwtUnbound) }
    }

    /// Checks the request's token. Claims are read only after the signature matches.
    pub(super) fn check(&self, input: &Input<'_>) -> Result<(), Denied> {
        let value = header::text(input.headers, &AUTHORIZATION)?;
        let token = header::credentials(value.as_bytes(), "Bearer")?;
        let claims = self.signed_claims(token)?;
        claims.check(&self.issuer, &self.audiences, input.now)
    }

    fn signed_claims(&self, token: &[u8]) -> Result<JwtClaims, Denied> {
        if token.len() > MAX_TOKEN {
            return Err(Denied::Malformed);
        }
        let token = std::str::from_utf8(token).map_err(|_| Denied::Malformed)?;
        let (signed, signature) = token.rsplit_once('.').ok_or(Denied::Malformed)?;
        let (head, payload) = signed.split_once('.').ok_or(Denied::Malformed)?;
        let head: JoseHeader = json(head)?;
        if head.crit.is_some() {
            return Err(Denied::Malformed);
        }
        let algorithm = JwtAlgorithm::named(&head.alg).ok_or(Denied::OtherScheme)?;
        let signature = decode(signature)?;
        self.verify(algorithm, head.kid.as_deref(), signed, &signature).inspect_err(|why| {
            // A token without a key id may be signed with a new key as well.
            let is_key_unknown =
                matches!(why, Denied::KeysUnavailable | Denied::UnknownKey) || head.kid.is_none();
            if is_key_unknown && self.claims_issuer(payload) {
                self.keys.miss();
            }
        })?;
        json(payload)
    }

    fn verify(
        &self,
        algorithm: JwtAlgorithm,
        id: Option<&str>,
        signed: &str,
        signature: &[u8],
    ) -> Result<(), Denied> {
        let keys = self.keys.current().ok_or(Denied::KeysUnavailable)?;
        keys.verify(algorithm, id, signed.as_bytes(), signature)
    }

    /// Whether the token claims to be from this issuer. Used only to decide whether to fetch newer
    /// keys: tokens of another entry's issuer must not trigger a fetch.
    fn claims_issuer(&self, payload: &str) -> bool {
        json(payload).is_ok_and(|claimed: ClaimedIssuer| *claimed.iss == *self.issuer)
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Denied> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Denied::Malformed)
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, Denied> {
    serde_json::from_slice(&decode(part)?).map_err(|_| Denied::Malformed)
}
