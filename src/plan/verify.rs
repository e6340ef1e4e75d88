//! Compiles `spec.verify` and its Secrets to verifiers.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::input::Key;
use super::secrets::{KnownSecret, Secrets};
use super::{challenge, duration};
use crate::resources::conditions::Verdict;
use crate::resources::reason::StalledReason;
use crate::resources::verify::{
    self as resources, DeliveryIdSourceSpec, Hmac, Items, Jwt, SecretEncoding, SecretKeyRef,
    SignatureAlgorithm, SignatureEncoding, SignedBody, VerifyEntry, VerifyType,
};
use crate::verify::jwt::{KeySets, Rules};
use crate::verify::{
    Algorithm, Delivery, Encoding, Entry, EntryError, Layout, Metadata, Over, Provider, Scheme,
    Secret, SecretForm, Signature, Source, Timestamp, TimestampFormat, Verifier, Verifiers,
};

/// The Secrets that the entries reference.
pub fn secrets_of(namespace: &Arc<str>, entries: &[VerifyEntry]) -> BTreeSet<Key> {
    let refs = entries.iter().flat_map(|entry| entry.secret_refs.iter().chain(&entry.verify_token));
    refs.map(|secret| Key::new(namespace.clone(), secret.name.as_str())).collect()
}

/// The verifiers of a webhook.
///
/// # Errors
/// The first missing or invalid field, with its path in the spec.
pub fn verifiers(
    namespace: &Arc<str>,
    entries: &[VerifyEntry],
    secrets: &Secrets,
    key_sets: &KeySets,
) -> Result<Arc<Verifiers>, Verdict> {
    let made =
        (0..entries.len()).map(|index| verifier(namespace, entries, index, secrets, key_sets));
    Ok(Arc::new(Verifiers::new(made.collect::<Result<_, _>>()?)))
}

/// The verifier of one entry.
///
/// # Errors
/// The first missing or invalid field, with its path in the spec.
pub fn verifier(
    namespace: &Arc<str>,
    entries: &[VerifyEntry],
    index: usize,
    secrets: &Secrets,
    key_sets: &KeySets,
) -> Result<Verifier, Verdict> {
    let place = format!("spec.verify[{index}]");
    Finder { namespace, secrets, place }.verifier(&entries[index], key_sets)
}

/// The schemes in which the entry's secrets are keys; none if it has no secrets or is invalid.
pub fn schemes<'e>(
    namespace: &Arc<str>,
    entry: &'e VerifyEntry,
    secrets: &Secrets,
) -> Vec<Scheme<'e>> {
    let finder = Finder { namespace, secrets, place: String::new() };
    finder.entry_with_secrets(entry, None).map_or_else(|_| Vec::new(), |entry| entry.schemes())
}

/// Resolves the secrets of one entry.
struct Finder<'a> {
    namespace: &'a Arc<str>,
    secrets: &'a Secrets,
    /// Path of the entry in the spec.
    place: String,
}

