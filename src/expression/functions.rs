//! The functions of the expression language.

use super::budget::CostBudget;
use super::json::JsonItems;
use super::value::{self, Text, Value};
use super::{EvaluationError, decimal};

/// A function. The receiver of a method counts as its first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    LowerAscii,
    UpperAscii,
    Int,
    Uint,
    Double,
    String,
}

/// The call syntax of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `f(x)`.
    Global,
    /// `x.f()`.
    Method,
    /// Both.
    Either,
}

/// Name, function, number of arguments, style.
const FUNCTIONS: [(&str, Function, usize, Style); 10] = [
    ("size", Function::Size, 1, Style::Either),
    ("contains", Function::Contains, 2, Style::Method),
    ("startsWith", Function::StartsWith, 2, Style::Method),
    ("endsWith", Function::EndsWith, 2, Style::Method),
    ("lowerAscii", Function::LowerAscii, 1, Style::Method),
    ("upperAscii", Function::UpperAscii, 1, Style::Method),
    ("int", Function::Int, 1, Style::Global),
    ("uint", Function::Uint, 1, Style::Global),
    ("double", Function::Double, 1, Style::Global),
    ("string", Function::String, 1, Style::Global),
];

impl Function {
    /// The function with this name and call syntax, and its number of arguments.
    pub fn named(name: &str, style: Style) -> Option<(Self, usize)> {
        let found = FUNCTIONS
            .iter()
            .find(|(known, _, _, how)| *known == name && (*how == style || *how == Style::Either));
        found.map(|(_, function, arguments, _)| (*function, *arguments))
    }

    /// Calls the function.
    pub fn call<'a>(
        self,
        arguments: &[Value<'a>],
        budget: &mut CostBudget,
    ) -> Result<Value<'a>, EvaluationError> {
        match (self, arguments) {
            (Self::Size, [of]) => size(of, budget),
            (Self::Int | Self::Uint, [of]) => {
                let number = int(of)?;
                let is_right = self == Self::Int || number >= 0;
                is_right.then_some(Value::Int(number)).ok_or(EvaluationError::OutOfRange)
            }
            (Self::Double, [of]) => double(of),
            (Self::String, [of]) => string(of, budget),
            (_, [Value::Text(text), Value::Text(part)]) => {
                budget.spend(text.len() + part.len())?;
                Ok(Value::Bool(self.compare_strings(text, part)))
            }
            (_, [Value::Text(text)]) => {
                budget.keep(text.len())?;
                let upper = self == Self::UpperAscii;
                let changed =
                    if upper { text.to_ascii_uppercase() } else { text.to_ascii_lowercase() };
                Ok(Value::Text(Text::Shared(changed.into())))
            }
            _ => Err(EvaluationError::WrongType("a string function requires string arguments")),
        }
    }

    fn compare_strings(self, text: &str, part: &str) -> bool {
        match self {
            Self::StartsWith => text.starts_with(part),
            Self::EndsWith => text.ends_with(part),
            _ => text.contains(part),
        }
    }
}

/// The number of characters of a string, elements of a list, or entries of a map.
fn size<'a>(of: &Value<'a>, budget: &mut CostBudget) -> Result<Value<'a>, EvaluationError> {
    let size = match of {
        Value::Text(text) => {
            budget.spend(text.len())?;
            text.chars().count()
        }
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        // Without reading the items: one that cannot be read is none of this function's business.
        Value::JsonList(text) => {
            let mut items = JsonItems::of(text);
            std::iter::from_fn(|| items.next_item(budget).transpose())
                .try_fold(0, |size, item| item.map(|_| size + 1))?
        }
        Value::JsonMap(text) => {
            let mut members = JsonItems::of(text);
            std::iter::from_fn(|| members.next_member(budget).transpose())
                .try_fold(0, |size, member| member.map(|_| size + 1))?
        }
        _ => return Err(EvaluationError::WrongType("size() requires a string, a list or a map")),
    };
    Ok(Value::Int(size as i128))
}

fn int(of: &Value<'_>) -> Result<i128, EvaluationError> {
    let number = match of {
        Value::Int(number) => *number,
        // It saturates at the limits of i128, which are out of range as well.
        Value::Double(number) if number.is_finite() => decimal::integer(*number),
        Value::Double(_) => return Err(EvaluationError::OutOfRange),
        Value::Rounded(_) => return Err(EvaluationError::Rounded),
        Value::Text(text) => text.parse().map_err(|_| EvaluationError::NotANumber)?,
        _ => return Err(EvaluationError::WrongType("this value cannot be converted to a number")),
    };
    value::in_range(number)
}

fn double<'a>(of: &Value<'_>) -> Result<Value<'a>, EvaluationError> {
    let double = match of {
        Value::Text(text) => {
            let is_number = text.parse::<f64>().is_ok();
            let error =
                if is_number { EvaluationError::OutOfRange } else { EvaluationError::NotANumber };
            decimal::double(text).ok_or(error)?
        }
        _ => of
            .as_double()
            .ok_or(EvaluationError::WrongType("this value cannot be converted to a number"))?,
    };
    Ok(Value::double(double))
}

fn string<'a>(of: &Value<'a>, budget: &mut CostBudget) -> Result<Value<'a>, EvaluationError> {
    let text = match of {
        Value::Text(_) => return Ok(of.clone()),
        Value::Bool(bool) => bool.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) if number.is_finite() => number.to_string(),
        // All numbers that are too large would be one text.
        Value::Double(_) => return Err(EvaluationError::OutOfRange),
        Value::Rounded(_) => return Err(EvaluationError::Rounded),
        _ => {
            return Err(EvaluationError::WrongType(
                "string() does not support lists, maps and null",
            ));
        }
    };
    budget.keep(text.len())?;
    Ok(Value::Text(Text::Shared(text.into())))
}
