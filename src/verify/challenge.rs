//! Challenges as data: requests by which a sender verifies the endpoint, and their responses.
//!
//! A response that contains a MAC of the challenge would sign arbitrary events for anyone who may
//! ask. It is therefore given to verified requests only, and never for a text that could be one that
//! the sender signs ([`ResponseMember::HexMac`]).

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use serde_json::{Map, Value};

use super::encoding::to_hex;
use super::key::VerifyingKey;
use super::position::{Position, PositionCheck};
use super::{Denied, EntryError, Input, Secret, entry};

/// The largest body that is parsed as a challenge, in bytes; larger ones are events.
pub(super) const MAX_BODY: usize = 16 * 1024;

/// The longest challenge that is echoed, in bytes.
const MAX_CHALLENGE: usize = 1024;

/// A request by which a sender verifies the endpoint, and its response.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// The method.
    pub method: ChallengeMethod,
    /// Conditions that distinguish the request from an event: all must hold.
    pub when: &'a [ChallengeCondition<'a>],
    /// The position of the text that the response contains; `None` if it contains none.
    pub at: Option<Position<'a>>,
    /// The response.
    pub answer: ChallengeResponse<'a>,
    /// What authenticates the request.
    pub proof: ChallengeProof<'a>,
}

/// The method of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeMethod {
    /// `GET`, which has no body.
    Get,
    /// `POST`, like events.
    Post,
}

/// What holds for a challenge and for no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeCondition<'a> {
    /// There is this text.
    Text(Position<'a>, &'a str),
    /// There is this number in the body.
    Number(Position<'a>, u64),
    /// There is nothing.
    Absent(Position<'a>),
}

/// The response to a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeResponse<'a> {
    /// The challenge as plain text.
    Text,
    /// A JSON object with these members.
    Json(&'a [(&'a str, ResponseMember)]),
    /// The challenge in a header, without a body.
    Header(&'a str),
    /// A status without a body, and a content type.
    Empty(StatusCode, &'static str),
}

/// A member of a JSON response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseMember {
    /// The challenge.
    Challenge,
    /// A fixed number.
    Number(u64),
    /// The MAC of the challenge by the key that signed the request, in hexadecimal digits. A
    /// challenge with this character, which every text that the sender signs has, is not answered.
    HexMac(char),
}

/// What authenticates a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeProof<'a> {
    /// Nothing: the response has no effect, and reveals nothing that the request does not contain.
    Nothing,
    /// The entry itself, as for an event.
    Entry,
    /// The entry's verify token at this position.
    VerifyToken(Position<'a>),
}

/// A [`Challenge`] with its names resolved.
#[derive(Debug)]
pub(super) struct ChallengeCheck {
    method: Method,
    when: Box<[ConditionCheck]>,
    at: Option<PositionCheck>,
    answer: AnswerForm,
    proof: ProofCheck,
}

#[derive(Debug)]
enum ConditionCheck {
    Text(PositionCheck, Box<str>),
    Number(PositionCheck, u64),
    Absent(PositionCheck),
}

#[derive(Debug)]
enum AnswerForm {
    Text,
    Json(Box<[(Box<str>, ResponseMember)]>),
    Header(HeaderName),
    Empty(StatusCode, &'static str),
}

#[derive(Debug)]
enum ProofCheck {
    Nothing,
    Entry,
    VerifyToken(PositionCheck),
}

impl ChallengeCheck {
    /// Resolves the names.
    ///
    /// # Errors
    /// If a name or a pointer is none, or the response would sign what anyone asks for.
    pub(super) fn new(challenge: &Challenge<'_>) -> Result<Self, EntryError> {
        let Challenge { method, when, at, answer, proof } = *challenge;
        let answer = AnswerForm::new(answer)?;
        if answer.has_mac() && proof != ChallengeProof::Entry {
            return Err(EntryError::UnprovedMac);
        }
        let is_told =
            !when.is_empty() || matches!(at, Some(Position::Query(_) | Position::Header(_)));
        if method == ChallengeMethod::Post && !is_told {
            return Err(EntryError::ChallengeIsEvent);
        }
        Ok(Self {
            method: match method {
                ChallengeMethod::Get => Method::GET,
                ChallengeMethod::Post => Method::POST,
            },
            when: when.iter().map(ConditionCheck::new).collect::<Result<_, _>>()?,
            at: at.map(PositionCheck::new).transpose()?,
            answer,
            proof: match proof {
                ChallengeProof::Nothing => ProofCheck::Nothing,
                ChallengeProof::Entry => ProofCheck::Entry,
                ChallengeProof::VerifyToken(position) => {
                    ProofCheck::VerifyToken(PositionCheck::new(position)?)
                }
            },
        })
    }

