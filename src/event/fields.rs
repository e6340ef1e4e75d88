//! The fields of a form: strings under names, in the order in which each name was first seen.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::Event;

/// Grouping is one hash look-up a field; the hash is keyed, so a stranger cannot choose names that collide.
#[derive(Default)]
pub(super) struct Fields<'a> {
    entries: Vec<(Cow<'a, str>, Vec<Cow<'a, str>>)>,
    positions: HashMap<Cow<'a, str>, usize>,
}

impl<'a> Fields<'a> {
    pub(super) fn push(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        let position = *self.positions.entry(name).or_insert_with_key(|name| {
            self.entries.push((name.clone(), Vec::new()));
            self.entries.len() - 1
        });
        self.entries[position].1.push(value);
    }

    /// A name seen once has a string, a name seen again an array of strings in their order.
    pub(super) fn into_event(self) -> Event {
        Event::whole(json_text(&self))
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for (name, values) in &self.entries {
            match values.as_slice() {
                [value] => map.serialize_entry(name, value)?,
                values => map.serialize_entry(name, values)?,
            }
        }
        map.end()
    }
}

/// The JSON text of strings and maps of strings, which is all that is built here.
pub(super) fn json_text(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings under string keys always have a JSON text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(pairs: &[(&'static str, &'static str)]) -> String {
        let mut fields = Fields::default();
        for &(name, value) in pairs {
            fields.push(name.into(), value.into());
        }
        String::from_utf8(fields.into_event().to_vec()).unwrap()
    }

    #[test]
    fn fields_keep_the_order_in_which_names_were_first_seen() {
        for (pairs, json) in [
            (&[][..], "{}"),
            (&[("b", "1"), ("a", "2")], r#"{"b":"1","a":"2"}"#),
            (&[("b", "1"), ("a", "2"), ("b", "3"), ("b", "")], r#"{"b":["1","3",""],"a":"2"}"#),
            (&[("", ""), ("\"\n", "\\")], r#"{"":"","\"\n":"\\"}"#),
        ] {
            assert_eq!(event(pairs), json);
        }
    }
}
