//! Finds one member of a JSON object without building the rest.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A member whose value is a string or an unsigned integer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Number(u64),
}

/// The first member with this name in a JSON object. Parsing stops after it.
pub(super) fn member<'a>(body: &'a [u8], name: &str) -> Option<Scalar<'a>> {
    let mut found = None;
    let visitor = MemberVisitor { name, found: &mut found };
    // An error is expected: parsing stops at the member.
    let _ = serde_json::Deserializer::from_slice(body).deserialize_map(visitor);
    found
}

struct MemberVisitor<'n, 'f, 'a> {
    name: &'n str,
    found: &'f mut Option<Scalar<'a>>,
}

impl<'a> Visitor<'a> for MemberVisitor<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(is_match) = map.next_key_seed(KeyMatcher(self.name))? {
            if is_match {
                *self.found = Some(map.next_value()?);
                return Ok(());
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Compares an object key with a name.
struct KeyMatcher<'n>(&'n str);

impl<'a> DeserializeSeed<'a> for KeyMatcher<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyMatcher<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;
        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an unsigned integer")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Owned(text.into())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(number))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_at_the_top_level_only() {
        let text = |text: &'static str| Some(Scalar::Text(text.into()));
        for (body, found) in [
            (r#"{"id":"a"}"#, text("a")),
            (r#"{"x":{"id":"no"},"id":"a\u00e9"}"#, text("aé")),
            (r#"{"x":[1,{"id":2}],"id":1614265330000}"#, Some(Scalar::Number(1_614_265_330_000))),
            (r#"{"id":"first","id":"second"}"#, text("first")),
            (r#"{"id":"a", and then anything"#, text("a")),
            (r#"{"\u0069d":"a"}"#, text("a")),
            (r#"{"x":1}"#, None),
            (r#"{"id":null}"#, None),
            (r#"{"id":1.5}"#, None),
            (r#"{"id":-1}"#, None),
            (r#"{"id":"#, None),
            (r#"["id","a"]"#, None),
            ("", None),
            ("\u{fffd}", None),
        ] {
            assert_eq!(member(body.as_bytes(), "id"), found, "{body}");
        }
    }

    #[test]
    fn a_body_of_openings_is_bounded() {
        let body = format!("{{\"x\":{}", "[".repeat(4_000_000));
        assert_eq!(member(body.as_bytes(), "id"), None);
    }
}
