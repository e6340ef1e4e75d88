//! An entry at work: does one of its schemes accept a request?

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Response};

use super::entry::{self, Check, Entry, EntryError};
use super::handshake::{self, Handshake};
use super::json::{self, Scalar};
use super::key::Key;
use super::proof::{CannotSign, Proof};
use super::provider::Delivery;
use super::{Denied, Secret, header};

/// The longest id of a delivery that is kept, in bytes: a stranger's text becomes a key of ours.
const MAX_DELIVERY_ID: usize = 256;

/// What of a request is verified.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The method.
    pub method: &'a Method,
    /// The headers, as they came.
    pub headers: &'a HeaderMap,
    /// What external URLs begin with, without a slash at the end: senders sign the URL that they
    /// call, which behind a proxy is not the one that arrives.
    pub external_url: &'a str,
    /// Path and query, as they came.
    pub path_and_query: &'a str,
    /// The body: raw, and whole.
    pub body: &'a [u8],
    /// The present, in seconds since 1970.
    pub now: u64,
}

impl<'a> Input<'a> {
    /// The query without its question mark; empty when there is none.
    pub fn query(&self) -> &'a str {
        self.path_and_query.split_once('?').map_or("", |(_, query)| query)
    }
}

/// An entry of `spec.verify`, ready to check requests. To make one costs; to check costs what the
/// cryptography does.
#[derive(Debug)]
pub struct Verifier {
    provider: &'static str,
    checks: Box<[Check]>,
    event_headers: Box<[HeaderName]>,
    delivery: Option<Delivery>,
    handshake: Option<Handshake>,
    verify_token: Option<Secret>,
}

/// A request that was accepted, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'v> {
    verifier: &'v Verifier,
    check: &'v Check,
    /// The key of the signature, if it was one.
    key: Option<&'v Key>,
}

impl Verifier {
    /// Makes an entry ready, for secrets that are all live.
    ///
    /// # Errors
    /// When the entry cannot be used as it is, or a secret has not the form of its provider.
    pub fn new(entry: Entry<'_>, secrets: &[Secret]) -> Result<Self, EntryError> {
        let (provider, schemes) = entry::schemes(&entry);
        let mut verifier = Self {
            provider,
            checks: Box::default(),
            event_headers: Box::default(),
            delivery: None,
            handshake: None,
            verify_token: None,
        };
        if let Entry::Jwt(rules) = entry {
            verifier.checks = Box::new([Check::Jwt(rules.bound()?)]);
            return Ok(verifier);
        }
        verifier.checks = entry::checks(provider, &schemes, secrets)?.into();
        if let Entry::Provider { provider: row, verify_token, .. } = entry {
            if verify_token.is_some() && !row.subscribes {
                return Err(EntryError::VerifyTokenUnused(provider));
            }
            let names = row.event_headers.iter().copied();
            verifier.event_headers = names.map(HeaderName::from_static).collect();
            verifier.delivery = row.delivery;
            verifier.handshake = row.handshake;
            verifier.verify_token = verify_token;
        }
        Ok(verifier)
    }

    /// Whether the request proves itself by any of the entry's schemes.
    ///
    /// # Errors
    /// Why not, by the scheme that it came furthest with.
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

    /// What the sender of this request would prove itself by, made with the first secret that can: the
    /// inverse of [`Self::check`]. `id` is the delivery's, where one is signed and `input` has none yet.
    ///
    /// # Errors
    /// When a sender has something that its receiver has not, or the request has not what is signed.
    pub fn sign(&self, input: &Input<'_>, id: &str) -> Result<Proof, CannotSign> {
        for check in &self.checks {
            let proof = match check {
                Check::Signature(signature) => signature.sign(input, id)?,
                Check::Token(token) => Some(token.sign()?),
                Check::Jwt(_) => return Err(CannotSign::Issuer),
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

    /// The answer to a request by which a provider asks whether this is its endpoint, before it sends
    /// anything (`GET` with `hub.challenge`); `None` when this is no such request.
    ///
    /// # Errors
    /// When it shows another token than the entry's.
    pub fn subscription(&self, input: &Input<'_>) -> Option<Result<Response<Bytes>, Denied>> {
        handshake::subscription(input, self.verify_token.as_ref()?)
    }
}

impl Check {
    fn check(&self, input: &Input<'_>) -> Result<Option<&Key>, Denied> {
        match self {
            Self::Signature(signature) => signature.check(input).map(Some),
            Self::Token(token) => token.check(input).map(|()| None),
            Self::Jwt(rules) => rules.check(input).map(|()| None),
        }
    }
}

impl<'v> Verified<'v> {
    /// The `type` of the entry that accepted.
    pub fn provider(&self) -> &'static str {
        self.verifier.provider
    }

    /// Headers that tell about the event, in lower case.
    pub fn event_headers(&self) -> &'v [HeaderName] {
        &self.verifier.event_headers
    }

    /// What the provider calls this delivery, the same in every repetition of it: signed, where it
    /// signs one. At most 256 bytes. `input` is that of the accepted request.
    pub fn delivery_id<'a>(&self, input: &Input<'a>) -> Option<Cow<'a, str>> {
        let signed = match self.check {
            Check::Signature(signature) => signature.id(input).ok().flatten(),
            Check::Token(_) | Check::Jwt(_) => None,
        };
        let id = match (signed, self.verifier.delivery) {
            (Some(id), _) => id.into(),
            (None, Some(Delivery::Header(names))) => {
                let name = names.iter().find(|name| input.headers.contains_key(**name))?;
                header::text(input.headers, &HeaderName::from_static(name)).ok()?.into()
            }
            (None, Some(Delivery::Member(name))) => match json::member(input.body, name)? {
                Scalar::Text(text) => text,
                Scalar::Number(_) => return None,
            },
            (None, None) => return None,
        };
        Some(id).filter(|id| !id.is_empty() && id.len() <= MAX_DELIVERY_ID)
    }

    /// The answer to a request that asks something of the endpoint instead of bringing an event, as
    /// the provider has it; `None` when it is an event. `input` is that of the accepted request.
    pub fn handshake(&self, input: &Input<'_>) -> Option<Response<Bytes>> {
        (self.verifier.handshake?)(input.body, self.key?)
    }
}

/// All entries of a webhook; one that accepts is enough.
#[derive(Debug, Default)]
pub struct Verifiers(Box<[Verifier]>);

impl Verifiers {
    /// The entries, in the order in which they are asked.
    pub fn new(verifiers: Vec<Verifier>) -> Self {
        Self(verifiers.into())
    }

    /// Whether any entry accepts the request; `None` when there is no entry, which accepts all.
    ///
    /// # Errors
    /// Why not, by the entry that it came furthest with.
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

    /// See [`Verifier::subscription`]; the first entry that says yes answers.
    pub fn subscription(&self, input: &Input<'_>) -> Option<Result<Response<Bytes>, Denied>> {
        let mut answers = self.0.iter().filter_map(|verifier| verifier.subscription(input));
        let first = answers.next()?;
        Some(if first.is_ok() { first } else { answers.find(Result::is_ok).unwrap_or(first) })
    }
}
