//! Kubernetes' semantic versions (<https://semver.org/spec/v2.0.0.html>).

use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;

use super::{Function, Result, text};
use crate::expression::EvaluationError;
use crate::expression::budget::CostBudget;
use crate::expression::value::Value;

pub const FUNCTIONS: &[Function] = &[
    Function::global("semver", 1, |arguments, budget| {
        let version = read(arguments, budget)?;
        let version = version.ok_or(EvaluationError::Invalid("not a semantic version"))?;
        Ok(Value::SemanticVersion(Rc::new(version)))
    })
    .up_to(2),
    Function::global("isSemver", 1, |arguments, budget| {
        Ok(Value::Bool(read(arguments, budget)?.is_some()))
    })
    .up_to(2),
    Function::method("major", 1, |arguments, _| number(arguments, 0)),
    Function::method("minor", 1, |arguments, _| number(arguments, 1)),
    Function::method("patch", 1, |arguments, _| number(arguments, 2)),
];

/// A semantic version.
#[derive(Debug)]
pub struct SemanticVersion {
    numbers: [u64; 3],
    /// Without its hyphen; empty if there is none.
    pre_release: String,
    /// Without its plus sign; empty if there is none. It has no effect on the order.
    build: String,
}

impl SemanticVersion {
    fn read(text: &str) -> Option<Self> {
        let (text, build) = text.split_once('+').map_or((text, None), |(a, b)| (a, Some(b)));
        let (core, pre) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
        let mut numbers = core.split('.').map(numeric);
        let numbers = [numbers.next()??, numbers.next()??, numbers.next()??];
        let is_complete = core.split('.').count() == 3;
        let is_valid = pre.is_none_or(|pre| pre.split('.').all(is_pre_release))
            && build.is_none_or(|build| build.split('.').all(is_identifier));
        (is_complete && is_valid).then(|| Self {
            numbers,
            pre_release: pre.unwrap_or("").to_owned(),
            build: build.unwrap_or("").to_owned(),
        })
    }

    /// The order of precedence.
    pub fn cmp(&self, other: &Self) -> Ordering {
        let is_release = |version: &Self| version.pre_release.is_empty();
        let by_kind = is_release(self).cmp(&is_release(other));
        self.numbers.cmp(&other.numbers).then(by_kind).then_with(|| {
            let identifiers = self.pre_release.split('.').map(Identifier::of);
            identifiers.cmp(other.pre_release.split('.').map(Identifier::of))
        })
    }

    /// About the length of the text, in bytes.
    pub fn len(&self) -> usize {
        64 + self.pre_release.len() + self.build.len()
    }
}

impl fmt::Display for SemanticVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        if !self.pre_release.is_empty() {
            write!(f, "-{}", self.pre_release)?;
        }
        if !self.build.is_empty() {
            write!(f, "+{}", self.build)?;
        }
        Ok(())
    }
}

/// A part of a pre-release: numbers are lower than words.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'a> {
    /// A number: by the count of its digits, then by its digits.
    Number(usize, &'a str),
    Word(&'a str),
}

impl<'a> Identifier<'a> {
    fn of(text: &'a str) -> Self {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { Self::Number(text.len(), text) } else { Self::Word(text) }
    }
}

/// A number without leading zeros.
fn numeric(text: &str) -> Option<u64> {
    let is_numeric = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_numeric && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok()).flatten()
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_pre_release(text: &str) -> bool {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_identifier(text) && !(is_number && text.len() > 1 && text.starts_with('0'))
}

/// Reads a version. With `true` as second argument, a leading `v`, leading zeros and missing
/// numbers are allowed.
fn read(arguments: &[Value<'_>], budget: &mut CostBudget) -> Result<Option<SemanticVersion>> {
    if let Value::SemanticVersion(_) = &arguments[0] {
        return Err(EvaluationError::NO_OVERLOAD);
    }
    let text = text(&arguments[0])?;
    budget.keep(4 * text.len() + 64)?;
    match arguments.get(1) {
        None | Some(Value::Bool(false)) => Ok(SemanticVersion::read(text)),
        Some(Value::Bool(true)) => Ok(SemanticVersion::read(&normalized(text))),
        Some(_) => Err(EvaluationError::NO_OVERLOAD),
    }
}

fn normalized(text: &str) -> String {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (core, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let mut numbers: Vec<&str> = core
        .split('.')
        .map(|number| {
            let stripped = number.trim_start_matches('0');
            if stripped.is_empty() && !number.is_empty() { "0" } else { stripped }
        })
        .collect();
    while numbers.len() < 3 {
        numbers.push("0");
    }
    format!("{}{rest}", numbers.join("."))
}

fn number<'a>(arguments: &[Value<'a>], index: usize) -> Result<Value<'a>> {
    match &arguments[0] {
        Value::SemanticVersion(version) => {
            let number = i64::try_from(version.numbers[index]);
            number.map(Value::Int).map_err(|_| EvaluationError::OutOfRange)
        }
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}
