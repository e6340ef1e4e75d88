//! Finds one value of a JSON document without building the rest.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::pointer::Pointer;

/// A string or an unsigned integer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Number(u64),
}

/// The string or number at a pointer. Of members with the same name, the first one is taken. Parsing
/// stops after the value.
pub(super) fn at<'a>(body: &'a [u8], pointer: &Pointer) -> Option<Scalar<'a>> {
    match find(body, pointer)? {
        FoundValue::Scalar(scalar) => Some(scalar),
        FoundValue::Null | FoundValue::Other => None,
    }
}

/// Whether there is a value other than null at a pointer.
pub(super) fn is_present(body: &[u8], pointer: &Pointer) -> bool {
    matches!(find(body, pointer), Some(FoundValue::Scalar(_) | FoundValue::Other))
}

fn find<'a>(body: &'a [u8], pointer: &Pointer) -> Option<FoundValue<'a>> {
    let mut found = None;
    let seed = PointerSeed { names: pointer.names(), found: &mut found };
    // An error is expected: parsing stops at the value.
    let _ = seed.deserialize(&mut serde_json::Deserializer::from_slice(body));
    found
}

/// A value at a pointer.
enum FoundValue<'a> {
    Scalar(Scalar<'a>),
    Null,
    Other,
}

/// Descends to the value that the names lead to. Its depth is that of the pointer.
struct PointerSeed<'n, 'f, 'a> {
    names: &'n [Box<str>],
    found: &'f mut Option<FoundValue<'a>>,
}

impl<'a> DeserializeSeed<'a> for PointerSeed<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.names.is_empty() {
            *self.found = Some(FoundValue::deserialize(deserializer)?);
            return Ok(());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for PointerSeed<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((name, names)) = self.names.split_first() else { return Ok(()) };
        while let Some(is_match) = map.next_key_seed(KeyMatcher(name))? {
            if is_match {
                return map.next_value_seed(PointerSeed { names, found: self.found });
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((name, names)) = self.names.split_first() else { return Ok(()) };
        let Some(index) = index(name) else { return Ok(()) };
        for _ in 0..index {
            if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        items.next_element_seed(PointerSeed { names, found: self.found }).map(drop)
    }
}

/// The index of an item: decimal digits without a leading zero (RFC 6901, section 4).
fn index(name: &str) -> Option<usize> {
    let is_index =
        name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    is_index.then(|| name.parse().ok())?
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

impl<'de: 'a, 'a> Deserialize<'de> for FoundValue<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FoundVisitor)
    }
}

struct FoundVisitor;

impl<'de> Visitor<'de> for FoundVisitor {
    type Value = FoundValue<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<FoundValue<'de>, E> {
        Ok(FoundValue::Scalar(Scalar::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<FoundValue<'de>, E> {
        Ok(FoundValue::Scalar(Scalar::Text(Cow::Owned(text.into()))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<FoundValue<'de>, E> {
        Ok(FoundValue::Scalar(Scalar::Number(number)))
    }

    fn visit_i64<E>(self, _: i64) -> Result<FoundValue<'de>, E> {
        Ok(FoundValue::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<FoundValue<'de>, E> {
        Ok(FoundValue::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<FoundValue<'de>, E> {
        Ok(FoundValue::Other)
    }

    fn visit_unit<E>(self) -> Result<FoundValue<'de>, E> {
        Ok(FoundValue::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FoundValue<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(FoundValue::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<FoundValue<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(FoundValue::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'a>(body: &'a str, pointer: &str) -> Option<Scalar<'a>> {
        super::at(body.as_bytes(), &Pointer::parse(pointer).unwrap())
    }

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
            assert_eq!(at(body, "/id"), found, "{body}");
        }
    }

    #[test]
    fn a_body_of_openings_is_bounded() {
        let body = format!("{{\"x\":{}", "[".repeat(4_000_000));
        assert_eq!(at(&body, "/id"), None);
    }

    #[test]
    fn a_nested_value_is_found_by_names_and_indices() {
        let body = r#"{"a":1,"list":[{"id":"no"},{"x":[[]],"id":"yes"},7],"a/b":{"":{"~":"t"}},"event":{"id":9}}"#;
        for (pointer, found) in [
            ("/list/1/id", Some(Scalar::Text("yes".into()))),
            ("/list/2", Some(Scalar::Number(7))),
            ("/a~1b//~0", Some(Scalar::Text("t".into()))),
            ("/event/id", Some(Scalar::Number(9))),
            ("/list/3", None),
            ("/list/01/id", None),
            ("/list/-/id", None),
            ("/list/+1/id", None),
            ("/list/99999999999999999999", None),
            ("/list", None),
            ("/a/id", None),
            ("/event", None),
            ("/", None),
        ] {
            assert_eq!(at(body, pointer), found, "{pointer}");
        }
        assert_eq!(at(r#"["a"]"#, "/0"), Some(Scalar::Text("a".into())));
        // The first member decides, as for a value at the top level.
        assert_eq!(at(r#"{"a":{},"a":{"id":"x"}}"#, "/a/id"), None);
    }

    #[test]
    fn every_value_but_null_is_present() {
        let present = |body: &str| is_present(body.as_bytes(), &Pointer::parse("/event").unwrap());
        for value in [r#""""#, "0", "-1", "1.5", "false", "{}", r#"{"a":[1]}"#, "[]", "[{}]"] {
            assert!(present(&format!(r#"{{"type":1,"event":{value}}}"#)), "{value}");
        }
        for body in [r#"{"event":null}"#, r#"{"x":{"event":1}}"#, "{}", "[]", "", r#"{"event":"#] {
            assert!(!present(body), "{body}");
        }
    }
}
