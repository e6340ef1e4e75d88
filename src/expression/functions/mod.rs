//! The functions of the expression language: one table for each library.
//!
//! Functions are pure. They pay for what they make before they make it, so that no function can
//! exceed the budget.

mod base64;
mod conversions;
mod format;
mod lists;
mod math;
mod network;
mod optional;
mod overloaded;
mod quantity;
mod regex;
mod semver;
mod sets;
mod strings;
mod times;
mod url;

use super::EvaluationError;
use super::budget::CostBudget;
use super::error::Result;
use super::value::{Text, Value};

pub use lists::sort_by_key;
pub use quantity::Quantity;
pub use semver::SemanticVersion;
pub use url::Url;

/// The implementation of a function. The receiver of a method is the first argument.
type Implementation = for<'a> fn(&[Value<'a>], &mut CostBudget) -> Result<Value<'a>>;

/// A function.
#[derive(Debug)]
pub struct Function {
    /// The name, with the namespace.
    pub name: &'static str,
    style: Style,
    /// The lowest and the highest number of arguments. The receiver of a method counts as one.
    arguments: (usize, usize),
    /// The argument that is a regular expression.
    pub pattern: Option<usize>,
    /// The implementation.
    pub call: Implementation,
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

const LIBRARIES: [&[Function]; 15] = [
    overloaded::FUNCTIONS,
    conversions::FUNCTIONS,
    strings::FUNCTIONS,
    format::FUNCTIONS,
    times::FUNCTIONS,
    optional::FUNCTIONS,
    math::FUNCTIONS,
    lists::FUNCTIONS,
    sets::FUNCTIONS,
    regex::FUNCTIONS,
    base64::FUNCTIONS,
    network::FUNCTIONS,
    url::FUNCTIONS,
    quantity::FUNCTIONS,
    semver::FUNCTIONS,
];

/// The names of types. The value of such a name is the type.
const TYPES: [&str; 15] = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
    "optional_type",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "net.IP",
    "net.CIDR",
];

impl Function {
    const fn global(name: &'static str, arguments: usize, call: Implementation) -> Self {
        Self { name, style: Style::Global, arguments: (arguments, arguments), pattern: None, call }
    }

    const fn method(name: &'static str, arguments: usize, call: Implementation) -> Self {
        Self { name, style: Style::Method, arguments: (arguments, arguments), pattern: None, call }
    }

    const fn either(name: &'static str, arguments: usize, call: Implementation) -> Self {
        Self { name, style: Style::Either, arguments: (arguments, arguments), pattern: None, call }
    }

    /// With optional arguments, up to this number of arguments.
    const fn up_to(mut self, arguments: usize) -> Self {
        self.arguments.1 = arguments;
        self
    }

    const fn with_pattern(mut self, argument: usize) -> Self {
        self.pattern = Some(argument);
        self
    }

    /// The function with this name and call syntax.
    pub fn named(name: &str, style: Style) -> Option<&'static Self> {
        LIBRARIES.iter().copied().flatten().find(|function| {
            function.name == name && (function.style == style || function.style == Style::Either)
        })
    }

    /// Whether functions have names that start with this one and a dot.
    pub fn is_namespace(name: &str) -> bool {
        LIBRARIES.iter().copied().flatten().any(|function| {
            function.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
        })
    }

    /// Whether the function can be called with this number of arguments.
    pub fn accepts(&self, arguments: usize) -> bool {
        (self.arguments.0..=self.arguments.1).contains(&arguments)
    }
}

/// The type with this name.
pub fn type_constant(name: &str) -> Option<&'static str> {
    TYPES.into_iter().find(|known| *known == name)
}

// ---- arguments ----

fn text<'v, 'a>(value: &'v Value<'a>) -> Result<&'v Text<'a>> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}

fn int(value: &Value<'_>) -> Result<i64> {
    match value {
        Value::Int(number) => Ok(*number),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}

/// The number of items of a list or entries of a map.
fn int_of(size: usize) -> Value<'static> {
    Value::Int(i64::try_from(size).unwrap_or(i64::MAX))
}

// ---- results ----

/// Appends to a computed string, and pays for its growth.
fn push(to: &mut String, text: &str, budget: &mut CostBudget) -> Result<()> {
    budget.keep(2 * text.len())?;
    to.push_str(text);
    Ok(())
}

/// Appends to a computed list, and pays for its growth.
fn push_value<'a>(
    to: &mut Vec<Value<'a>>,
    value: Value<'a>,
    budget: &mut CostBudget,
) -> Result<()> {
    budget.keep(2 * size_of::<Value<'_>>())?;
    to.push(value);
    Ok(())
}

/// A part of a string as a value of its own.
fn part<'a>(of: &Text<'a>, from: usize, to: usize, budget: &mut CostBudget) -> Result<Value<'a>> {
    match of {
        Text::Borrowed(text) => Ok(Value::Text(Text::Borrowed(text.get(from..to).unwrap_or("")))),
        Text::Shared(text) => {
            budget.keep(to.saturating_sub(from) + 2 * size_of::<usize>())?;
            Ok(Value::text(text.get(from..to).unwrap_or("")))
        }
    }
}
