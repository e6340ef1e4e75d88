//! A compiled entry of `spec.verify`: checks whether one of its schemes accepts a request.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Response};

use super::challenge::{Challenge, ChallengeCheck};
use super::delivery_id::{DeliveryId, DeliveryIdSource};
use super::entry::{self, Entry, EntryError, Metadata, SchemeCheck};
use super::key::VerifyingKey;
use super::proof::{CannotSign, Proof};
use super::provider::{Delivery, ProviderResponse, Repeats};
use super::unsigned_check::UnsignedCheck;
use super::{Denied, Secret};

/// The parts of a request that verification reads.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The method.
    pub method: &'a Method,
    /// The headers, unchanged.
    pub headers: &'a HeaderMap,
    /// The start of external URLs, without a trailing slash. Senders sign the URL that they call,
    /// which behind a proxy differs from the URL of the received request.
    pub external_url: &'a str,
    /// Path and query, unchanged.
    pub path_and_query: &'a str,
    /// The complete raw body.
    pub body: &'a [u8],
    /// The body without its content codings: the same if it has none, absent if it cannot be
    /// decoded, or nothing needs it.
    pub decoded: Option<&'a [u8]>,
    /// The current time, in seconds since 1970.
    pub now: u64,
}

impl<'a> Input<'a> {
    /// The path without the query.
    pub fn path(&self) -> &'a str {
        self.path_and_query.split_once('?').map_or(self.path_and_query, |(path, _)| path)
    }

    /// The query without its question mark; empty if the URL has no query.
    pub fn query(&self) -> &'a str {
        self.path_and_query.split_once('?').map_or("", |(_, query)| query)
    }
}

/// A compiled entry of `spec.verify`. Construction is the expensive part (it parses templates and
/// prepares keys); a check costs only its cryptography.
#[derive(Debug)]
pub struct Verifier {
    provider: &'static str,
    checks: Box<[SchemeCheck]>,
    proof_headers: Box<[HeaderName]>,
    event_headers: Box<[HeaderName]>,
    delivery: Option<DeliveryIdSource>,
    repeats: Repeats,
    form_field: Option<&'static str>,
    challenges: Box<[ChallengeCheck]>,
    response: Option<&'static ProviderResponse>,
    verify_token: Option<Secret>,
    unsigned_check: Option<UnsignedCheck>,
}

/// An accepted request, with the entry and the key that accepted it.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'v> {
    verifier: &'v Verifier,
    check: &'v SchemeCheck,
    /// The key of the signature; `None` for a token.
    key: Option<&'v VerifyingKey>,
}

impl Verifier {
    /// Compiles an entry. All `secrets` are live: any of them is accepted.
    ///
    /// # Errors
    /// If the entry is invalid, or a secret does not have the form that the provider requires.
    pub fn new(entry: Entry<'_>, secrets: &[Secret]) -> Result<Self, EntryError> {
        let (provider, schemes) = entry::named_schemes(&entry);
        let mut verifier = Self {
            provider,
            checks: Box::default(),
            proof_headers: entry::proof_headers(&entry)?,
            event_headers: Box::default(),
            delivery: None,
            repeats: Repeats::ByItself,
            form_field: None,
            challenges: Box::default(),
            response: None,
            verify_token: None,
            unsigned_check: None,
        };
        if let Entry::Jwt(rules) = entry {
            verifier.checks = Box::new([SchemeCheck::Jwt(rules.bound()?)]);
            return Ok(verifier);
        }
        verifier.checks = entry::checks(provider, &schemes, secrets)?.into();
        let (event_headers, delivery) = metadata(&entry)?;
        verifier.event_headers = event_headers;
        verifier.delivery = delivery;
        if let Entry::Provider { provider: row, verify_token, .. } = entry {
            if verify_token.is_some() && !row.has_verify_token() {
                return Err(EntryError::VerifyTokenUnused(provider));
            }
            verifier.repeats = row.repeats;
            verifier.form_field = row.form_field;
            verifier.challenges = challenges(row.challenges)?;
            verifier.response = row.response.as_ref();
            verifier.verify_token = verify_token;
            verifier.unsigned_check = row.unsigned_check;
        }
        Ok(verifier)
    }

