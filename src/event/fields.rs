//! The fields of a form by name, in the order of each name's first occurrence: strings, and files.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::json;
use super::rule::FormField;
use super::{Event, EventError, Form};

/// The value of a field.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum FieldValue<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A file, or another part of a binary type.
    File(File),
}

/// A part of a multipart form that is no text.
#[derive(Debug, Serialize)]
pub(super) struct File {
    /// The file name, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The content type, as sent.
    #[serde(rename = "type")]
    pub type_: String,
    /// The content in base64.
    pub data: String,
}

/// Grouping takes one hash lookup per field. The hash is keyed, so that a client cannot choose
/// names that collide.
#[derive(Default)]
pub(super) struct FormFields<'a> {
    entries: Vec<(Cow<'a, str>, Vec<FieldValue<'a>>)>,
    positions: HashMap<Cow<'a, str>, usize>,
}

impl<'a> FormFields<'a> {
    pub(super) fn push(&mut self, name: Cow<'a, str>, value: FieldValue<'a>) {
        let position = *self.positions.entry(name).or_insert_with_key(|name| {
            self.entries.push((name.clone(), Vec::new()));
            self.entries.len() - 1
        });
        self.entries[position].1.push(value);
    }

    /// Converts the fields to an event: a unique name gets its value, a repeated name an array of
    /// values in their order. If `field` has a JSON object, that is the event.
    ///
    /// # Errors
    /// `field` is required and has no JSON object.
    pub(super) fn into_event(self, field: Option<&FormField>) -> Result<Event, EventError> {
        match field.map(|field| (field.is_required, self.object_in(&field.name))) {
            Some((_, Ok(event))) => Ok(event),
            Some((true, Err(why))) => Err(EventError::FormField(why)),
            Some((false, Err(_))) | None => Ok(Event::whole(json_text(&self), Form::Converted)),
        }
    }

    /// The JSON object in a field, or why there is none.
    fn object_in(&self, name: &str) -> Result<Event, &'static str> {
        let values = self.positions.get(name).map(|&position| &*self.entries[position].1);
        match values {
            None => Err("is missing"),
            Some([FieldValue::Text(text)]) => {
                json::object(text.as_bytes()).ok_or("is not a JSON object")
            }
            Some([_]) => Err("is not a JSON object"),
            Some(_) => Err("is repeated"),
        }
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

/// Serializes strings, and the maps of this module.
pub(super) fn json_text(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings under string keys always have a JSON text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(pairs: &[(&'static str, &'static str)]) -> String {
        let mut fields = FormFields::default();
        for &(name, value) in pairs {
            fields.push(name.into(), FieldValue::Text(value.into()));
        }
        String::from_utf8(fields.into_event(None).unwrap().to_vec()).unwrap()
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

    fn object_in(field: &'static str, values: &[&'static str]) -> Result<String, EventError> {
        let field = FormField { name: field.into(), is_required: true };
        let mut fields = FormFields::default();
        for &value in values {
            fields.push("payload".into(), FieldValue::Text(value.into()));
        }
        Ok(String::from_utf8(fields.into_event(Some(&field))?.to_vec()).unwrap())
    }

    #[test]
    fn a_field_with_a_json_object_is_the_event() {
        for json in ["{}", " {\"a\": 1.0}\n", "{\"a\":1,\"a\":2}"] {
            assert_eq!(object_in("payload", &[json]).unwrap(), json);
        }
        for (field, values, why) in [
            ("payload", &["[]"][..], "is not a JSON object"),
            ("payload", &["{"], "is not a JSON object"),
            ("payload", &[""], "is not a JSON object"),
            ("payload", &["{}", "{}"], "is repeated"),
            ("Payload", &["{}"], "is missing"),
        ] {
            assert_eq!(object_in(field, values), Err(EventError::FormField(why)), "{values:?}");
        }
    }
}
