//! Regular expressions: `matches`, the extension `regex`, and Kubernetes' `find` and `findAll`.

use std::sync::Arc;

use ::regex::Captures;

use super::{Function, Result, int, part, push, push_value, text};
use crate::expression::EvaluationError;
use crate::expression::budget::{CostBudget, STEP};
use crate::expression::pattern::Pattern;
use crate::expression::value::{Text, Value};

pub const FUNCTIONS: &[Function] = &[
    Function::either("matches", 2, |arguments, budget| {
        let (text, pattern) = both(arguments)?;
        pattern.matches(text, budget).map(Value::Bool)
    })
    .with_pattern(1),
    Function::method("find", 2, |arguments, budget| {
        let (text, pattern) = both(arguments)?;
        let found = pattern.find(text, 0, budget)?;
        found.map_or(Ok(Value::Text(Text::Borrowed(""))), |found| {
            part(text, found.start(), found.end(), budget)
        })
    })
    .with_pattern(1),
    Function::method("findAll", 2, find_all).up_to(3).with_pattern(1),
    Function::global("regex.extract", 2, |arguments, budget| {
        let (text, pattern) = both(arguments)?;
        let found = pattern.captures(text, 0, budget)?;
        let found = found.map(|found| extracted(text, pattern, &found, budget)).transpose()?;
        budget.keep(size_of::<Value<'_>>())?;
        Ok(Value::optional(found.flatten()))
    })
    .with_pattern(1),
    Function::global("regex.extractAll", 2, extract_all).with_pattern(1),
    Function::global("regex.replace", 3, replace).up_to(4).with_pattern(1),
];

fn both<'v, 'a>(arguments: &'v [Value<'a>]) -> Result<(&'v Text<'a>, &'v Arc<Pattern>)> {
    match &arguments[1] {
        Value::Pattern(pattern) => Ok((text(&arguments[0])?, pattern)),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}

/// The position after a match, or the next character's after an empty one.
fn next_position(text: &str, start: usize, end: usize) -> usize {
    if end > start { end } else { end + text[end..].chars().next().map_or(1, char::len_utf8) }
}

fn find_all<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let (text, pattern) = both(arguments)?;
    let limit = arguments.get(2).map_or(Ok(-1), int)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut found, mut at) = (Vec::new(), 0);
    while found.len() < limit && at <= text.len() {
        let Some(one) = pattern.find(text, at, budget)? else { break };
        at = next_position(text, one.start(), one.end());
        let value = part(text, one.start(), one.end(), budget)?;
        push_value(&mut found, value, budget)?;
    }
    Ok(Value::List(found.into()))
}

/// The group of a match, or the match if the pattern has no group.
fn extracted<'a>(
    text: &Text<'a>,
    pattern: &Pattern,
    found: &Captures<'_>,
    budget: &mut CostBudget,
) -> Result<Option<Value<'a>>> {
    if pattern.groups() > 1 {
        return Err(EvaluationError::Invalid("a pattern has more than one group"));
    }
    let group = found.get(pattern.groups());
    group.map(|group| part(text, group.start(), group.end(), budget)).transpose()
}

fn extract_all<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let (text, pattern) = both(arguments)?;
    let (mut all, mut at) = (Vec::new(), 0);
    while at <= text.len() {
        let Some(found) = pattern.captures(text, at, budget)? else { break };
        let Some(whole) = found.get(0) else { break };
        at = next_position(text, whole.start(), whole.end());
        if let Some(value) = extracted(text, pattern, &found, budget)? {
            push_value(&mut all, value, budget)?;
        }
    }
    Ok(Value::List(all.into()))
}

/// Replaces matches; `\1` to `\9` in the replacement are groups, `\0` is the match.
fn replace<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let (text, pattern) = both(arguments)?;
    let replacement = super::text(&arguments[2])?;
    let limit = arguments.get(3).map_or(Ok(-1), int)?;
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut replaced, mut at, mut copied) = (String::new(), 0, 0);
    while left > 0 && at <= text.len() {
        let Some(found) = pattern.captures(text, at, budget)? else { break };
        let Some(whole) = found.get(0) else { break };
        push(&mut replaced, &text[copied..whole.start()], budget)?;
        push_replacement(&mut replaced, replacement, &found, budget)?;
        copied = whole.end();
        at = next_position(text, whole.start(), whole.end());
        left -= 1;
    }
    push(&mut replaced, &text[copied..], budget)?;
    Ok(Value::text(replaced))
}

fn push_replacement(
    to: &mut String,
    replacement: &str,
    found: &Captures<'_>,
    budget: &mut CostBudget,
) -> Result<()> {
    let mut rest = replacement;
    while let Some((before, after)) = rest.split_once('\\') {
        budget.spend(STEP)?;
        push(to, before, budget)?;
        let invalid = EvaluationError::Invalid("invalid replacement");
        let escaped = after.chars().next().ok_or(invalid.clone())?;
        match escaped.to_digit(10) {
            Some(group) if (group as usize) < found.len() => {
                push(to, found.get(group as usize).map_or("", |found| found.as_str()), budget)?;
            }
            None if escaped == '\\' => push(to, "\\", budget)?,
            _ => return Err(invalid),
        }
        rest = &after[escaped.len_utf8()..];
    }
    push(to, rest, budget)
}
