//! Advice about a secret that can be used, but is probably not what the user meant.
//!
//! White space at the end of a secret is part of it, as providers allow any text. A user who made
//! the Secret with `echo` would otherwise see a webhook that is Ready and answers 401.

use std::sync::Arc;

use super::input::Key;
use super::secrets::{KnownSecret, Secrets};
use super::verify;
use crate::resources::verify::{SecretKeyRef, VerifyEntry};
use crate::verify::{Scheme, Secret, SurroundingBlank};

/// Advice about the first secret of the entries that has white space around it, which is part of
/// the secret. It contains nothing of the secret.
pub fn of(namespace: &Arc<str>, entries: &[VerifyEntry], secrets: &Secrets) -> Option<String> {
    entries.iter().find_map(|entry| {
        let of = |secret, schemes: &[Scheme<'_>]| of_secret(namespace, secret, secrets, schemes);
        let schemes = verify::schemes(namespace, entry, secrets);
        let mut keys = entry.secret_refs.iter();
        keys.find_map(|secret| of(secret, &schemes))
            .or_else(|| entry.verify_token.as_ref().and_then(|token| of(token, &[])))
    })
}

/// Advice about one secret; the `schemes` are those in which it is used as a key.
fn of_secret(
    namespace: &Arc<str>,
    SecretKeyRef { name, key }: &SecretKeyRef,
    secrets: &Secrets,
    schemes: &[Scheme<'_>],
) -> Option<String> {
    let KnownSecret::There(input) = secrets.known(&Key::new(namespace.clone(), name.as_str()))
    else {
        return None;
    };
    let bytes = input.entry(key)?;
    let blank = SurroundingBlank::of(bytes)?;
    let secret = Secret::new(bytes.to_vec()).ok()?;
    if !schemes.iter().all(|scheme| scheme.keeps_blanks_of(&secret)) {
        return None;
    }
    let without = match blank {
        SurroundingBlank::LineBreakAtEnd => "without (printf, not echo)",
        SurroundingBlank::BlankAtEnd | SurroundingBlank::AtStart => "without",
    };
    Some(format!(
        "key {key} of Secret {name} {blank}, which is part of the secret: if signatures do not match, \
         store it {without}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::secrets::SecretInput;
    use crate::plan::services::Reach;
    use serde_json::{Value, json};

    fn advice(entry: Value, value: &str) -> Option<String> {
        let mut secrets = Secrets::new(Reach::Address);
        let object = json!({
            "metadata": {"name": "gh", "namespace": "team-a"},
            "stringData": {"secret": value, "good": "fine"},
        });
        secrets.put(SecretInput::of(serde_json::from_value(object).unwrap()));
        let mut entry = entry;
        if entry.get("secretRefs").is_none() {
            entry["secretRefs"] = json!([{"name": "gh", "key": "secret"}]);
        }
        of(&"team-a".into(), &[serde_json::from_value(entry).unwrap()], &secrets)
    }

    #[test]
    fn a_line_break_at_the_end_is_named_by_key_and_secret_and_nothing_of_it_is_shown() {
        let said = advice(json!({"type": "GitHub"}), "hunter2\n").unwrap();
        assert_eq!(
            said,
            "key secret of Secret gh ends with a line break, which is part of the secret: if \
             signatures do not match, store it without (printf, not echo)"
        );
        let blank = advice(json!({"type": "GitHub"}), "hunter2 ").unwrap();
        assert!(blank.contains("ends with a blank, ") && blank.ends_with("store it without"));
        let start = advice(json!({"type": "GitHub"}), "\thunter2").unwrap();
        assert!(start.contains("begins with a blank or a line break, "), "{start}");
        assert_eq!(advice(json!({"type": "GitHub"}), "hunter2"), None);
    }

    #[test]
    fn every_type_that_takes_the_text_as_it_is_has_the_advice() {
        for entry in [
            json!({"type": "Stripe"}),
            json!({"type": "Slack"}),
            json!({"type": "Twilio"}),
            json!({"type": "Bearer"}),
            json!({"type": "ApiKey", "apiKey": {"header": "X-Api-Key"}}),
            json!({"type": "Hmac", "hmac": {"header": "X-Signature"}}),
            json!({"type": "GitHub", "secretRefs": [
                {"name": "gh", "key": "good"}, {"name": "gh", "key": "secret"},
            ]}),
            json!({"type": "Meta", "secretRefs": [{"name": "gh", "key": "good"}],
                "verifyToken": {"name": "gh", "key": "secret"}}),
        ] {
            assert!(advice(entry.clone(), "s3cret\n").is_some(), "{entry}");
        }
        assert!(advice(json!({"type": "Basic"}), "user:password\n").is_some());
    }

    #[test]
    fn a_form_that_ignores_white_space_has_none() {
        assert_eq!(advice(json!({"type": "StandardWebhooks"}), "whsec_AQIDBA==\n"), None);
        assert_eq!(advice(json!({"type": "Discord"}), &format!("{}\n", "ab".repeat(32))), None);
        // A signing token of GitLab, and its secret token.
        assert_eq!(advice(json!({"type": "GitLab"}), "whsec_AQIDBA==\n"), None);
        assert!(advice(json!({"type": "GitLab"}), "a token\n").is_some());
        // What is missing is the verdict's to say.
        let other = json!([{"name": "gh", "key": "none"}, {"name": "none", "key": "secret"}]);
        assert_eq!(advice(json!({"type": "GitHub", "secretRefs": other}), "s\n"), None);
    }
}