    /// Checks the request against the entry's schemes; one match is enough.
    ///
    /// # Errors
    /// The failure of the scheme that got furthest.
    pub fn check(&self, input: &Input<'_>) -> Result<Verified<'_>, Denied> {
        let mut denied = Denied::MissingHeader;
        for check in &self.checks {
            match check.check(input) {
                Ok(key) => return Ok(Verified { verifier: self, check, key }),
                Err(why) => denied = denied.max(why),
            }
        }
        Err(denied)
    }

    /// Whether a scheme of the entry covers the body without its content codings.
    fn needs_decoded(&self) -> bool {
        self.checks.iter().any(|check| match check {
            SchemeCheck::Signature(signature) => signature.is_over_decoded(),
            SchemeCheck::Token(_) | SchemeCheck::Jwt(_) => false,
        })
    }

    /// Signs the request as its sender would, with the first secret that can sign: the inverse of
    /// [`Self::check`]. `id` is the delivery id to sign if the scheme covers one and `input` has
    /// none.
    ///
    /// # Errors
    /// If only the sender has the signing key, or the request lacks a part that is signed.
    pub fn sign(&self, input: &Input<'_>, id: &str) -> Result<Proof, CannotSign> {
        for check in &self.checks {
            let proof = match check {
                SchemeCheck::Signature(signature) => signature.sign(input, id)?,
                SchemeCheck::Token(token) => Some(token.sign(input)?),
                SchemeCheck::Jwt(_) => return Err(CannotSign::Issuer),
            };
            if let Some(proof) = proof {
                return Ok(proof);
            }
        }
        Err(CannotSign::PublicKey(self.provider))
    }

    /// The `type` of the entry.
    pub fn provider(&self) -> &'static str {
        self.provider
    }

    /// Sets a challenge that the user describes, and its verify token.
    ///
    /// # Errors
    /// If the challenge is invalid.
    pub fn with_challenge(
        mut self,
        challenge: &Challenge<'_>,
        verify_token: Option<Secret>,
    ) -> Result<Self, EntryError> {
        self.challenges = Box::new([ChallengeCheck::new(challenge)?]);
        self.verify_token = verify_token;
        Ok(self)
    }

    /// The response to a challenge that the entry does not verify as it verifies events: one without
    /// a proof, or with the verify token; `None` for any other request.
    ///
    /// # Errors
    /// If the request's verify token is not the entry's.
    pub fn challenge(&self, input: &Input<'_>) -> Option<Result<Response<Bytes>, Denied>> {
        let token = self.verify_token.as_ref();
        self.challenges.iter().find_map(|challenge| challenge.answer_unverified(input, token))
    }
}

