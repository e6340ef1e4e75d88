//! A signature, made: the machine run the other way, over the same data.

use http::HeaderName;
use http::header::CONTENT_TYPE;
use ring::digest;

use super::{MomentSource, SignatureCheck};
use crate::event::MediaType;
use crate::verify::encoding::to_hex;
use crate::verify::json::{self, Scalar};
use crate::verify::key::Key;
use crate::verify::message::Message;
use crate::verify::proof::{CannotSign, Proof};
use crate::verify::{Input, header};

impl SignatureCheck {
    /// What signs the request, by the first key that can; `None` where all are public keys. What the
    /// request has of id and timestamp is signed as it is.
    pub(in crate::verify) fn sign(
        &self,
        input: &Input<'_>,
        id: &str,
    ) -> Result<Option<Proof>, CannotSign> {
        let Some(key) = self.keys.iter().find_map(Key::mac) else { return Ok(None) };
        let mut proof = Proof { query: self.missing_digest(input), ..Proof::default() };
        let path_and_query = with_parameter(input.path_and_query, proof.query.as_deref());
        let input = Input { path_and_query: &path_and_query, ..*input };
        let id = match &self.id {
            Some(signed) => proof.say(&signed.header, &input, id)?,
            None => String::new(),
        };
        let (timestamp, item) = self.sign_moment(&mut proof, &input)?;
        let form = self.form(&input).map_err(|_| CannotSign::Form)?;
        let message = Message {
            parts: &self.parts,
            id: &id,
            timestamp: &timestamp,
            url: self.url.spellings(input.external_url).next().unwrap_or_default(),
            path_and_query: input.path_and_query,
            body: input.body,
            form: &form,
        };
        let signature = self.encoding.encode(key.sign(|take| message.pieces(take)).as_ref());
        let first = item.map(|name| (name, &*timestamp));
        let value = self.layout.borrow().write(first, &signature);
        proof.add(&self.header, value.as_bytes())?;
        Ok(Some(proof))
    }

    /// The text of the timestamp, and the item of the signature's header that tells it, if one does.
    fn sign_moment(
        &self,
        proof: &mut Proof,
        input: &Input<'_>,
    ) -> Result<(String, Option<&'static str>), CannotSign> {
        let now = input.now.to_string();
        match self.moment.as_ref().map(|moment| &moment.source) {
            None => Ok((String::new(), None)),
            Some(MomentSource::Header(name)) => Ok((proof.say(name, input, &now)?, None)),
            Some(MomentSource::Item(name)) => Ok((now, Some(name))),
            Some(MomentSource::Member(name)) => match json::member(input.body, name) {
                Some(Scalar::Number(_)) => Ok((String::new(), None)),
                _ => Err(CannotSign::MomentMissing(name)),
            },
        }
    }

    /// The parameter of the query that covers a body which is no form, where the sender has it so.
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
    /// The text of a header that is signed: what the request has, or else this, which is added.
    fn say(
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
