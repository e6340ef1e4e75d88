//! The fields of a form: strings by name, in the order of each name's first occurrence.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::{Event, Form};

/// Grouping takes one hash lookup per field. The hash is keyed, so that a client cannot choose
/// names that collide.
#[derive(Default)]
pub(super) struct FormFields<'a> {
    entries: Vec<(Cow<'a, str>, Vec<Cow<'a, str>>)>,
    positions: HashMap<Cow<'a, str>, usize>,
}

impl<'a> FormFields<'a> {
    pub(super) fn push(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        let position = *self.positions.entry(name).or_insert_with_key(|name| {
            self.entries.push((name.clone(), Vec::new()));
            self.entries.len() - 1
        });
        self.entries[position].1.push(value);
    }

    /// Converts the fields to an event: a unique name gets a string, a repeated name an array of
    /// strings in their order.
    pub(super) fn into_event(self) -> Event {
        Event::whole(json_text(&self), Form::Converted)
    }
}

impl Serialize for FormFields<'_> {
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

/// Serializes strings and maps of strings, the only values that this module builds.
pub(super) fn json_text(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings under string keys always have a JSON text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(pairs: &[(&'static str, &'static str)]) -> String {
        let mut fields = FormFields::default();
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
