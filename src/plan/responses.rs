//! `spec.response`, `spec.probes`, `spec.forwardHeaders` and `spec.maxBodyBytes`, compiled for use.
//! The schema rejects the mistakes; what passes without it makes the webhook invalid.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use crate::resources::verify::VerifyEntry;
use crate::resources::{self, DEFAULT_MAX_BODY_BYTES, DeliveryMode, ProbeMethod};
use crate::routes::{AcceptedResponse, FixedResponse, ForwardedHeaders, Probes};
use crate::verify::Provider;

/// The content type of a body that has none.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Compiles `spec.response`.
///
/// # Errors
/// One sentence with the field and the mistake.
pub(super) fn response(
    response: Option<&resources::Response>,
    mode: DeliveryMode,
) -> Result<Option<Box<AcceptedResponse>>, Arc<str>> {
    let Some(response) = response else { return Ok(None) };
    let resources::Response { from, status, content_type, body } = response;
    if from.is_some() {
        if mode != DeliveryMode::Sync {
            return Err("spec.response.from needs delivery.mode Sync".into());
        }
        return Ok(Some(Box::new(AcceptedResponse::Listener)));
    }
    let status = status.map(status_code).transpose()?;
    let content_type = content_type.as_deref().map_or(Ok(TEXT), HeaderValue::from_str);
    let content_type =
        content_type.map_err(|_| "spec.response.contentType is not a header value")?;
    let body = body.as_ref().map(|body| {
        let content_type = (!body.is_empty()).then_some(content_type);
        (content_type, body.clone().into())
    });
    Ok(Some(Box::new(AcceptedResponse::Fixed(FixedResponse { status, body }))))
}

fn status_code(status: i32) -> Result<StatusCode, Arc<str>> {
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.filter(|status| status.is_success());
    status.ok_or_else(|| "spec.response.status is not a 2xx status".into())
}

/// Compiles `spec.probes`.
pub(super) fn probes(methods: &[ProbeMethod]) -> Probes {
    Probes { head: methods.contains(&ProbeMethod::Head), get: methods.contains(&ProbeMethod::Get) }
}

/// Compiles `spec.forwardHeaders`: header names, and beginnings of names before a `*`.
///
/// # Errors
/// One sentence.
pub(super) fn forwarded(names: &[String]) -> Result<ForwardedHeaders, Arc<str>> {
    const INVALID: &str = "spec.forwardHeaders has an invalid header name";
    let (prefixes, names): (Vec<_>, Vec<_>) = names.iter().partition(|name| name.ends_with('*'));
    let names = names.iter().map(|name| {
        // `*` is a character of header names, but nobody means that one here.
        let name = Some(name).filter(|name| !name.contains('*')).map(|name| name.parse());
        name.and_then(Result::ok).ok_or_else(|| INVALID.into())
    });
    let prefixes = prefixes.iter().map(|name| {
        let prefix = name.trim_end_matches('*');
        let is_valid =
            prefix.len() + 1 == name.len() && !prefix.is_empty() && !prefix.contains('*');
        is_valid.then(|| prefix.to_ascii_lowercase().into()).ok_or_else(|| INVALID.into())
    });
    Ok(ForwardedHeaders {
        names: names.collect::<Result<_, Arc<str>>>()?,
        prefixes: prefixes.collect::<Result<_, Arc<str>>>()?,
    })
}

/// The limit of a body in bytes: `spec.maxBodyBytes`, or the largest default of the providers in
/// `spec.verify`, or the default of all webhooks.
///
/// # Errors
/// One sentence.
pub(super) fn max_body_bytes(
    max_body_bytes: Option<i64>,
    verify: &[VerifyEntry],
) -> Result<u32, Arc<str>> {
    let providers = verify.iter().filter_map(|entry| Provider::named(entry.type_.as_str()));
    let default = providers.filter_map(|provider| provider.max_body_bytes).max();
    let default = default.map_or(DEFAULT_MAX_BODY_BYTES, i64::from);
    u32::try_from(max_body_bytes.unwrap_or(default))
        .map_err(|_| "spec.maxBodyBytes is out of range".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_star_at_the_end_is_a_prefix_and_nowhere_else() {
        let found = forwarded(&strings(&["X-Shop-*", "X-Id"])).unwrap();
        assert_eq!((found.names[0].as_str(), &*found.prefixes[0]), ("x-id", "x-shop-"));
        for name in ["*", "**", "X-*-Id", "X-**", "*X", "X Y"] {
            assert!(forwarded(&strings(&[name])).is_err(), "{name}");
        }
    }

    #[test]
    fn a_provider_raises_the_default_limit_of_a_body_and_only_the_default() {
        let entry = |name: &str| serde_json::from_value(json!({"type": name})).unwrap();
        for (set, verify, limit) in [
            (None, vec![], 8_000_000),
            (None, vec![entry("Stripe")], 8_000_000),
            (None, vec![entry("Stripe"), entry("GitHub")], 25 * 1024 * 1024),
            (Some(5), vec![entry("GitHub")], 5),
        ] {
            assert_eq!(max_body_bytes(set, &verify), Ok(limit));
        }
    }

    #[test]
    fn a_response_of_the_listener_needs_a_listener_that_is_waited_for() {
        let spec = serde_json::from_value(json!({"from": "Listener"})).unwrap();
        let found = response(Some(&spec), DeliveryMode::Sync).unwrap().unwrap();
        assert_eq!(*found, AcceptedResponse::Listener);
        assert!(response(Some(&spec), DeliveryMode::Queued).is_err());
    }
}
