//! `format` of the extension `strings`.

use super::{Function, Result, conversions, push, text};
use crate::expression::budget::{CostBudget, STEP};
use crate::expression::value::{Elements, MapEntries, Value};
use crate::expression::{EvaluationError, MAX_DEPTH, decimal};

pub const FUNCTIONS: &[Function] = &[Function::method("format", 2, format)];

/// The highest precision. No double has more digits that differ from zero.
const MAX_PRECISION: usize = 1100;

/// The cost of rounding a double to decimal digits, which takes long for large ones.
const ROUNDING: usize = 20_000;

/// The precision of `%f` and `%e` without one.
const PRECISION: usize = 6;

fn format<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let pattern = text(&arguments[0])?;
    if !matches!(arguments[1], Value::List(_) | Value::JsonList(_)) {
        return Err(EvaluationError::NO_OVERLOAD);
    }
    let mut values = Elements::of(&arguments[1])?;
    let mut formatted = String::new();
    let mut rest = &**pattern;
    while let Some((before, after)) = rest.split_once('%') {
        push(&mut formatted, before, budget)?;
        if let Some(after) = after.strip_prefix('%') {
            push(&mut formatted, "%", budget)?;
            rest = after;
            continue;
        }
        let (precision, after) = precision(after)?;
        let mut characters = after.chars();
        let clause = characters.next().ok_or(EvaluationError::Invalid("unfinished format"))?;
        rest = characters.as_str();
        let value = values.next(budget)?;
        let value = value.ok_or(EvaluationError::Invalid("format() has too few arguments"))?;
        write_clause(&mut formatted, clause, precision, &value, budget)?;
    }
    push(&mut formatted, rest, budget)?;
    if values.next(budget)?.is_some() {
        return Err(EvaluationError::Invalid("format() has too many arguments"));
    }
    Ok(Value::text(formatted))
}

/// The precision at the start, such as `.3`, and the rest.
fn precision(text: &str) -> Result<(usize, &str)> {
    let Some(text) = text.strip_prefix('.') else { return Ok((PRECISION, text)) };
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(len);
    let precision = digits.parse().ok().filter(|precision| *precision <= MAX_PRECISION);
    Ok((precision.ok_or(EvaluationError::Invalid("invalid precision of a format"))?, rest))
}

fn write_clause(
    to: &mut String,
    clause: char,
    precision: usize,
    value: &Value<'_>,
    budget: &mut CostBudget,
) -> Result<()> {
    let may_be_another = match value {
        Value::Rounded(..) => true,
        Value::Double(number) => matches!(clause, 's' | 'd') && decimal::is_ambiguous(*number),
        _ => false,
    };
    if may_be_another {
        return Err(EvaluationError::Rounded);
    }
    // The digits of the largest double, and of the precision.
    budget.keep(400 + 2 * precision)?;
    if matches!(clause, 'f' | 'e') {
        budget.spend(ROUNDING + 50 * precision)?;
    }
    let written = match clause {
        's' => return write_value(to, value, MAX_DEPTH, budget),
        'd' => integer(value),
        'f' => double(value).map(|double| fixed(double, precision)),
        'e' => double(value).map(|double| scientific(double, precision)),
        'b' => binary(value),
        'o' => octal(value),
        'x' => return hexadecimal(to, value, false, budget),
        'X' => return hexadecimal(to, value, true, budget),
        _ => return Err(EvaluationError::Invalid("unknown clause of a format")),
    };
    push(to, &written.ok_or(EvaluationError::NO_OVERLOAD)?, budget)
}

fn special(double: f64) -> Option<&'static str> {
    match double {
        _ if double.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => None,
    }
}

fn plain(double: f64) -> String {
    special(double).map_or_else(|| double.to_string(), str::to_owned)
}

fn integer(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Int(number) => Some(number.to_string()),
        Value::Uint(number) => Some(number.to_string()),
        Value::Double(number) => Some(plain(*number)),
        _ => None,
    }
}

fn double(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Double(number) => Some(*number),
        Value::Int(number) => Some(*number as f64),
        Value::Uint(number) => Some(*number as f64),
        _ => None,
    }
}

