//! Masks secrets in shown events, recognized by the names of headers, members and fields. Pure.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::http::is_secret;

/// Replaces masked values.
pub const MASK: &str = "[masked]";

/// A member of a JSON object with a string or number value. A string may be truncated.
static MEMBER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?s)"(?<name>(?:[^"\\]|\\.)*)"(?<colon>\s*:\s*)(?:"(?:[^"\\]|\\.)*(?:"|\\?$)|-?[0-9][0-9.eE+-]*)"#,
    )
    .ok()
});

/// A field of a URL-encoded form.
static FIELD: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?<before>^|&)(?<name>[^=&]+)=[^&]*").ok());

/// Masks the values of members, or of form fields, with secret names.
pub fn text(text: &str, is_form: bool) -> String {
    let (pattern, masked): (_, fn(&Captures<'_>) -> String) =
        if is_form { (&FIELD, field) } else { (&MEMBER, member) };
    // Fails closed, although both patterns are constants that a test compiles.
    let Some(pattern) = &**pattern else { return MASK.into() };
    let replacement = |found: &Captures<'_>| {
        if is_secret(&found["name"]) { masked(found) } else { found[0].to_owned() }
    };
    pattern.replace_all(text, replacement).into_owned()
}

fn member(found: &Captures<'_>) -> String {
    format!(r#""{}"{}"{MASK}""#, &found["name"], &found["colon"])
}

fn field(found: &Captures<'_>) -> String {
    format!("{}{}={MASK}", &found["before"], &found["name"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_values_of_secret_members_are_masked_at_any_depth() {
        for (body, shown) in [
            (r#"{"token": "abc","id":1}"#, r#"{"token": "[masked]","id":1}"#),
            (r#"{"a":{"password":"a\"b\\"},"b":"c"}"#, r#"{"a":{"password":"[masked]"},"b":"c"}"#),
            (r#"{"pin_token":-1.5e3}"#, r#"{"pin_token":"[masked]"}"#),
            ("{\"secret\"\n:\n\"a\nb\"}", "{\"secret\"\n:\n\"[masked]\"}"),
            // Truncated bodies.
            (r#"{"a":1,"secret":"begin"#, r#"{"a":1,"secret":"[masked]""#),
            (r#"{"secret":"begin\"#, r#"{"secret":"[masked]""#),
            (
                r#"{"say":"\"token\": 7","tokens_used":12}"#,
                r#"{"say":"\"token\": 7","tokens_used":12}"#,
            ),
            ("plain token=text", "plain token=text"),
        ] {
            assert_eq!(text(body, false), shown, "{body}");
        }
    }

    #[test]
    fn values_of_secret_fields_of_a_form_are_masked() {
        assert_eq!(text("token=a%20b&x=1&password=", true), "token=[masked]&x=1&password=[masked]");
        assert_eq!(text("x=1&y", true), "x=1&y");
    }
}
