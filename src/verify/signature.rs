//! Checks a signature: one generic implementation for the provider table and for users' entries.

mod sign;

use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderName;

use super::encoding::{DecodedSignature, Encoding};
use super::form::{self, Parameters};
use super::json::{self, Scalar};
use super::key::VerifyingKey;
use super::layout::{Layout, Signatures};
use super::message::SignedMessage;
use super::pointer::Pointer;
use super::scheme::{Over, Signature, Source};
use super::template::{self, TemplateError, TemplatePart};
use super::url::UrlForm;
use super::{Denied, EntryError, Input, Secret, entry, header, timestamp};

/// A [`Signature`] with its header names resolved and its keys prepared.
#[derive(Debug)]
pub(super) struct SignatureCheck {
    header: HeaderName,
    layout: OwnedLayout,
    encoding: Encoding,
    signature_lengths: RangeInclusive<usize>,
    parts: Box<[TemplatePart]>,
    over: Over,
    signing_time: Option<SigningTime>,
    id: Option<SignedId>,
    url: UrlForm,
    body_digest: Option<&'static str>,
    keys: Box<[VerifyingKey]>,
}

#[derive(Debug)]
enum OwnedLayout {
    Prefixed(Box<str>),
    Items { separator: char, assign: char, name: Box<str> },
}

/// The signing time of a request.
#[derive(Debug)]
struct SigningTime {
    source: SigningTimeSource,
    tolerance: Duration,
}

#[derive(Debug)]
enum SigningTimeSource {
    Header(HeaderName),
    Item(Box<str>),
    Pointer(Pointer),
}

#[derive(Debug)]
struct SignedId {
    header: HeaderName,
    /// The character that follows the id in the signed text, which the id must not contain:
    /// otherwise the signed text could be split differently (Standard Webhooks specification,
    /// "Signature scheme").
    end: Option<char>,
}

impl SignatureCheck {
    /// Compiles a scheme for the secrets that have the form of its keys; `None` if no secret has
    /// it.
    ///
    /// # Errors
    /// If the scheme is invalid.
    pub(super) fn new(
        scheme: &Signature<'_>,
        secrets: &[Secret],
    ) -> Result<Option<Self>, EntryError> {
        let Signature {
            header,
            layout,
            encoding,
            algorithm,
            secret,
            signed,
            over,
            timestamp,
            id,
            url,
            body_digest,
        } = *scheme;
        let parts = template::parse(signed)?;
        if parts.contains(&TemplatePart::Form) && body_digest.is_none() {
            return Err(TemplateError::UnknownPlaceholder("form".into()).into());
        }
        let keys = secrets.iter().filter_map(|given| secret.verifying_key(algorithm, given));
        let keys: Box<[_]> = keys.collect();
        let check = Self {
            header: entry::header_name(header)?,
            layout: OwnedLayout::of(layout),
            encoding,
            signature_lengths: algorithm.signature_lengths(),
            signing_time: signing_time(timestamp.as_ref(), &parts)?,
            id: id_header(id, &parts)?,
            parts,
            over,
            url,
            body_digest,
            keys,
        };
        Ok((!check.keys.is_empty()).then_some(check))
    }

    /// Returns the key that signed the request.
    ///
    /// Cheap checks that reject most invalid requests come first. A timestamp inside the body is
    /// checked last, as the body is not trusted before the signature matches.
    pub(super) fn check(&self, input: &Input<'_>) -> Result<&VerifyingKey, Denied> {
        let input = &self.signed(input)?;
        let value = header::text(input.headers, &self.header)?;
        let layout = self.layout.borrow();
        let signatures = layout.read(value)?;
        if self.decoded(signatures).next().is_none() {
            return Err(Denied::Malformed);
        }
        let timestamp = self.timestamp(input, signatures)?;
        let id = self.id(input)?.unwrap_or_default();
        let form = self.form(input)?;
        let message = |url| SignedMessage {
            parts: &self.parts,
            id,
            timestamp,
            url,
            path_and_query: input.path_and_query,
            body: input.body,
            form: &form,
        };
        let key = self.signer(signatures, input.external_url, message).ok_or(Denied::Mismatch)?;
        self.check_body_timestamp(input)?;
        Ok(key)
    }

    /// Whether the signature covers the body without its content codings.
    pub(super) fn is_over_decoded(&self) -> bool {
        self.over == Over::Decoded
    }