impl Finder<'_> {
    fn verifier(&self, entry: &VerifyEntry, key_sets: &KeySets) -> Result<Verifier, Verdict> {
        let secrets = entry.secret_refs.iter().enumerate().map(|(index, secret)| {
            self.secret(secret, &format!("{}.secretRefs[{index}]", self.place))
        });
        let secrets = secrets.collect::<Result<Vec<_>, _>>()?;
        let token = entry.verify_token.as_ref();
        let verify_token =
            token.map(|token| self.secret(token, &format!("{}.verifyToken", self.place)));
        let verify_token = verify_token.transpose()?;
        let invalid = |error: EntryError| self.invalid(&error.to_string());
        let Some(challenge) = &entry.challenge else {
            let entry = self.entry(entry, verify_token, key_sets)?;
            return Verifier::new(entry, &secrets).map_err(invalid);
        };
        let verifier = Verifier::new(self.entry(entry, None, key_sets)?, &secrets);
        let made = challenge::add_to(verifier.map_err(invalid)?, challenge, verify_token);
        made.map_err(|why| self.invalid(&why))
    }

    fn secret(&self, secret: &SecretKeyRef, place: &str) -> Result<Secret, Verdict> {
        let SecretKeyRef { name, key } = secret;
        let found = Key::new(self.namespace.clone(), name.as_str());
        let input = match self.secrets.known(&found) {
            KnownSecret::There(input) => input,
            KnownSecret::NotYet => {
                return Err(Verdict::Reconciling {
                    message: format!("loading Secret {name} ({place})"),
                });
            }
            KnownSecret::Missing => {
                return Err(Verdict::stalled(
                    StalledReason::SecretNotFound,
                    format!(
                        "Secret {name} ({place}) does not exist, or the operator may not read it"
                    ),
                ));
            }
        };
        let Some(bytes) = input.entry(key) else {
            return Err(Verdict::stalled(
                StalledReason::SecretKeyNotFound,
                format!("Secret {name} has no key {key} ({place})"),
            ));
        };
        Secret::new(bytes.to_vec()).map_err(|_| {
            Verdict::stalled(
                StalledReason::SecretEmpty,
                format!("key {key} of Secret {name} ({place}) is empty"),
            )
        })
    }

    fn entry<'e>(
        &self,
        entry: &'e VerifyEntry,
        verify_token: Option<Secret>,
        key_sets: &KeySets,
    ) -> Result<Entry<'e>, Verdict> {
        if entry.type_ != VerifyType::Jwt {
            return self.entry_with_secrets(entry, verify_token);
        }
        let jwt = entry.jwt.as_ref().ok_or_else(|| self.missing("jwt"))?;
        Ok(Entry::Jwt(self.rules(jwt, key_sets)?))
    }

    /// An entry of any type but `Jwt`.
    fn entry_with_secrets<'e>(
        &self,
        entry: &'e VerifyEntry,
        verify_token: Option<Secret>,
    ) -> Result<Entry<'e>, Verdict> {
        Ok(match entry.type_ {
            VerifyType::Hmac => {
                let hmac = entry.hmac.as_ref().ok_or_else(|| self.missing("hmac"))?;
                Entry::Hmac(self.signature(hmac)?, self.metadata(hmac)?)
            }
            VerifyType::ApiKey => {
                let key = entry.api_key.as_ref().ok_or_else(|| self.missing("apiKey"))?;
                let position = challenge::position([&key.header, &key.query, &key.member]);
                let none = || self.invalid(&challenge::none_or_several("apiKey", "member"));
                Entry::ApiKey(position.ok_or_else(none)?)
            }
            provider => {
                let name = provider.as_str();
                let found = Provider::named(name);
                let provider = found.ok_or_else(|| self.invalid("type is unknown"))?;
                Entry::Provider { provider, legacy: entry.allow_sha1, verify_token }
            }
        })
    }

    fn signature<'e>(&self, hmac: &'e Hmac) -> Result<Signature<'e>, Verdict> {
        let Hmac {
            header,
            algorithm,
            secret_encoding,
            encoding,
            prefix,
            items,
            signed,
            over,
            timestamp_header,
            timestamp_format,
            id_header,
            tolerance,
            delivery_id: _,
            event_headers: _,
        } = hmac;
        let tolerance = duration::parse(tolerance)
            .ok_or_else(|| self.invalid("tolerance is not a duration"))?;
        let source = match (timestamp_header, items.as_ref().and_then(|it| it.timestamp.as_ref())) {
            (Some(name), None) => Some(Source::Header(name)),
            (None, Some(name)) => Some(Source::Item(name)),
            (None, None) => None,
            (Some(_), Some(_)) => {
                return Err(self.invalid("hmac: timestampHeader and items.timestamp are both set"));
            }
        };
        let format = format_of(*timestamp_format);
        Ok(Signature {
            header,
            layout: items.as_ref().map_or(Ok(Layout::Prefixed(prefix)), |it| self.items(it))?,
            encoding: match encoding {
                SignatureEncoding::Hex => Encoding::Hex,
                SignatureEncoding::Base64 => Encoding::Base64,
                SignatureEncoding::Base64url => Encoding::Base64Url,
            },
            algorithm: algorithm_of(*algorithm),
            secret: secret_form(*secret_encoding, *algorithm),
            signed,
            over: match over {
                SignedBody::Encoded => Over::Encoded,
                SignedBody::Decoded => Over::Decoded,
            },
            timestamp: source.map(|source| Timestamp { source, format, tolerance }),
            id: id_header.as_deref(),
            ..Signature::HMAC
        })
    }

    fn items<'e>(&self, items: &'e Items) -> Result<Layout<'e>, Verdict> {
        let Items { separator, assign, signature: name, timestamp: _ } = items;
        let mark = |text: &str| {
            let mut marks = text.chars();
            marks.next().filter(|_| marks.next().is_none())
        };
        let marks = mark(separator).zip(mark(assign)).filter(|(one, other)| one != other);
        let (separator, assign) = marks.ok_or_else(|| {
            self.invalid("hmac.items: separator and assign must be two different characters")
        })?;
        Ok(Layout::Items { separator, assign, name })
    }

    fn metadata<'e>(&self, hmac: &'e Hmac) -> Result<Metadata<'e>, Verdict> {
        let delivery = match &hmac.delivery_id {
            None => None,
            Some(DeliveryIdSourceSpec { header: Some(name), pointer: None }) => {
                Some(Delivery::Header(name))
            }
            Some(DeliveryIdSourceSpec { header: None, pointer: Some(pointer) }) => {
                Some(Delivery::Pointer(pointer))
            }
            Some(_) => {
                return Err(
                    self.invalid("hmac.deliveryId: exactly one of header and pointer must be set")
                );
            }
        };
        Ok(Metadata { delivery, event_headers: &hmac.event_headers })
    }

    fn rules(&self, jwt: &Jwt, key_sets: &KeySets) -> Result<Rules, Verdict> {
        let Jwt { issuer, audiences, jwks_url } = jwt;
        let keys = key_sets.keys(self.namespace, jwks_url);
        Ok(Rules {
            issuer: issuer.as_str().into(),
            audiences: audiences.iter().map(|audience| audience.as_str().into()).collect(),
            keys: keys.map_err(|error| self.invalid(&format!("jwt.jwksUrl: {error}")))?,
        })
    }

    fn missing(&self, field: &str) -> Verdict {
        self.invalid(&format!("{field} is missing"))
    }

    fn invalid(&self, why: &str) -> Verdict {
        Verdict::stalled(StalledReason::InvalidVerify, format!("{}: {why}", self.place))
    }
}

