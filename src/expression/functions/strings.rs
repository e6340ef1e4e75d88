//! The string functions of CEL and of its extension `strings`.

use super::{Function, Result, int, int_of, part, push, push_value, text};
use crate::expression::EvaluationError;
use crate::expression::budget::{CostBudget, STEP};
use crate::expression::value::{Elements, Text, Value};

pub const FUNCTIONS: &[Function] = &[
    Function::method("contains", 2, |arguments, budget| {
        let (text, wanted) = both(arguments, budget)?;
        Ok(Value::Bool(text.contains(&**wanted)))
    }),
    Function::method("startsWith", 2, |arguments, budget| {
        let (text, wanted) = both(arguments, budget)?;
        Ok(Value::Bool(text.starts_with(&**wanted)))
    }),
    Function::method("endsWith", 2, |arguments, budget| {
        let (text, wanted) = both(arguments, budget)?;
        Ok(Value::Bool(text.ends_with(&**wanted)))
    }),
    Function::method("lowerAscii", 1, |arguments, budget| {
        let text = text(&arguments[0])?;
        budget.keep(2 * text.len())?;
        Ok(Value::text(text.to_ascii_lowercase()))
    }),
    Function::method("upperAscii", 1, |arguments, budget| {
        let text = text(&arguments[0])?;
        budget.keep(2 * text.len())?;
        Ok(Value::text(text.to_ascii_uppercase()))
    }),
    Function::method("charAt", 2, char_at),
    Function::method("substring", 2, substring).up_to(3),
    Function::method("trim", 1, trim),
    Function::method("replace", 3, replace).up_to(4),
    Function::method("split", 2, split).up_to(3),
    Function::method("join", 1, join).up_to(2),
    Function::global("strings.quote", 1, quote),
];

/// The two strings, after the cost of reading both.
fn both<'v, 'a>(
    arguments: &'v [Value<'a>],
    budget: &mut CostBudget,
) -> Result<(&'v Text<'a>, &'v Text<'a>)> {
    let (a, b) = (text(&arguments[0])?, text(&arguments[1])?);
    budget.spend(a.len() + b.len())?;
    Ok((a, b))
}

fn out_of_range() -> EvaluationError {
    EvaluationError::Invalid("index out of range")
}

/// The offset in bytes of a character; the length for the index after the last one.
fn offset(text: &str, index: i64, budget: &mut CostBudget) -> Result<usize> {
    budget.spend(text.len())?;
    let index = usize::try_from(index).map_err(|_| out_of_range())?;
    let ends = std::iter::once(text.len());
    text.char_indices().map(|(at, _)| at).chain(ends).nth(index).ok_or_else(out_of_range)
}

/// The index of the character at an offset.
fn index_at(text: &str, offset: usize) -> Value<'static> {
    int_of(text[..offset].chars().count())
}

fn char_at<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let text = text(&arguments[0])?;
    let at = offset(text, int(&arguments[1])?, budget)?;
    let len = text[at..].chars().next().map_or(0, char::len_utf8);
    part(text, at, at + len, budget)
}

fn substring<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let text = text(&arguments[0])?;
    let from = offset(text, int(&arguments[1])?, budget)?;
    let to = match arguments.get(2) {
        Some(to) => offset(text, int(to)?, budget)?,
        None => text.len(),
    };
    if from > to { Err(out_of_range()) } else { part(text, from, to, budget) }
}

/// The index of the first occurrence, from an index on.
pub fn index_of<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let (text, wanted) = both(arguments, budget)?;
    let from = match arguments.get(2) {
        Some(from) => offset(text, int(from)?, budget)?,
        None => 0,
    };
    let found = text[from..].find(&**wanted);
    Ok(found.map_or(Value::Int(-1), |at| index_at(text, from + at)))
}

/// The index of the last occurrence that starts at an index or before it.
pub fn last_index_of<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let (text, wanted) = both(arguments, budget)?;
    let last = match arguments.get(2) {
        Some(last) => offset(text, int(last)?, budget)?,
        None => text.len(),
    };
    // The end of an occurrence that starts at the index.
    let mut end = (last + wanted.len()).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let found = text[..end].rfind(&**wanted);
    Ok(found.map_or(Value::Int(-1), |at| index_at(text, at)))
}

fn trim<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let text = text(&arguments[0])?;
    budget.spend(text.len())?;
    let from = text.len() - text.trim_start().len();
    part(text, from, from + text.trim().len(), budget)
}

/// The characters in reverse order.
pub fn reverse<'a>(text: &str, budget: &mut CostBudget) -> Result<Value<'a>> {
    budget.keep(2 * text.len())?;
    Ok(Value::text(text.chars().rev().collect::<String>()))
}

/// The limit of `replace` and `split`: all without one, and if it is negative.
fn limit(argument: Option<&Value<'_>>) -> Result<usize> {
    argument.map_or(Ok(usize::MAX), |limit| Ok(usize::try_from(int(limit)?).unwrap_or(usize::MAX)))
}

fn replace<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let (text, old) = both(arguments, budget)?;
    let new = super::text(&arguments[2])?;
    let limit = limit(arguments.get(3))?;
    let mut replaced = String::new();
    let mut end = 0;
    for (at, found) in text.match_indices(&**old).take(limit) {
        budget.spend(STEP)?;
        push(&mut replaced, &text[end..at], budget)?;
        push(&mut replaced, new, budget)?;
        end = at + found.len();
    }
    push(&mut replaced, &text[end..], budget)?;
    Ok(Value::text(replaced))
}

fn split<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let (text, separator) = both(arguments, budget)?;
    let limit = limit(arguments.get(2))?;
    let mut parts = Vec::new();
    if limit == 0 {
        return Ok(Value::List(parts.into()));
    }
    let mut start = 0;
    // Without a separator, the text is split between its characters.
    let separators = text.match_indices(&**separator);
    let inside = |(at, _): &(usize, &str)| !separator.is_empty() || *at > 0 && *at < text.len();
    for (at, found) in separators.filter(inside).take(limit - 1) {
        budget.spend(STEP)?;
        let value = part(text, start, at, budget)?;
        push_value(&mut parts, value, budget)?;
        start = at + found.len();
    }
    if !(separator.is_empty() && text.is_empty()) {
        let value = part(text, start, text.len(), budget)?;
        push_value(&mut parts, value, budget)?;
    }
    Ok(Value::List(parts.into()))
}

fn join<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let separator = match arguments.get(1) {
        Some(separator) => text(separator)?,
        None => &Text::Borrowed(""),
    };
    if !matches!(arguments[0], Value::List(_) | Value::JsonList(_)) {
        return Err(EvaluationError::NO_OVERLOAD);
    }
    let mut joined = String::new();
    let mut elements = Elements::of(&arguments[0])?;
    let mut is_first = true;
    while let Some(element) = elements.next(budget)? {
        if !is_first {
            push(&mut joined, separator, budget)?;
        }
        is_first = false;
        push(&mut joined, text(&element)?, budget)?;
    }
    Ok(Value::text(joined))
}

/// A string as a literal: in quotation marks, with escape sequences.
fn quote<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let text = text(&arguments[0])?;
    // Each character takes at most two, and growth doubles the size.
    budget.keep(4 * text.len())?;
    let mut quoted = String::from("\"");
    for character in text.chars() {
        let escape = match character {
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\u{c}' => 'f',
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            '\u{b}' => 'v',
            '\\' | '"' => character,
            _ => {
                quoted.push(character);
                continue;
            }
        };
        quoted.extend(['\\', escape]);
    }
    quoted.push('"');
    Ok(Value::text(quoted))
}