fn challenges(rows: &[Challenge<'_>]) -> Result<Box<[ChallengeCheck]>, EntryError> {
    rows.iter().map(ChallengeCheck::new).collect()
}

/// The headers that describe an event, and the position of its delivery id.
fn metadata(
    entry: &Entry<'_>,
) -> Result<(Box<[HeaderName]>, Option<DeliveryIdSource>), EntryError> {
    let (names, delivery): (Vec<&str>, Option<Delivery<'_>>) = match entry {
        Entry::Provider { provider: row, .. } => (row.event_headers.to_vec(), row.delivery),
        Entry::Hmac(_, Metadata { delivery, event_headers }) => {
            (event_headers.iter().map(String::as_str).collect(), *delivery)
        }
        Entry::ApiKey { .. } | Entry::Jwt(_) => (Vec::new(), None),
    };
    let names = names.into_iter().map(entry::header_name).collect::<Result<_, _>>()?;
    Ok((names, delivery.map(DeliveryIdSource::new).transpose()?))
}

impl SchemeCheck {
    fn check(&self, input: &Input<'_>) -> Result<Option<&VerifyingKey>, Denied> {
        match self {
            Self::Signature(signature) => signature.check(input).map(Some),
            Self::Token(token) => token.check(input).map(|()| None),
            Self::Jwt(rules) => rules.check(input).map(|()| None),
        }
    }
}

impl<'v> Verified<'v> {
    /// The `type` of the entry that accepted the request.
    pub fn provider(&self) -> &'static str {
        self.verifier.provider
    }

    /// Headers that describe the event, in lower case.
    pub fn event_headers(&self) -> &'v [HeaderName] {
        &self.verifier.event_headers
    }

    /// The provider's id of this delivery, the same for each redelivery. A signed id takes
    /// precedence. `input` is that of the accepted request.
    pub fn delivery_id<'a>(&self, input: &Input<'a>) -> Option<DeliveryId<'a>>
    where
        'v: 'a,
    {
        if let SchemeCheck::Signature(signature) = self.check
            && let Ok(Some((name, id))) = signature.named_id(input)
        {
            return DeliveryId::new(name, id);
        }
        self.verifier.delivery.as_ref()?.read(input)
    }

    /// Who causes repetitions of a delivery that is recognized by its [`Self::delivery_id`].
    pub fn repeats(&self) -> Repeats {
        self.verifier.repeats
    }

    /// Whether the provider's delivery id is in this header.
    pub fn has_id_in(&self, header: &HeaderName) -> bool {
        self.verifier.delivery.as_ref().is_some_and(|delivery| delivery.is_in(header))
    }

    /// The response that the provider wants for an accepted event; `None` if any 2xx response is good.
    pub fn response(&self) -> Option<&'static ProviderResponse> {
        self.verifier.response
    }

    /// The field of the provider's forms that may have the event, as JSON.
    pub fn form_field(&self) -> Option<&'static str> {
        self.verifier.form_field
    }

    /// Whether the delivery id is in the body.
    pub fn has_id_in_body(&self) -> bool {
        matches!(self.verifier.delivery, Some(DeliveryIdSource::Pointer(_)))
    }

    /// The response to a challenge, in the provider's format; `None` for an event. `input` is that of
    /// the accepted request.
    pub fn challenge(&self, input: &Input<'_>) -> Option<Response<Bytes>> {
        let mut challenges = self.verifier.challenges.iter();
        challenges.find_map(|challenge| challenge.answer_verified(input, self.key))
    }
}

/// All entries of a webhook. A request is accepted if one of them accepts it.
#[derive(Debug, Default)]
pub struct Verifiers(Box<[Verifier]>);

impl Verifiers {
    /// The entries, in the order in which they are checked.
    pub fn new(verifiers: Vec<Verifier>) -> Self {
        Self(verifiers.into())
    }

    /// Whether an entry needs [`Input::decoded`].
    pub fn need_decoded(&self) -> bool {
        self.0.iter().any(Verifier::needs_decoded)
    }

    /// Checks the request against all entries; `None` if the list is empty, which accepts every
    /// request.
    ///
    /// # Errors
    /// The failure of the entry that got furthest.
    pub fn check(&self, input: &Input<'_>) -> Result<Option<Verified<'_>>, Denied> {
        let mut denied = None;
        for verifier in &self.0 {
            match verifier.check(input) {
                Ok(verified) => return Ok(Some(verified)),
                Err(why) => denied = denied.max(Some(why)),
            }
        }
        denied.map_or(Ok(None), Err)
    }

    /// Whether the request is a check of the endpoint that the provider of an entry does not sign. A
    /// request with a signature or a token of any entry is none: it is verified.
    pub fn is_unsigned_check(&self, input: &Input<'_>) -> bool {
        let mut checks = self.0.iter().filter_map(|verifier| verifier.unsigned_check);
        !self.has_proof(input) && checks.any(|check| check.matches(input))
    }

    /// See [`Verifier::challenge`]. The first entry that accepts the request responds. A `POST` with a
    /// signature or a token of any entry is verified instead.
    pub fn challenge(&self, input: &Input<'_>) -> Option<Result<Response<Bytes>, Denied>> {
        let mut answers = self.0.iter().filter_map(|verifier| verifier.challenge(input));
        let first = answers.next()?;
        if *input.method == Method::POST && self.has_proof(input) {
            return None;
        }
        Some(if first.is_ok() { first } else { answers.find(Result::is_ok).unwrap_or(first) })
    }

    /// Whether the request has a header by which a sender of an entry authenticates itself.
    fn has_proof(&self, input: &Input<'_>) -> bool {
        let has_proof = |verifier: &Verifier| {
            verifier.proof_headers.iter().any(|name| input.headers.contains_key(name))
        };
        self.0.iter().any(has_proof)
    }
}
