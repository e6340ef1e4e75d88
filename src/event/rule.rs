//! How a body is converted, where its content type alone does not say so.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The rule by which a body is converted to an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BodyRule {
    /// By its content type.
    #[default]
    Auto,
    /// As JSON, in the charset of its content type.
    Json,
    /// As text, in the charset of its content type.
    Text,
    /// As bytes.
    Binary,
    /// By its content type. The event of a form is the JSON object in one of its fields.
    FormField(FormField),
}

/// A field of a form that has the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormField {
    /// The name of the field.
    pub name: Cow<'static, str>,
    /// Whether a form without it is rejected. Otherwise the event of such a form is its fields.
    pub is_required: bool,
}

impl BodyRule {
    /// The rule of a provider whose forms may have the event in a field.
    pub fn of_provider(field: &'static str) -> Self {
        Self::FormField(FormField { name: field.into(), is_required: false })
    }

    /// The field of a form that has the event.
    pub(super) fn form_field(&self) -> Option<&FormField> {
        match self {
            Self::FormField(field) => Some(field),
            Self::Auto | Self::Json | Self::Text | Self::Binary => None,
        }
    }

    /// The rule as printable ASCII, with which it is stored; `None` for [`Self::Auto`]. A text must
    /// never get another meaning, as stores contain it.
    pub fn to_text(&self) -> Option<String> {
        Some(match self {
            Self::Auto => return None,
            Self::Json => "json".into(),
            Self::Text => "text".into(),
            Self::Binary => "binary".into(),
            Self::FormField(FormField { name, is_required }) => {
                let kind = if *is_required { "form-field" } else { "optional-form-field" };
                format!("{kind}={}", utf8_percent_encode(name, NON_ALPHANUMERIC))
            }
        })
    }

    /// The rule with a text of [`Self::to_text`].
    pub fn from_text(text: &str) -> Option<Self> {
        let field = |name, is_required| {
            let name = percent_decode_str(name).decode_utf8().ok()?.into_owned().into();
            Some(Self::FormField(FormField { name, is_required }))
        };
        match text.split_once('=') {
            Some(("form-field", name)) => field(name, true),
            Some(("optional-form-field", name)) => field(name, false),
            Some(_) => None,
            None => match text {
                "json" => Some(Self::Json),
                "text" => Some(Self::Text),
                "binary" => Some(Self::Binary),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_rule_is_the_same_rule() {
        let field = |name: &'static str, is_required| {
            BodyRule::FormField(FormField { name: name.into(), is_required })
        };
        for (rule, text) in [
            (BodyRule::Json, "json"),
            (BodyRule::Text, "text"),
            (BodyRule::Binary, "binary"),
            (field("payload", true), "form-field=payload"),
            (field("a=b \u{e9}\n", true), "form-field=a%3Db%20%C3%A9%0A"),
            (BodyRule::of_provider("payload"), "optional-form-field=payload"),
        ] {
            assert_eq!(rule.to_text().as_deref(), Some(text));
            assert_eq!(BodyRule::from_text(text), Some(rule));
        }
        assert_eq!(BodyRule::Auto.to_text(), None);
        for unknown in ["", "auto", "form-field", "field=x", "form-field=%ff"] {
            assert_eq!(BodyRule::from_text(unknown), None);
        }
    }
}