fn algorithm_of(algorithm: SignatureAlgorithm) -> Algorithm {
    match algorithm {
        SignatureAlgorithm::Sha1 => Algorithm::HmacSha1,
        SignatureAlgorithm::Sha256 => Algorithm::HmacSha256,
        SignatureAlgorithm::Sha384 => Algorithm::HmacSha384,
        SignatureAlgorithm::Sha512 => Algorithm::HmacSha512,
        SignatureAlgorithm::Ed25519 => Algorithm::Ed25519,
        SignatureAlgorithm::EcdsaP256 => Algorithm::EcdsaP256,
        SignatureAlgorithm::RsaSha256 => Algorithm::RsaSha256,
    }
}

/// The form of a key in its Secret. As a text, a public key is none of its own bytes.
fn secret_form(encoding: SecretEncoding, algorithm: SignatureAlgorithm) -> SecretForm {
    use SignatureAlgorithm::{EcdsaP256, Ed25519, RsaSha256, Sha1, Sha256, Sha384, Sha512};
    match (encoding, algorithm) {
        (SecretEncoding::Text, Sha1 | Sha256 | Sha384 | Sha512) => SecretForm::Verbatim,
        (SecretEncoding::Text, Ed25519 | EcdsaP256 | RsaSha256) => SecretForm::PublicKey,
        (SecretEncoding::Base64, _) => SecretForm::Base64 { prefix: "", bare: true },
        (SecretEncoding::Hex, _) => SecretForm::Hex,
    }
}

fn format_of(format: Option<resources::TimestampFormatSpec>) -> TimestampFormat {
    match format {
        None => TimestampFormat::Unix,
        Some(resources::TimestampFormatSpec::Seconds) => TimestampFormat::Seconds,
        Some(resources::TimestampFormatSpec::Milliseconds) => TimestampFormat::Milliseconds,
        Some(resources::TimestampFormatSpec::Rfc3339) => TimestampFormat::Rfc3339,
    }
}
