//! A mutation of whatever is verified never passes.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use http::header::{CONTENT_TYPE, HeaderValue};
use proptest::prelude::*;
use proptest::sample::Index;
use webhook_operator::verify::Verifier;

use super::jwt::{Tokens, tokens};
use super::request::Request;
use super::vectors::Vector;

struct Case {
    vector: Vector,
    request: Request,
    verifier: Verifier,
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let case =
        |vector: Vector| Case { request: vector.request(), verifier: vector.verifier(), vector };
    Vector::small().map(case).collect()
});

static TOKENS: LazyLock<(Tokens, Verifier)> = LazyLock::new(|| {
    let tokens = tokens();
    let verifier = tokens.verifier();
    (tokens, verifier)
});

#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Truncate(Index),
    Swap(Index, Index),
    Append(Vec<u8>),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        at().prop_map(Mutation::Remove),
        at().prop_map(Mutation::Truncate),
        (at(), at()).prop_map(|(one, other)| Mutation::Swap(one, other)),
        proptest::collection::vec(any::<u8>(), 1..4).prop_map(Mutation::Append),
    ]
}

impl Mutation {
    fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let len = bytes.len();
        match self {
            Self::Insert(at, byte) => bytes.insert(at.index(len + 1), *byte),
            Self::Append(more) => bytes.extend_from_slice(more),
            _ if len == 0 => {}
            Self::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
            Self::Replace(at, byte) => bytes[at.index(len)] = *byte,
            Self::Remove(at) => drop(bytes.remove(at.index(len))),
            Self::Truncate(at) => bytes.truncate(at.index(len)),
            Self::Swap(one, other) => bytes.swap(one.index(len), other.index(len)),
        }
        bytes
    }
}

/// What Twilio signs of a form: names and values run together, so that some bodies are one to it.
fn signed_by_twilio(body: &[u8]) -> String {
    let parameters: BTreeSet<_> = form_urlencoded::parse(body).collect();
    parameters.iter().flat_map(|(name, value)| [&**name, &**value]).collect()
}

/// Whether two bodies are the same to the signature.
fn same_body(vector: &Vector, one: &[u8], other: &[u8]) -> bool {
    one == other
        || (vector.provider == "twilio" && signed_by_twilio(one) == signed_by_twilio(other))
}

/// Whether two header values are the same signature: hexadecimal digits have two cases, and blanks
/// around the items of a list mean nothing.
fn same_header(vector: &Vector, one: &[u8], other: &[u8]) -> bool {
    let (one, other) = (without_blanks(vector, one), without_blanks(vector, other));
    let is_base64 = ["shopify", "square", "twilio", "standardWebhooks", "gitlab"]
        .contains(&&*vector.provider)
        || vector.case.ends_with("base64")
        || vector.case.ends_with("base64url");
    one == other || (!is_base64 && one.eq_ignore_ascii_case(&other))
}

fn without_blanks(vector: &Vector, value: &[u8]) -> Vec<u8> {
    let entry = vector.entry();
    let items = entry.as_ref().and_then(|entry| entry.pointer("/hmac/items"));
    let is_list = ["stripe", "mux", "pagerDuty", "paddle"].contains(&&*vector.provider);
    if items.is_none() && !is_list {
        return value.to_vec();
    }
    let default = if vector.provider == "paddle" { ";" } else { "," };
    let separator = items.and_then(|items| items["separator"].as_str()).unwrap_or(default);
    let items = value.split(|byte| *byte == separator.as_bytes()[0]).map(<[u8]>::trim_ascii);
    items.collect::<Vec<_>>().join(separator.as_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn a_mutation_of_the_body_never_passes(at in any::<Index>(), mutation in mutation()) {
        let case = at.get(&CASES);
        let body = mutation.apply(&case.request.body);
        prop_assume!(!same_body(&case.vector, &body, &case.request.body));
        let request = Request { body, ..case.request.clone() };
        prop_assert!(request.denied(&case.verifier).is_some(), "{}", case.vector.name());
    }

    #[test]
    fn a_mutation_of_a_header_never_passes(
        at in any::<Index>(),
        header in any::<Index>(),
        mutation in mutation(),
    ) {
        let case = at.get(&CASES);
        let names: Vec<_> =
            case.request.headers.keys().filter(|name| **name != CONTENT_TYPE).collect();
        let name = *header.get(&names);
        let before = &case.request.headers[name];
        let after = mutation.apply(before.as_bytes());
        prop_assume!(!same_header(&case.vector, before.as_bytes(), &after));
        let Ok(value) = HeaderValue::from_bytes(&after) else { return Ok(()) };
        let mut request = case.request.clone();
        request.headers.insert(name, value);
        prop_assert!(request.denied(&case.verifier).is_some(), "{}", case.vector.name());
    }

    #[test]
    fn a_mutation_of_the_moment_beyond_the_tolerance_never_passes(
        at in any::<Index>(),
        now in any::<u64>(),
    ) {
        let case = at.get(&CASES);
        let Some(signed) = case.vector.now else { return Ok(()) };
        prop_assume!(signed.abs_diff(now) > case.vector.tolerance.unwrap_or(300));
        let request = Request { now, ..case.request.clone() };
        prop_assert!(request.denied(&case.verifier).is_some(), "{}", case.vector.name());
    }

    #[test]
    fn a_mutation_of_a_token_never_passes(at in any::<Index>(), mutation in mutation()) {
        let (tokens, verifier) = &*TOKENS;
        let accepted: Vec<_> = tokens.accepted.values().collect();
        let token = at.get(&accepted).as_bytes();
        let mutated = mutation.apply(token);
        // One or more spaces stand before a token.
        let start = mutated.iter().position(|byte| *byte != b' ').unwrap_or(mutated.len());
        prop_assume!(mutated[start..] != *token);
        let value = [b"Bearer ", &*mutated].concat();
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let mut request = tokens.request("x");
        request.headers.insert("authorization", value);
        prop_assert!(request.denied(verifier).is_some());
    }
}