    /// The response to a verified request; `None` if it is an event. The key is the one that signed
    /// it.
    pub(super) fn answer_verified(
        &self,
        input: &Input<'_>,
        key: Option<&VerifyingKey>,
    ) -> Option<Response<Bytes>> {
        let is_meant = matches!(self.proof, ProofCheck::Entry) && self.matches(input);
        is_meant.then(|| self.respond(input, key))?
    }

    /// The response to a request that the entry does not verify; `None` if it is not this challenge.
    ///
    /// # Errors
    /// If the verify token is another, or the challenge is too long.
    pub(super) fn answer_unverified(
        &self,
        input: &Input<'_>,
        verify_token: Option<&Secret>,
    ) -> Option<Result<Response<Bytes>, Denied>> {
        if !self.matches(input) {
            return None;
        }
        match &self.proof {
            ProofCheck::Entry => return None,
            ProofCheck::Nothing => {}
            ProofCheck::VerifyToken(position) => {
                let token = position.text(input).ok()?;
                if !verify_token?.matches(token.as_bytes()) {
                    return Some(Err(Denied::Mismatch));
                }
            }
        }
        Some(self.respond(input, None).ok_or(Denied::Malformed))
    }

    /// Whether the request is this challenge, if it is authenticated.
    fn matches(&self, input: &Input<'_>) -> bool {
        *input.method == self.method
            && input.body.len() <= MAX_BODY
            && self.when.iter().all(|condition| condition.holds(input))
            && self.at.as_ref().is_none_or(|at| at.text(input).is_ok())
    }

    fn respond(&self, input: &Input<'_>, key: Option<&VerifyingKey>) -> Option<Response<Bytes>> {
        let challenge = match &self.at {
            Some(at) => at.text(input).ok().filter(|text| text.len() <= MAX_CHALLENGE)?,
            None => Cow::Borrowed(""),
        };
        self.answer.response(&challenge, key)
    }
}

impl ConditionCheck {
    fn new(condition: &ChallengeCondition<'_>) -> Result<Self, EntryError> {
        Ok(match *condition {
            ChallengeCondition::Text(position, text) => {
                Self::Text(PositionCheck::new(position)?, text.into())
            }
            ChallengeCondition::Number(position, number) => {
                Self::Number(PositionCheck::new(position)?, number)
            }
            ChallengeCondition::Absent(position) => Self::Absent(PositionCheck::new(position)?),
        })
    }

    fn holds(&self, input: &Input<'_>) -> bool {
        match self {
            Self::Text(position, text) => position.text(input).is_ok_and(|found| found == **text),
            Self::Number(position, number) => position.is_number(input, *number),
            Self::Absent(position) => !position.is_present(input),
        }
    }
}

impl AnswerForm {
    fn new(answer: ChallengeResponse<'_>) -> Result<Self, EntryError> {
        Ok(match answer {
            ChallengeResponse::Text => Self::Text,
            ChallengeResponse::Json(members) => {
                Self::Json(members.iter().map(|(name, member)| ((*name).into(), *member)).collect())
            }
            ChallengeResponse::Header(name) => Self::Header(entry::header_name(name)?),
            ChallengeResponse::Empty(status, content_type) => Self::Empty(status, content_type),
        })
    }

    fn has_mac(&self) -> bool {
        let Self::Json(members) = self else { return false };
        members.iter().any(|(_, member)| matches!(member, ResponseMember::HexMac(_)))
    }

    fn response(&self, challenge: &str, key: Option<&VerifyingKey>) -> Option<Response<Bytes>> {
        match self {
            Self::Text => {
                let body = Bytes::copy_from_slice(challenge.as_bytes());
                Some(response(StatusCode::OK, "text/plain; charset=utf-8", body))
            }
            Self::Json(members) => {
                let members = members
                    .iter()
                    .map(|(name, member)| Some((name.to_string(), member.value(challenge, key)?)));
                let object = Value::Object(members.collect::<Option<Map<_, _>>>()?);
                Some(response(StatusCode::OK, "application/json", object.to_string().into()))
            }
            Self::Header(name) => {
                let mut response = Response::new(Bytes::new());
                response.headers_mut().insert(name, HeaderValue::from_str(challenge).ok()?);
                Some(response)
            }
            Self::Empty(status, content_type) => {
                Some(response(*status, content_type, Bytes::new()))
            }
        }
    }
}

impl ResponseMember {
    /// The value of the member; `None` if the challenge must not be answered.
    fn value(self, challenge: &str, key: Option<&VerifyingKey>) -> Option<Value> {
        Some(match self {
            Self::Challenge => challenge.into(),
            Self::Number(number) => number.into(),
            Self::HexMac(of_signed_texts) if challenge.contains(of_signed_texts) => return None,
            Self::HexMac(_) => {
                to_hex(key?.mac()?.sign(|take| take(challenge.as_bytes())).as_ref()).into()
            }
        })
    }
}

/// A response with `nosniff`, so that no browser renders a challenge as HTML.
fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
