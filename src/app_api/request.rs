//! What an app asks for when it creates a webhook. All pure.

use serde_json::{Map, Value};

use super::error::ApiError;
use super::generation::Generation;

/// The largest body of a request, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;

/// The longest action, in characters, as the resource's schema has it.
const MAX_ACTION: usize = 255;

/// A webhook that an app asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct NewWebhook {
    /// What the listener is asked to do.
    pub action: String,
    /// Fixed data of the webhook.
    pub props: Option<Map<String, Value>>,
    /// A number that is echoed.
    pub user_id: Option<i64>,
}

/// Reads the request of a new webhook. Unknown fields are ignored; no body is an empty object.
///
/// # Errors
/// The [`ApiError`] of the first field that cannot be taken.
pub fn parse(body: &[u8], generation: Generation) -> Result<NewWebhook, ApiError> {
    let mut fields = object(body)?;
    Ok(NewWebhook {
        action: action(fields.remove(generation.field()), generation)?,
        props: props(fields.remove("props"))?,
        user_id: user_id(fields.remove("user_id"))?,
    })
}

fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(ApiError::InvalidJson("it is another JSON value".into())),
        Err(error) => Err(ApiError::InvalidJson(error.to_string())),
    }
}

fn action(value: Option<Value>, generation: Generation) -> Result<String, ApiError> {
    let invalid = |problem| Err(ApiError::InvalidAction { generation, problem });
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

fn props(value: Option<Value>) -> Result<Option<Map<String, Value>>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(props)) => Ok(Some(props)),
        Some(_) => Err(ApiError::InvalidProps),
    }
}

fn user_id(value: Option<Value>) -> Result<Option<i64>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or(ApiError::InvalidUserId),
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
            ("[1]", "the body is not a JSON object: it is another JSON value"),
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
