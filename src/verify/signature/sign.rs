//! Makes a signature: the inverse of the check, over the same data.

use http::HeaderName;
use http::header::CONTENT_TYPE;
use ring::digest;

use super::{SignatureCheck, SigningTimeSource};
use crate::event::MediaType;
use crate::verify::encoding::to_hex;
use crate::verify::json::{self, Scalar};
use crate::verify::key::VerifyingKey;
use crate::verify::message::SignedMessage;
use crate::verify::proof::{CannotSign, Proof};
use crate::verify::{Denied, Input, header};

impl SignatureCheck {
    /// Signs the request with the first key that can sign; `None` if all are public keys. An id or
    /// timestamp that the request has already is kept.
    pub(in crate::verify) fn sign(
        &self,
        input: &Input<'_>,
        id: &str,
    ) -> Result<Option<Proof>, CannotSign> {
        let Some(key) = self.keys.iter().find_map(VerifyingKey::mac) else { return Ok(None) };
        let mut proof = Proof { query: self.missing_digest(input), ..Proof::default() };
        let path_and_query = with_parameter(input.path_and_query, proof.query.as_deref());
        let input = Input { path_and_query: &path_and_query, ..*input };
        let id = match &self.id {
            Some(signed) => proof.signed_header(&signed.name, &input, id)?,
            None => String::new(),
        };
        let (timestamp, item) = self.sign_timestamp(&mut proof, &input)?;
        let form = self.form(&input).map_err(|_| CannotSign::Form)?;
        self.find_signed_headers(&input)?;
        let message = SignedMessage {
            parts: &self.parts,
            id: &id,
            timestamp: &timestamp,
            url: self.url.spellings(input.external_url).next().unwrap_or_default(),
            input: &input,
            form: &form,
        };
        let signature = self.encoding.encode(key.sign(|take| message.pieces(take)).as_ref());
        let first = item.map(|name| (name, &*timestamp));
        let value = self.layout.borrow().write(first, &signature);
        proof.add(&self.header, value.as_bytes())?;
        Ok(Some(proof))
    }

    /// Whether the request has the headers that are signed and cannot be made here.
    fn find_signed_headers(&self, input: &Input<'_>) -> Result<(), CannotSign> {
        let mut headers = self.signed_headers.iter();
        headers.try_for_each(|header| match header.value(input) {
            Ok(_) => Ok(()),
            Err(Denied::MissingHeader) => Err(CannotSign::HeaderMissing(header.name.clone())),
            Err(_) => Err(CannotSign::Header(header.name.clone())),
        })
    }

    /// The text of the timestamp, and the name of its item in the signature header if it has one.
    fn sign_timestamp(
        &self,
        proof: &mut Proof,
        input: &Input<'_>,
    ) -> Result<(String, Option<&str>), CannotSign> {
        let format = self.signing_time.as_ref().map(|signing_time| signing_time.format);
        let now = format.unwrap_or_default().write(input.now);
        match self.signing_time.as_ref().map(|signing_time| &signing_time.source) {
            None => Ok((String::new(), None)),
            Some(SigningTimeSource::Header(name)) => {
                Ok((proof.signed_header(name, input, &now)?, None))
            }
            Some(SigningTimeSource::Item(name)) => Ok((now, Some(name))),
            Some(SigningTimeSource::Pointer(pointer)) => match json::at(input.body, pointer) {
                Some(Scalar::Number(_)) => Ok((String::new(), None)),
                _ => Err(CannotSign::TimestampMissing(pointer.name().into())),
            },
        }
    }

    /// The query parameter that covers a body which is not a form, if the scheme uses one and the
    /// query lacks it.
    fn missing_digest(&self, input: &Input<'_>) -> Option<String> {
        let parameter = self.body_digest?;
        let content_type = input.headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
        let is_form = content_type.map(MediaType::of) == Some(MediaType::UrlEncoded);
        let mut query = form_urlencoded::parse(input.query().as_bytes());
        if is_form || input.body.is_empty() || query.any(|(name, _)| name == parameter) {
            return None;
        }
        let digest = digest::digest(&digest::SHA256, input.body);
        Some(format!("{parameter}={}", to_hex(digest.as_ref())))
    }
}

impl Proof {
    /// The value of a signed header: the request's own, or else `text`, which is added.
    fn signed_header(
        &mut self,
        name: &HeaderName,
        input: &Input<'_>,
        text: &str,
    ) -> Result<String, CannotSign> {
        if input.headers.contains_key(name) {
            let given = header::text(input.headers, name);
            return given.map(str::to_owned).map_err(|_| CannotSign::Header(name.clone()));
        }
        self.add(name, text.as_bytes())?;
        Ok(text.to_owned())
    }
}

fn with_parameter(path_and_query: &str, parameter: Option<&str>) -> String {
    let Some(parameter) = parameter else { return path_and_query.to_owned() };
    let separator = if path_and_query.contains('?') { '&' } else { '?' };
    format!("{path_and_query}{separator}{parameter}")
}
