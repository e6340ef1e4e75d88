//! A set of public keys (RFC 7517), parsed once and used for each token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::super::Denied;
use super::algorithm::{JwtAlgorithm, PublicKey};

/// The number of keys that a set may have. Large issuers publish about ten.
pub const MAX_KEYS: usize = 64;

/// The number of keys that are tried for a token without a key id.
const MAX_TRIED: usize = 8;

/// The public keys of an issuer that can verify signatures.
#[derive(Debug)]
pub struct Jwks(Vec<Jwk>);

#[derive(Debug)]
struct Jwk {
    id: Option<String>,
    /// The only algorithm that the issuer allows for the key, if it names one.
    algorithm: Option<JwtAlgorithm>,
    key: PublicKey,
}

/// The reason why a key set cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// The document is not a key set.
    #[error("not a JSON Web Key Set")]
    Malformed,
    /// More keys than any known issuer publishes.
    #[error("more than {MAX_KEYS} keys")]
    TooManyKeys,
    /// No key can verify a signature.
    #[error("no key that can verify a signature")]
    NoUsableKey,
}

#[derive(Deserialize)]
struct KeySetDocument {
    keys: Vec<Value>,
}

/// A published key, with the members that matter here. Secret keys (`oct`) match none of these
/// forms.
#[derive(Deserialize)]
struct Published {
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    #[serde(flatten)]
    key: PublishedKey,
}

#[derive(Deserialize)]
#[serde(tag = "kty")]
enum PublishedKey {
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
    #[serde(rename = "EC")]
    Ec { crv: String, x: String, y: String },
    #[serde(rename = "OKP")]
    Okp { crv: String, x: String },
}

impl Jwks {
    /// Parses a key set. Malformed keys and keys of other types or uses are ignored, as RFC 7517,
    /// section 5, recommends. The caller limits the document's length.
    ///
    /// # Errors
    /// See [`JwksError`].
    pub fn parse(document: &[u8]) -> Result<Self, JwksError> {
        let document: KeySetDocument =
            serde_json::from_slice(document).map_err(|_| JwksError::Malformed)?;
        if document.keys.len() > MAX_KEYS {
            return Err(JwksError::TooManyKeys);
        }
        let keys: Vec<_> = document.keys.into_iter().filter_map(Jwk::read).collect();
        if keys.is_empty() { Err(JwksError::NoUsableKey) } else { Ok(Self(keys)) }
    }

    /// Whether one of the keys made the signature. If the token has a key id, only that key is
    /// tried.
    pub(super) fn verify(
        &self,
        algorithm: JwtAlgorithm,
        id: Option<&str>,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), Denied> {
        let is_meant = |key: &&Jwk| id.is_none() || key.id.as_deref() == id;
        let mut keys = self.0.iter().filter(is_meant).peekable();
        if keys.peek().is_none() {
            return Err(Denied::UnknownKey);
        }
        let mut fitting = keys.filter(|key| key.fits(algorithm)).take(MAX_TRIED);
        let is_signer = |key: &Jwk| key.key.verify(algorithm, signed, signature);
        if fitting.any(is_signer) { Ok(()) } else { Err(Denied::Mismatch) }
    }
}

/// Reads a single key that may make signatures of an algorithm; `None` if it is malformed or another
/// one. The caller limits the document's length.
pub(in crate::verify) fn read_jwk(document: &[u8], algorithm: JwtAlgorithm) -> Option<PublicKey> {
    let key = Jwk::read(serde_json::from_slice(document).ok()?)?;
    key.fits(algorithm).then_some(key.key)
}

impl Jwk {
    fn read(value: Value) -> Option<Self> {
        let Published { kid, alg, r#use, key_ops, key } = serde_json::from_value(value).ok()?;
        let is_for_signatures = r#use.is_none_or(|r#use| r#use == "sig")
            && key_ops.is_none_or(|operations| operations.iter().any(|it| it == "verify"));
        let key = key.read().filter(|_| is_for_signatures)?;
        let algorithm = match alg {
            None => None,
            Some(name) => Some(JwtAlgorithm::named(&name).filter(|it| key.fits(*it))?),
        };
        Some(Self { id: kid, algorithm, key })
    }

    fn fits(&self, algorithm: JwtAlgorithm) -> bool {
        self.algorithm.is_none_or(|only| only == algorithm) && self.key.fits(algorithm)
    }
}

impl PublishedKey {
    fn read(&self) -> Option<PublicKey> {
        match self {
            Self::Rsa { n, e } => {
                Some(PublicKey::Rsa { modulus: number(n)?, exponent: number(e)? })
            }
            Self::Ec { crv, x, y } => match crv.as_str() {
                "P-256" => point(x, y, 32).map(PublicKey::P256),
                "P-384" => point(x, y, 48).map(PublicKey::P384),
                _ => None,
            },
            Self::Okp { crv, x } => {
                let key = decode(x).filter(|key| key.len() == 32 && crv == "Ed25519")?;
                Some(PublicKey::Ed25519(key))
            }
        }
    }
}

/// A number without leading zeros. Some issuers add one, although RFC 7518, section 6.3.1.1,
/// forbids it, and ring rejects it.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = decode(text)?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[start..].to_vec())
}

/// An uncompressed point (SEC 1, section 2.3.3) from two coordinates of full length.
fn point(x: &str, y: &str, len: usize) -> Option<Vec<u8>> {
    let (x, y) = (decode(x)?, decode(y)?);
    (x.len() == len && y.len() == len).then(|| [&[4], &*x, &*y].concat())
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
