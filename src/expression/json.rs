//! Finds values in JSON text without building a tree.
//!
//! The text must be well-formed. For malformed text the results are unspecified, but no function
//! reads beyond its end.

use std::borrow::Cow;

use memchr::memchr2;

use super::budget::{CostBudget, STEP};
use super::value::{Text, Value};
use super::{EvaluationError, decimal};

/// Parses a value. Lists and objects stay text.
pub fn value<'a>(text: &'a [u8], budget: &mut CostBudget) -> Result<Value<'a>, EvaluationError> {
    let text = text.trim_ascii();
    Ok(match text.first() {
        Some(b'{') => Value::JsonMap(text),
        Some(b'[') => Value::JsonList(text),
        Some(b'"') => Value::Text(string(text, budget)?),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'n') | None => Value::Null,
        Some(_) => number(text, budget)?,
    })
}

/// The text of an object's member. If the name is repeated, the last one.
pub fn member<'a>(
    object: &'a [u8],
    name: &str,
    budget: &mut CostBudget,
) -> Result<Option<&'a [u8]>, EvaluationError> {
    let mut found = None;
    let mut members = JsonItems::of(object);
    while let Some((known, text)) = members.next_member(budget)? {
        if is_named(known, name) {
            found = Some(text);
        }
    }
    Ok(found)
}

/// The texts of an object's members with these names, in one pass. If a name is repeated, the last
/// one.
pub fn members<'a>(
    object: &'a [u8],
    names: &[Box<str>],
    budget: &mut CostBudget,
) -> Result<Vec<Option<&'a [u8]>>, EvaluationError> {
    /// The cost of comparing two names. Most differ in length.
    const COMPARISON: usize = 4;
    budget.keep(size_of_val(names))?;
    let mut found = vec![None; names.len()];
    let mut members = JsonItems::of(object);
    while let Some((known, text)) = members.next_member(budget)? {
        budget.spend(COMPARISON * names.len())?;
        let Some(known) = name(known) else { continue };
        for (found, _) in found.iter_mut().zip(names).filter(|(_, name)| *name.as_bytes() == *known)
        {
            *found = Some(text);
        }
    }
    Ok(found)
}

/// Decodes a string, given with its quotation marks.
pub fn string<'a>(text: &'a [u8], budget: &mut CostBudget) -> Result<Text<'a>, EvaluationError> {
    budget.spend(text.len())?;
    let inside = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    if !inside.contains(&b'\\') {
        let inside = std::str::from_utf8(inside).map_err(|_| EvaluationError::InvalidText)?;
        return Ok(Text::Borrowed(inside));
    }
    budget.keep(text.len())?;
    let read: String = serde_json::from_slice(text).map_err(|_| EvaluationError::InvalidText)?;
    Ok(Text::Shared(read.into()))
}

fn is_named(quoted: &[u8], wanted: &str) -> bool {
    name(quoted).is_some_and(|known| *known == *wanted.as_bytes())
}

/// The bytes of a name, given with its quotation marks. An invalid string is no name.
fn name(quoted: &[u8]) -> Option<Cow<'_, [u8]>> {
    let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if !inside.contains(&b'\\') {
        return Some(Cow::Borrowed(inside));
    }
    let read = serde_json::from_slice::<String>(quoted).ok()?;
    Some(Cow::Owned(read.into_bytes()))
}

fn number<'a>(text: &'a [u8], budget: &mut CostBudget) -> Result<Value<'a>, EvaluationError> {
    budget.spend(text.len())?;
    let text = std::str::from_utf8(text).map_err(|_| EvaluationError::InvalidText)?;
    if text.contains(['.', 'e', 'E']) {
        let (double, is_exact) = decimal::double(text).ok_or(EvaluationError::OutOfRange)?;
        let rounded = Value::Rounded(double, Some(text));
        return Ok(if is_exact { Value::Double(double) } else { rounded });
    }
    if let Ok(int) = text.parse() {
        return Ok(Value::Int(int));
    }
    text.parse().map(Value::Uint).map_err(|_| EvaluationError::OutOfRange)
}

/// A name, with its quotation marks, and a value.
type JsonMember<'a> = (&'a [u8], &'a [u8]);

/// Iterates over the members of an object, or the items of a list.
#[derive(Clone, Debug)]
pub struct JsonItems<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> JsonItems<'a> {
    /// Iterates over an object or a list; the text begins with its bracket.
    pub fn of(text: &'a [u8]) -> Self {
        Self { text, at: 1 }
    }

    /// The next member.
    pub fn next_member(
        &mut self,
        budget: &mut CostBudget,
    ) -> Result<Option<JsonMember<'a>>, EvaluationError> {
        let Some(name) = self.next_item(budget)? else { return Ok(None) };
        Ok(self.next_item(budget)?.map(|value| (name, value)))
    }

    /// The next item. For an object these are names and values alternately.
    pub fn next_item(
        &mut self,
        budget: &mut CostBudget,
    ) -> Result<Option<&'a [u8]>, EvaluationError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let before = rest.iter().take_while(|byte| is_separator(**byte)).count();
        let rest = &rest[before..];
        let len = match rest.first() {
            None | Some(b'}' | b']') => 0,
            Some(b'"') => string_len(rest),
            Some(b'{' | b'[') => nested_len(rest),
            Some(_) => rest.iter().take_while(|byte| !ends_scalar(**byte)).count(),
        };
        // Charged after reading: each call reads at most the length of the text.
        budget.spend(STEP + before + len)?;
        self.at += before + len;
        Ok((len > 0).then(|| &rest[..len]))
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

fn is_separator(byte: u8) -> bool {
    is_space(byte) || matches!(byte, b',' | b':')
}

fn ends_scalar(byte: u8) -> bool {
    is_separator(byte) || matches!(byte, b'}' | b']')
}

/// The length of the string at the start of a text, including its quotation marks.
fn string_len(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        // An escaped character does not end the string.
        at += 2;
    }
    text.len()
}

/// The length of the object or list at the start of a text.
fn nested_len(text: &[u8]) -> usize {
    let (mut at, mut open) = (0, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at += string_len(&text[at..]) - 1,
            b'{' | b'[' => open += 1,
            b'}' | b']' => open -= 1,
            _ => {}
        }
        at += 1;
        if open == 0 {
            break;
        }
    }
    at
}
