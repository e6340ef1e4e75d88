//! `webhook-operator eval`: evaluates an expression for an event, with the inputs and limits of the
//! operator.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Success;
use super::client::table::clean_lines;
use super::output;
use super::trigger::Header;
use crate::delivery::{headers_text, query_text};
use crate::event::{self, BodyRule};
use crate::expression::{CompileError, EvaluationFailure, Expression, Inputs, SourcePosition};
use crate::http::is_secret;
use crate::resources::MAX_BODY_BYTES;

/// Flags of `eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    #[command(flatten)]
    expression: ExpressionArgs,
    /// Body of the trigger: a file, or - for stdin
    #[arg(long, value_name = "FILE")]
    event: String,
    /// Header of the trigger; may be repeated. Content-Type sets the type of the body [default: JSON]
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<Header>,
    /// The webhook's props, a JSON object [default: null]
    #[arg(long, value_name = "JSON", value_parser = object)]
    props: Option<Map<String, Value>>,
    /// Query string of the trigger's URL
    #[arg(long, value_name = "STRING", default_value = "")]
    query: String,
    /// Time of acceptance, in RFC 3339 [default: the current time]
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
}

/// The expression.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct ExpressionArgs {
    /// Evaluate a filter, whose result is a boolean
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// Evaluate a transform, whose result is an object
    #[arg(long, value_name = "EXPRESSION")]
    transform: Option<String>,
    /// Evaluate a key of duplicates, whose result is a string
    #[arg(long, value_name = "EXPRESSION")]
    dedup_key: Option<String>,
}

/// What an expression is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Filter,
    Transform,
    DedupKey,
}

impl ExpressionArgs {
    fn chosen(self) -> Option<(Purpose, String)> {
        let Self { filter, transform, dedup_key } = self;
        let filter = filter.map(|source| (Purpose::Filter, source));
        let transform = transform.map(|source| (Purpose::Transform, source));
        filter.or(transform).or(dedup_key.map(|source| (Purpose::DedupKey, source)))
    }
}

/// The reason why there is no result.
#[derive(Debug, thiserror::Error)]
enum EvalError {
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error(transparent)]
    Evaluation(#[from] EvaluationFailure),
}

impl EvalError {
    fn position(&self) -> SourcePosition {
        match self {
            Self::Compile(error) => error.position,
            Self::Evaluation(failure) => failure.position,
        }
    }
}

/// Evaluates an expression and prints its value, or its error.
///
/// # Errors
/// A flag or the event cannot be used.
pub fn eval(args: EvalArgs) -> anyhow::Result<Success> {
    let EvalArgs { expression, event, headers, props, query, now } = args;
    let Some((purpose, source)) = expression.chosen() else { bail!("an expression is missing") };
    let headers: HeaderMap = headers.into_iter().map(Header::into_parts).collect();
    let event = event::convert(&BodyRule::Auto, Some(content_type(&headers)), read(&event)?)?;
    // As in the operator: a transform gets no credentials, as its inputs are stored.
    let is_selected = |name: &str| purpose != Purpose::Transform || !is_secret(name);
    let inputs = Inputs {
        event: &event.text(),
        headers: &headers_text(&headers, is_selected),
        props: &serde_json::to_vec(&props)?,
        query: &query_text(&query).context("--query")?,
        now: now.unwrap_or_else(Timestamp::now),
    };
    match result(purpose, &source, inputs) {
        Ok(json) => {
            output::line(&shown(&json));
            Ok(Success::Yes)
        }
        Err(error) => {
            eprintln!("error: {error}\n{}", clean_lines(&error.position().marked(&source)));
            Ok(Success::No)
        }
    }
}

/// The value, as JSON.
fn result(purpose: Purpose, source: &str, inputs: Inputs<'_>) -> Result<String, EvalError> {
    let expression = Expression::compile(source)?;
    Ok(match purpose {
        Purpose::Filter => expression.holds(inputs)?.to_string(),
        Purpose::DedupKey => Value::from(expression.text(inputs)?).to_string(),
        Purpose::Transform => {
            let text = expression.object(inputs, MAX_BODY_BYTES as usize)?.to_vec();
            String::from_utf8_lossy(&text).into_owned()
        }
    })
}

fn content_type(headers: &HeaderMap) -> &[u8] {
    headers.get(CONTENT_TYPE).map_or(b"application/json", |value| value.as_bytes())
}

/// Reads the body, within the operator's limit.
fn read(file: &str) -> anyhow::Result<Bytes> {
    let limit = MAX_BODY_BYTES.unsigned_abs();
    let mut body = Vec::new();
    let mut read_all = |from: &mut dyn Read| from.take(limit + 1).read_to_end(&mut body);
    match file {
        "-" => read_all(&mut io::stdin().lock()).context("cannot read stdin")?,
        path => {
            let what = || format!("cannot read {path}");
            read_all(&mut File::open(path).with_context(what)?).with_context(what)?
        }
    };
    if body.len() as u64 > limit {
        bail!("the event is longer than {limit} bytes");
    }
    Ok(body.into())
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("must be a JSON object: {error}"))
}

/// JSON as it is for a program, and with line breaks on a terminal.
fn shown(json: &str) -> String {
    if io::stdout().is_terminal() { clean_lines(&pretty(json)) } else { json.to_owned() }
}

/// Indents JSON without reading its numbers, which would round some.
fn pretty(json: &str) -> String {
    let (mut text, mut depth, mut chars) = (String::new(), 0_usize, json.chars().peekable());
    let start_line = |text: &mut String, depth| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(char) = chars.next() {
        match char {
            '"' => {
                text.push('"');
                let mut is_escaped = false;
                for inside in chars.by_ref() {
                    text.push(inside);
                    if inside == '"' && !is_escaped {
                        break;
                    }
                    is_escaped = inside == '\\' && !is_escaped;
                }
            }
            '{' | '[' => {
                text.push(char);
                while chars.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    start_line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                start_line(&mut text, depth);
                text.push(char);
            }
            ',' => {
                text.push(char);
                start_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            _ if char.is_ascii_whitespace() => {}
            _ => text.push(char),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_and_its_numbers_and_strings_stay_as_they_are() {
        let json = r#"{"a":[1.50, 12345678901234567890123],"b":{ },"c":"{\",\\","d":[[]]}"#;
        let expected = r#"{
  "a": [
    1.50,
    12345678901234567890123
  ],
  "b": {},
  "c": "{\",\\",
  "d": [
    []
  ]
}"#;
        assert_eq!(pretty(json), expected);
    }
}
