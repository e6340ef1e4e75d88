//! Kubernetes' URLs: absolute ones, and absolute paths (RFC 3986).

use std::collections::HashMap;
use std::rc::Rc;

use super::{Function, Result, push_value, text};
use crate::expression::EvaluationError;
use crate::expression::budget::{CostBudget, STEP};
use crate::expression::value::Value;

pub const FUNCTIONS: &[Function] = &[
    Function::global("url", 1, |arguments, budget| match &arguments[0] {
        Value::Url(_) => Ok(arguments[0].clone()),
        value => {
            let text = text(value)?;
            budget.keep(2 * text.len() + size_of::<Url>())?;
            let url = Url::read(text).ok_or(EvaluationError::Invalid("not a URL"))?;
            Ok(Value::Url(Rc::new(url)))
        }
    }),
    Function::global("isURL", 1, |arguments, budget| {
        let text = text(&arguments[0])?;
        budget.keep(2 * text.len())?;
        Ok(Value::Bool(Url::read(text).is_some()))
    }),
    Function::method("getScheme", 1, |a, budget| part(a, budget, |url| &url.scheme)),
    Function::method("getHost", 1, |a, budget| part(a, budget, |url| &url.host)),
    Function::method("getHostname", 1, |a, budget| part(a, budget, |url| url.host_and_port().0)),
    Function::method("getPort", 1, |a, budget| part(a, budget, |url| url.host_and_port().1)),
    Function::method("getEscapedPath", 1, |a, budget| {
        let path = &url(a)?.path;
        budget.keep(6 * path.len())?;
        Ok(Value::text(escaped_path(path)))
    }),
    Function::method("getQuery", 1, query),
];

/// A URL in its parts, as they were written.
#[derive(Debug, PartialEq, Eq)]
pub struct Url {
    scheme: String,
    /// The host and the port.
    host: String,
    path: String,
    query: String,
    text: String,
}

impl Url {
    fn read(text: &str) -> Option<Self> {
        if text.is_empty() || text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return None;
        }
        let (scheme, rest) = match text.split_once(':') {
            _ if text.starts_with('/') => ("", text),
            Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
            _ => return None,
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) if !scheme.is_empty() => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            _ => ("", rest),
        };
        if !(path.is_empty() || path.starts_with('/')) || !has_valid_escapes(path) {
            return None;
        }
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        is_host(host).then(|| Self {
            scheme: scheme.to_ascii_lowercase(),
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            text: text.to_owned(),
        })
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host without brackets, and the port.
    fn host_and_port(&self) -> (&str, &str) {
        let (host, port) = match self.host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or("")),
            None => self.host.split_once(':').unwrap_or((&self.host, "")),
        };
        (host, port)
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// A host and an optional port. Hosts with escapes or other characters are refused.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => ("", port),
            _ => return false,
        },
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_part = |c: char| c.is_alphanumeric() || "-._~!$&'()*+,;=".contains(c);
    let is_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    host.chars().all(is_part) && is_port
}

fn has_valid_escapes(path: &str) -> bool {
    path.split('%')
        .skip(1)
        .all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

/// The path, with escapes for characters that are not allowed in one.
fn escaped_path(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%[]".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

fn url<'v>(arguments: &'v [Value<'_>]) -> Result<&'v Url> {
    match &arguments[0] {
        Value::Url(url) => Ok(url),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}

fn part<'a>(
    arguments: &[Value<'a>],
    budget: &mut CostBudget,
    part: fn(&Url) -> &str,
) -> Result<Value<'a>> {
    let part = part(url(arguments)?);
    budget.keep(part.len())?;
    Ok(Value::text(part))
}

/// The query parameters: lists of strings by name.
fn query<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let query = &url(arguments)?.query;
    budget.keep(2 * query.len())?;
    let mut places = HashMap::new();
    let mut found: Vec<(Value<'a>, Vec<Value<'a>>)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        budget.keep(4 * size_of::<(Value<'_>, Value<'_>)>())?;
        budget.spend(STEP)?;
        let place = *places.entry(name.clone().into_owned()).or_insert(found.len());
        if place == found.len() {
            found.push((Value::text(&*name), Vec::new()));
        }
        if let Some((_, values)) = found.get_mut(place) {
            push_value(values, Value::text(&*value), budget)?;
        }
    }
    let entries = found.into_iter().map(|(name, values)| (name, Value::List(values.into())));
    Ok(Value::Map(entries.collect()))
}
