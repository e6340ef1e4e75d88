//! Parses the request to create a webhook. Pure.

use serde_json::{Map, Value};

use super::error::AppApiError;
use super::generation::Generation;

/// The largest request body, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;

/// The longest action, in characters; the same as in the resource's schema.
const MAX_ACTION: usize = 255;

/// A request for a new webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct NewWebhook {
    /// The action name passed to the listener.
    pub action: String,
    /// Static data of the webhook, passed to the listener.
    pub props: Option<Map<String, Value>>,
    /// A number that responses echo.
    pub user_id: Option<i64>,
}

/// Parses a request. Unknown fields are ignored; an empty body counts as an empty object.
///
/// # Errors
/// The [`AppApiError`] of the first invalid field.
pub fn parse(body: &[u8], generation: Generation) -> Result<NewWebhook, AppApiError> {
    let mut fields = object(body)?;
    Ok(NewWebhook {
        action: action(fields.remove(generation.field()), generation)?,
        props: props(fields.remove("props"))?,
        user_id: user_id(fields.remove("user_id"))?,
    })
}

fn object(body: &[u8]) -> Result<Map<String, Value>, AppApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(AppApiError::InvalidJson("it is a value of another type".into())),
        Err(error) => Err(AppApiError::InvalidJson(error.to_string())),
    }
}

fn action(value: Option<Value>, generation: Generation) -> Result<String, AppApiError> {
    let invalid = |problem| Err(AppApiError::InvalidAction { generation, problem });
    match value {
        None | Some(Value::Null) => invalid("can't be blank"),
        Some(Value::String(text)) if text.trim().is_empty() => invalid("can't be blank"),
        Some(Value::String(text)) if text.chars().count() > MAX_ACTION => {
            invalid("can't be longer than 255 characters")
        }
        Some(Value::String(text)) => Ok(text),
        Some(_) => invalid("must be a string"),
    }
}

fn props(value: Option<Value>) -> Result<Option<Map<String, Value>>, AppApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(props)) => Ok(Some(props)),
        Some(_) => Err(AppApiError::InvalidProps),
    }
}

fn user_id(value: Option<Value>) -> Result<Option<i64>, AppApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or(AppApiError::InvalidUserId),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &str) -> String {
        parse(body.as_bytes(), Generation::First).unwrap_err().to_string()
    }

    #[test]
    fn each_field_is_refused_for_what_is_wrong_with_it() {
        let long = format!(r#"{{"action":"{}"}}"#, "é".repeat(256));
        let cases = [
            ("", "action can't be blank"),
            ("{}", "action can't be blank"),
            (r#"{"action":null}"#, "action can't be blank"),
            (r#"{"action":""}"#, "action can't be blank"),
            (r#"{"action":" \t\n"}"#, "action can't be blank"),
            (r#"{"action":1}"#, "action must be a string"),
            (&long, "action can't be longer than 255 characters"),
            (r#"{"action":"a","props":[]}"#, "props must be an object or null"),
            (r#"{"action":"a","props":"x"}"#, "props must be an object or null"),
            (r#"{"action":"a","user_id":"1"}"#, "user_id must be an integer or null"),
            (r#"{"action":"a","user_id":1.5}"#, "user_id must be an integer or null"),
            (
                r#"{"action":"a","user_id":9223372036854775808}"#,
                "user_id must be an integer or null",
            ),
            ("[1]", "the body is not a JSON object: it is a value of another type"),
        ];
        for (body, message) in cases {
            assert_eq!(error(body), message, "{body}");
        }
        assert!(error("{").starts_with("the body is not a JSON object: EOF"));
        assert!(error(&"[".repeat(100_000)).contains("recursion limit"));
    }

    #[test]
    fn what_is_given_is_taken_as_it_is() {
        let body = r#"{"other":[],"user_id":-7,"props":{"b":1,"a":{}},"action":" é "}"#;
        let new = parse(body.as_bytes(), Generation::First).unwrap();
        assert_eq!((new.action.as_str(), new.user_id), (" é ", Some(-7)));
        assert_eq!(serde_json::to_string(&new.props).unwrap(), r#"{"b":1,"a":{}}"#);
        let longest = format!(r#"{{"action":"{}"}}"#, "é".repeat(255));
        assert!(parse(longest.as_bytes(), Generation::First).is_ok());
    }

    #[test]
    fn each_generation_reads_its_own_field() {
        let both = br#"{"action":"a","listener":"l"}"#;
        assert_eq!(parse(both, Generation::First).unwrap().action, "a");
        assert_eq!(parse(both, Generation::Later).unwrap().action, "l");
        let error = parse(br#"{"action":"a"}"#, Generation::Later).unwrap_err();
        assert_eq!(error.to_string(), "listener can't be blank");
    }
}
