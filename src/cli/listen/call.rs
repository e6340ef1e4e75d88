//! One call of the development listener, and its text output.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

/// Maximum size of a printed body, in bytes.
const SHOWN_BODY: usize = 64 * 1024;

/// Printed length of a token, in characters: the constant beginning of the operator's tokens.
const SHOWN_TOKEN: usize = 8;

/// Headers that are not printed: those that are the same in every call, and credentials.
const HIDDEN: [HeaderName; 10] = [
    header::HOST,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::USER_AGENT,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
];

/// A call and its response. `Display` formats it without its token.
#[derive(Clone)]
pub struct Call {
    /// Time at which the whole call was received.
    pub at: Timestamp,
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// All its headers.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
    /// Status of the response.
    pub status: StatusCode,
    /// Delay of the response.
    pub delay: Duration,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let time = self.at.to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f");
        write!(text, "{time} {} {} -> {}", self.method, self.uri, self.status.as_u16())?;
        if !self.delay.is_zero() {
            write!(text, " after {:?}", self.delay)?;
        }
        text.push('\n');
        for (name, value) in self.headers.iter().filter(|(name, _)| !HIDDEN.contains(name)) {
            writeln!(text, "  {name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        for line in shown_body(&self.body).lines() {
            writeln!(text, "  {line}")?;
        }
        f.write_str(&visible(&text))
    }
}

/// Without headers and body, which hold secrets.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, method, uri, headers: _, body: _, status, delay } = self;
        f.debug_struct("Call")
            .field("at", at)
            .field("method", method)
            .field("uri", uri)
            .field("status", status)
            .field("delay", delay)
            .finish_non_exhaustive()
    }
}

fn shown_body(body: &[u8]) -> String {
    match serde_json::from_slice(body) {
        Ok(value) => cut(serde_json::to_string_pretty(&without_token(value)).unwrap_or_default()),
        // It may be a call with a token: JSON libraries differ in what they accept.
        Err(error) if body.trim_ascii_start().starts_with(b"{") => {
            format!("({} bytes that cannot be read as JSON: {error})", body.len())
        }
        Err(_) => cut(String::from_utf8_lossy(body).into_owned()),
    }
}

/// Shortens `api.token`, which authorizes its holder to act as the app.
fn without_token(mut call: Value) -> Value {
    if let Some(Value::String(token)) = call.pointer_mut("/api/token") {
        let length = token.chars().count();
        let shown = if length > 4 * SHOWN_TOKEN { SHOWN_TOKEN } else { 0 };
        let beginning: String = token.chars().take(shown).collect();
        *token = format!("{beginning}... ({length} characters)");
    }
    call
}

fn cut(mut text: String) -> String {
    let length = text.len();
    if length > SHOWN_BODY {
        let end = (0..=SHOWN_BODY).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push_str(&format!("\n... ({length} bytes in all)"));
    }
    text
}

/// Escapes control characters: untrusted input must not control the terminal.
fn visible(text: &str) -> Cow<'_, str> {
    let drives = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(drives) {
        return Cow::Borrowed(text);
    }
    let spell = |c: char| {
        if drives(c) { c.escape_default().to_string() } else { c.to_string() }
    };
    Cow::Owned(text.chars().map(spell).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(body: &str) -> Call {
        Call {
            at: Timestamp::UNIX_EPOCH,
            method: Method::POST,
            uri: Uri::from_static("/hooks"),
            headers: HeaderMap::new(),
            body: Bytes::from(body.to_owned()),
            status: StatusCode::OK,
            delay: Duration::ZERO,
        }
    }

    /// What is shown, without the time.
    fn shown(call: &Call) -> String {
        call.to_string().split_once(' ').unwrap().1.to_owned()
    }

    #[test]
    fn a_call_is_shown_with_its_headers_and_its_body() {
        let mut call = call(r#"{"props":null,"action":"é","event":{}}"#);
        call.headers.insert("webhook-event-id", "1".parse().unwrap());
        call.headers.insert("x-github-event", "push".parse().unwrap());
        call.headers.insert("authorization", "Bearer secret".parse().unwrap());
        call.headers.insert("host", "localhost".parse().unwrap());
        (call.status, call.delay) = (StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(2));
        let expected = r#"POST /hooks -> 503 after 2s
  webhook-event-id: 1
  x-github-event: push
  {
    "props": null,
    "action": "é",
    "event": {}
  }
"#;
        assert_eq!(shown(&call), expected);
    }

    #[test]
    fn a_token_is_never_shown_whole() {
        let long = "eyJhbGci".to_owned() + &"x".repeat(300);
        let body = |token: &str| format!(r#"{{"api":{{"url":"http://x","token":"{token}"}}}}"#);
        let text = shown(&call(&body(&long)));
        assert!(text.contains(r#""token": "eyJhbGci... (308 characters)""#), "{text}");
        let text = shown(&call(&body("short")));
        assert!(!text.contains("short"), "{text}");
        for unreadable in [body(&long) + "}", body(&long).replace("}}", "},\"event\":1e999}")] {
            let text = shown(&call(&unreadable));
            assert!(text.contains("cannot be read as JSON"), "{text}");
            assert!(!text.contains("xxx"), "{text}");
        }
    }

    #[test]
    fn a_body_that_is_no_json_is_shown_as_text() {
        assert_eq!(shown(&call("a=1\nb=2")), "POST /hooks -> 200\n  a=1\n  b=2\n");
        assert_eq!(shown(&call("")), "POST /hooks -> 200\n");
    }

    #[test]
    fn a_long_body_is_cut() {
        let text = shown(&call(&"é".repeat(SHOWN_BODY)));
        assert!(text.len() < SHOWN_BODY + 100);
        assert!(text.ends_with("(131072 bytes in all)\n"), "{}", &text[SHOWN_BODY..]);
    }

    #[test]
    fn nothing_that_is_sent_drives_the_terminal() {
        let text = shown(&call("\u{1b}[2Jtext\u{9b}"));
        assert_eq!(text, "POST /hooks -> 200\n  \\u{1b}[2Jtext\\u{9b}\n");
    }
}
