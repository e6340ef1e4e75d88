//! Expressions of a webhook's spec in CEL, the Common Expression Language: compiled when the webhook
//! changes, evaluated for each trigger within a budget.
//!
//! The language is that of <https://github.com/google/cel-spec>, without bytes, timestamps,
//! durations, types and messages. Variables: `event`, `headers`, `props`, `query`. Macros: `has`,
//! `all`, `exists`, `exists_one`, `map`, `filter`. Functions: those of [`functions`], and `matches`, whose pattern
//! has to be written out, since it is compiled with the rest. Every name is checked when an
//! expression is compiled.
//!
//! Tenants write expressions, strangers write events, and both share a thread with all other triggers. So
//! nothing here recurses deeper than [`MAX_DEPTH`], panics, or works on after [`budget::TOTAL`] is spent;
//! and an event is not made into a tree, which takes many times its size: it stays the text that it is,
//! and is looked through for what an expression names. The parser and the interpreter of the `cel` crate
//! promise none of this (its parser takes time exponential in `!!(!!(…`, its interpreter copies what it
//! selects from); they are what the tests compare with.
//!
//! JSON numbers without a fraction are integers from -2^63 to 2^64-1, all others doubles: beyond 64 bits
//! they lose digits. Integers and doubles may be mixed. Of a repeated name the last one counts. What cannot be
//! read, such as half a surrogate pair, is an error where it is looked at, and nowhere else.

mod budget;
mod error;
mod evaluate;
mod functions;
mod json;
mod lexer;
mod node;
mod parser;
mod pattern;
mod value;

use std::fmt;

pub use error::{CompileError, EvaluationError};
use node::Node;
pub use node::Variable;
use value::Value;

/// The longest expression, in characters.
pub const MAX_LENGTH: usize = 4096;

/// How deep parts of an expression may stand within each other, and how deep values are compared.
pub const MAX_DEPTH: usize = 64;

/// An expression, compiled.
pub struct Expression {
    source: Box<str>,
    node: Node,
    uses: Vec<Variable>,
}

/// What an expression is evaluated over: JSON texts that are known to be well-formed.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// `event`.
    pub event: &'a [u8],
    /// `headers`.
    pub headers: &'a [u8],
    /// `props`.
    pub props: &'a [u8],
    /// `query`.
    pub query: &'a [u8],
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// The first mistake, with its position.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        let (node, uses) = parser::parse(source)?;
        Ok(Self { source: source.into(), node, uses })
    }

    /// Whether the expression looks at a variable.
    pub fn uses(&self, variable: Variable) -> bool {
        self.uses.contains(&variable)
    }

    /// Evaluates an expression that has to be true or false.
    ///
    /// # Errors
    /// When it is neither, or cannot be evaluated. No error repeats anything of the inputs.
    pub fn holds(&self, inputs: Inputs<'_>) -> Result<bool, EvaluationError> {
        match evaluate::evaluate(&self.node, inputs)? {
            Value::Bool(holds) => Ok(holds),
            _ => Err(EvaluationError::NotBool),
        }
    }

    /// Evaluates an expression that has to be a text.
    ///
    /// # Errors
    /// When it is none, or cannot be evaluated. No error repeats anything of the inputs.
    pub fn text(&self, inputs: Inputs<'_>) -> Result<String, EvaluationError> {
        match evaluate::evaluate(&self.node, inputs)? {
            Value::Text(text) => Ok(text.to_string()),
            _ => Err(EvaluationError::NotText),
        }
    }
}

/// Expressions are the same when they are written the same.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

#[cfg(test)]
mod tests;
