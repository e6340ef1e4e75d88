//! Compiles `spec.verify[].challenge`. The schema rejects the mistakes; what passes without it makes
//! the webhook invalid.

use crate::resources::challenge as resources;
use crate::verify::{
    Challenge, ChallengeCondition, ChallengeMethod, ChallengeProof, ChallengeResponse, Position,
    ResponseMember, Secret, Verifier,
};

/// Adds a challenge to the verifier of its entry.
///
/// # Errors
/// One sentence with the field and the mistake.
pub(super) fn add_to(
    verifier: Verifier,
    challenge: &resources::ChallengeSpec,
    verify_token: Option<Secret>,
) -> Result<Verifier, String> {
    let resources::ChallengeSpec { method, when, at, answer, proof, token } = challenge;
    let when = when.as_ref().map(condition).transpose()?;
    let name = answer.name.as_deref();
    let member = name.map(|name| (name, ResponseMember::Challenge));
    let answer = match (answer.form, &member) {
        (resources::AnswerFormSpec::Text, _) => ChallengeResponse::Text,
        (resources::AnswerFormSpec::Json, Some(member)) => {
            ChallengeResponse::Json(std::slice::from_ref(member))
        }
        (resources::AnswerFormSpec::Header, Some((name, _))) => ChallengeResponse::Header(name),
        (_, None) => return Err("challenge.answer.name is missing".into()),
    };
    let proof = match (proof, token) {
        (resources::ChallengeProofSpec::None, _) => ChallengeProof::Nothing,
        (resources::ChallengeProofSpec::Signature, _) => ChallengeProof::Entry,
        (resources::ChallengeProofSpec::Token, Some(token)) => {
            ChallengeProof::VerifyToken(position_in(token, "challenge.token")?)
        }
        (resources::ChallengeProofSpec::Token, None) => {
            return Err("challenge.token is missing".into());
        }
    };
    let method = match method {
        resources::ChallengeMethodSpec::Get => ChallengeMethod::Get,
        resources::ChallengeMethodSpec::Post => ChallengeMethod::Post,
    };
    let at = Some(position_in(at, "challenge.at")?);
    let challenge = Challenge { method, when: when.as_slice(), at, answer, proof };
    verifier.with_challenge(&challenge, verify_token).map_err(|error| error.to_string())
}

fn condition(when: &resources::ChallengeConditionSpec) -> Result<ChallengeCondition<'_>, String> {
    let resources::ChallengeConditionSpec { header, query, pointer, equals } = when;
    let position = position([header, query, pointer]);
    position
        .map(|position| ChallengeCondition::Text(position, equals))
        .ok_or_else(|| none_or_several("challenge.when", "pointer"))
}

fn position_in<'e>(
    position: &'e resources::PositionSpec,
    field: &str,
) -> Result<Position<'e>, String> {
    let resources::PositionSpec { header, query, pointer } = position;
    self::position([header, query, pointer]).ok_or_else(|| none_or_several(field, "pointer"))
}

/// The only one of header, query and pointer that is set.
pub(super) fn position(fields: [&Option<String>; 3]) -> Option<Position<'_>> {
    match fields.map(Option::as_deref) {
        [Some(name), None, None] => Some(Position::Header(name)),
        [None, Some(name), None] => Some(Position::Query(name)),
        [None, None, Some(pointer)] => Some(Position::Pointer(pointer)),
        _ => None,
    }
}

/// The mistake that not exactly one position is set.
pub(super) fn none_or_several(field: &str, last: &str) -> String {
    format!("{field}: exactly one of header, query and {last} must be set")
}
