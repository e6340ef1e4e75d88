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
use super::{Denied, EntryError, Input, Secret, TimestampFormat, entry, header, timestamp};

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
    id: Option<SignedHeader>,
    signed_headers: Box<[SignedHeader]>,
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
    format: TimestampFormat,
    tolerance: Duration,
}

#[derive(Debug)]
enum SigningTimeSource {
    Header(HeaderName),
    Item(Box<str>),
    Pointer(Pointer),
}

/// A header whose value is signed.
#[derive(Debug)]
struct SignedHeader {
    name: HeaderName,
    /// See [`template::end`].
    end: Option<char>,
}

impl SignedHeader {
    fn value<'a>(&self, input: &Input<'a>) -> Result<&'a str, Denied> {
        let value = header::text(input.headers, &self.name)?;
        if self.end.is_some_and(|end| value.contains(end)) {
            Err(Denied::Malformed)
        } else {
            Ok(value)
        }
    }
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
            signed_headers: signed_headers(&parts),
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
        self.signed_headers.iter().try_for_each(|header| header.value(input).map(drop))?;
        let form = self.form(input)?;
        let message =
            |url| SignedMessage { parts: &self.parts, id, timestamp, url, input, form: &form };
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
        self.id.as_ref().map(|id| id.value(input)).transpose()
    }

    /// The signed id and the header that has it.
    pub(super) fn named_id<'a>(
        &'a self,
        input: &Input<'a>,
    ) -> Result<Option<(&'a str, &'a str)>, Denied> {
        let name = self.id.as_ref().map(|id| id.name.as_str());
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
        let Some(SigningTime { source, format, tolerance }) = &self.signing_time else {
            return Ok("");
        };
        let text = match source {
            SigningTimeSource::Header(name) => header::text(input.headers, name)?,
            SigningTimeSource::Item(name) => signatures.single(name)?,
            SigningTimeSource::Pointer(_) => return Ok(""),
        };
        timestamp::check(format.parse(text)?, input.now, *tolerance)?;
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
        let Some(SigningTime { source: SigningTimeSource::Pointer(pointer), tolerance, .. }) =
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
    let Some(super::Timestamp { source, format, tolerance }) = timestamp else {
        return if is_signed { Err(EntryError::TimestampHeaderMissing) } else { Ok(None) };
    };
    let source = match source {
        Source::Pointer(pointer) => SigningTimeSource::Pointer(entry::pointer(pointer)?),
        _ if !is_signed => return Err(EntryError::TimestampNotSigned),
        Source::Header(name) => SigningTimeSource::Header(entry::header_name(name)?),
        Source::Item(name) => SigningTimeSource::Item((*name).into()),
    };
    Ok(Some(SigningTime { source, format: *format, tolerance: *tolerance }))
}

fn id_header(
    header: Option<&str>,
    parts: &[TemplatePart],
) -> Result<Option<SignedHeader>, EntryError> {
    let place = parts.iter().position(|part| *part == TemplatePart::Id);
    match (header, place) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(EntryError::IdNotSigned),
        (None, Some(_)) => Err(EntryError::IdHeaderMissing),
        (Some(header), Some(place)) => {
            let name = entry::header_name(header)?;
            Ok(Some(SignedHeader { name, end: template::end(parts, place) }))
        }
    }
}

fn signed_headers(parts: &[TemplatePart]) -> Box<[SignedHeader]> {
    let headers = parts.iter().enumerate().filter_map(|(place, part)| match part {
        TemplatePart::Header(name) => {
            Some(SignedHeader { name: name.clone(), end: template::end(parts, place) })
        }
        _ => None,
    });
    headers.collect()
}