    /// The request with the body that is signed.
    fn signed<'a>(&self, input: &Input<'a>) -> Result<Input<'a>, Denied> {
        match self.over {
            Over::Encoded => Ok(*input),
            Over::Decoded => Ok(Input { body: input.decoded.ok_or(Denied::Malformed)?, ..*input }),
        }
    }

    /// The signed id, if the scheme has one; `input` is that of an accepted request.
    pub(super) fn id<'a>(&self, input: &Input<'a>) -> Result<Option<&'a str>, Denied> {
        let Some(SignedId { header, end }) = &self.id else { return Ok(None) };
        let id = header::text(input.headers, header)?;
        if end.is_some_and(|end| id.contains(end)) { Err(Denied::Malformed) } else { Ok(Some(id)) }
    }

    /// The signed id and the header that has it.
    pub(super) fn named_id<'a>(
        &'a self,
        input: &Input<'a>,
    ) -> Result<Option<(&'a str, &'a str)>, Denied> {
        let name = self.id.as_ref().map(|id| id.header.as_str());
        Ok(name.zip(self.id(input)?))
    }

    /// The signatures that decode to a right length.
    fn decoded(&self, signatures: Signatures<'_>) -> impl Iterator<Item = DecodedSignature> {
        signatures.iter().filter_map(|text| self.encoding.decode(text, &self.signature_lengths))
    }

    /// The signed timestamp, checked against the current time.
    fn timestamp<'a>(
        &self,
        input: &Input<'a>,
        signatures: Signatures<'a>,
    ) -> Result<&'a str, Denied> {
        let Some(SigningTime { source, tolerance }) = &self.signing_time else { return Ok("") };
        let text = match source {
            SigningTimeSource::Header(name) => header::text(input.headers, name)?,
            SigningTimeSource::Item(name) => signatures.single(name)?,
            SigningTimeSource::Pointer(_) => return Ok(""),
        };
        timestamp::check(timestamp::parse(text)?, input.now, *tolerance)?;
        Ok(text)
    }

    fn form<'a>(&self, input: &Input<'a>) -> Result<Parameters<'a>, Denied> {
        self.body_digest.map_or(Ok(Vec::new()), |digest| form::parameters(input, digest))
    }

    /// The key that made one of the signatures. The message is hashed once per key.
    fn signer<'m>(
        &self,
        signatures: Signatures<'_>,
        external_url: &'m str,
        message: impl Fn([&'m str; 3]) -> SignedMessage<'m>,
    ) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| {
            self.url.spellings(external_url).any(|url| {
                let expected = key.expect(|take| message(url).pieces(take));
                self.decoded(signatures).any(|given| expected.matches(given.bytes()))
            })
        })
    }

    fn check_body_timestamp(&self, input: &Input<'_>) -> Result<(), Denied> {
        let Some(SigningTime { source: SigningTimeSource::Pointer(pointer), tolerance }) =
            &self.signing_time
        else {
            return Ok(());
        };
        let Some(Scalar::Number(signed)) = json::at(input.body, pointer) else {
            return Err(Denied::Malformed);
        };
        timestamp::check(timestamp::seconds(signed), input.now, *tolerance)
    }
}

impl OwnedLayout {
    fn of(layout: Layout<'_>) -> Self {
        match layout {
            Layout::Prefixed(prefix) => Self::Prefixed(prefix.into()),
            Layout::Items { separator, assign, name } => {
                Self::Items { separator, assign, name: name.into() }
            }
        }
    }

    fn borrow(&self) -> Layout<'_> {
        match self {
            Self::Prefixed(prefix) => Layout::Prefixed(prefix),
            Self::Items { separator, assign, name } => {
                Layout::Items { separator: *separator, assign: *assign, name }
            }
        }
    }
}

/// A timestamp must be signed: otherwise an attacker can replace it.
fn signing_time(
    timestamp: Option<&super::Timestamp<'_>>,
    parts: &[TemplatePart],
) -> Result<Option<SigningTime>, EntryError> {
    let is_signed = parts.contains(&TemplatePart::Timestamp);
    let Some(super::Timestamp { source, tolerance }) = timestamp else {
        return if is_signed { Err(EntryError::TimestampHeaderMissing) } else { Ok(None) };
    };
    let source = match source {
        Source::Pointer(pointer) => SigningTimeSource::Pointer(entry::pointer(pointer)?),
        _ if !is_signed => return Err(EntryError::TimestampNotSigned),
        Source::Header(name) => SigningTimeSource::Header(entry::header_name(name)?),
        Source::Item(name) => SigningTimeSource::Item((*name).into()),
    };
    Ok(Some(SigningTime { source, tolerance: *tolerance }))
}

fn id_header(header: Option<&str>, parts: &[TemplatePart]) -> Result<Option<SignedId>, EntryError> {
    let place = parts.iter().position(|part| *part == TemplatePart::Id);
    let (header, place) = match (header, place) {
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(EntryError::IdNotSigned),
        (None, Some(_)) => return Err(EntryError::IdHeaderMissing),
        (Some(header), Some(place)) => (entry::header_name(header)?, place),
    };
    let end = match parts.get(place + 1) {
        Some(TemplatePart::Literal(text)) => text.chars().next(),
        _ => None,
    };
    Ok(Some(SignedId { header, end }))
}