fn fixed(double: f64, precision: usize) -> String {
    special(double).map_or_else(|| format!("{double:.precision$}"), str::to_owned)
}

/// With an exponent that has a sign and at least two digits.
fn scientific(double: f64, precision: usize) -> String {
    if let Some(special) = special(double) {
        return special.to_owned();
    }
    let text = format!("{double:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// The sign and the magnitude of an integer.
fn magnitude(value: &Value<'_>) -> Option<(&'static str, u64)> {
    match value {
        Value::Int(number) => Some((if *number < 0 { "-" } else { "" }, number.unsigned_abs())),
        Value::Uint(number) => Some(("", *number)),
        _ => None,
    }
}

fn binary(value: &Value<'_>) -> Option<String> {
    if let Value::Bool(bool) = value {
        return Some(if *bool { "1" } else { "0" }.to_owned());
    }
    magnitude(value).map(|(sign, number)| format!("{sign}{number:b}"))
}

fn octal(value: &Value<'_>) -> Option<String> {
    magnitude(value).map(|(sign, number)| format!("{sign}{number:o}"))
}

fn hexadecimal(
    to: &mut String,
    value: &Value<'_>,
    is_upper: bool,
    budget: &mut CostBudget,
) -> Result<()> {
    let bytes = match value {
        Value::Text(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        _ => {
            let (sign, number) = magnitude(value).ok_or(EvaluationError::NO_OVERLOAD)?;
            let digits = if is_upper { format!("{number:X}") } else { format!("{number:x}") };
            push(to, sign, budget)?;
            return push(to, &digits, budget);
        }
    };
    budget.keep(4 * bytes.len())?;
    let digits = if is_upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    for byte in bytes {
        to.push(char::from(digits[usize::from(byte >> 4)]));
        to.push(char::from(digits[usize::from(byte & 15)]));
    }
    Ok(())
}

fn write_value(
    to: &mut String,
    value: &Value<'_>,
    depth: usize,
    budget: &mut CostBudget,
) -> Result<()> {
    budget.spend(STEP)?;
    let below = || depth.checked_sub(1).ok_or(EvaluationError::TooDeep);
    match value {
        Value::Null => push(to, "null", budget),
        Value::Double(number) if !decimal::is_ambiguous(*number) => {
            budget.keep(400)?;
            push(to, &plain(*number), budget)
        }
        Value::List(_) | Value::JsonList(_) => write_list(to, value, below()?, budget),
        Value::Map(_) | Value::JsonMap(_) => write_map(to, value, below()?, budget),
        _ => push(to, text(&conversions::string(value, budget)?)?, budget),
    }
}

fn write_list(
    to: &mut String,
    list: &Value<'_>,
    depth: usize,
    budget: &mut CostBudget,
) -> Result<()> {
    push(to, "[", budget)?;
    let mut elements = Elements::of(list)?;
    let mut separator = "";
    while let Some(element) = elements.next(budget)? {
        push(to, separator, budget)?;
        write_value(to, &element, depth, budget)?;
        separator = ", ";
    }
    push(to, "]", budget)
}

/// The entries in the order of the keys' texts.
fn write_map(
    to: &mut String,
    map: &Value<'_>,
    depth: usize,
    budget: &mut CostBudget,
) -> Result<()> {
    let mut written = Vec::new();
    let mut entries = MapEntries::of(map, budget)?;
    while let Some((key, value)) = entries.next(budget)? {
        budget.keep(4 * size_of::<String>())?;
        let mut entry = (String::new(), String::new());
        write_value(&mut entry.0, &key, depth, budget)?;
        write_value(&mut entry.1, &value, depth, budget)?;
        // The comparisons of sorting.
        budget.spend(entry.0.len().saturating_mul(64))?;
        written.push(entry);
    }
    written.sort();
    push(to, "{", budget)?;
    let mut separator = "";
    for (key, value) in written {
        for part in [separator, &key, ": ", &value] {
            push(to, part, budget)?;
        }
        separator = ", ";
    }
    push(to, "}", budget)
}
