//! Expressions in a webhook's spec, written in CEL, the Common Expression Language. They are
//! compiled when the webhook changes and evaluated for each trigger within a budget.
//!
//! The language is that of <https://github.com/google/cel-spec> without messages, with the
//! extensions of cel-go and the functions of Kubernetes: those of [`functions`]. Variables: `event`,
//! `headers`, `props`, `query`, `now`. All names are checked at compile time, types at evaluation.
//! `docs/expressions.md` describes it.
//!
//! Tenants write expressions, untrusted senders write events, and both share a thread with all
//! other triggers. The code therefore does not recurse deeper than [`MAX_DEPTH`], does not panic,
//! and stops when [`budget::TOTAL`] is spent. It does not parse an event into a tree, which would
//! take many times its size, but searches the JSON text for the members that an expression names:
//! those of `event` itself in one pass, see [`json::members`].
//! The evaluation of the `cel` crate has no limit, and needs the event as a tree; the crate serves as
//! the reference in tests. `docs/design/cel.md` has the reasons.
//!
//! JSON numbers without fraction and exponent are `int`, as in Kubernetes, or `uint` if they exceed
//! its range; others of them are errors where an expression reads them. Numbers with fraction or exponent are doubles. One with
//! more digits than its double can be ordered and calculated with, but what needs its exact value
//! (text, equality, an integer) is an error: two events must not look the same because their numbers
//! were rounded. Integers and doubles can be mixed. Of repeated member names the
//! last one counts. Invalid strings, such as half a surrogate pair, are errors only where an
//! expression reads them.

mod arithmetic;
mod budget;
mod compare;
mod decimal;
mod error;
mod evaluate;
mod functions;
mod json;
mod lexer;
mod node;
mod object;
mod parser;
mod pattern;
mod time;
mod value;

use std::fmt;

use error::LocatedError;
pub use error::{CompileError, EvaluationError, EvaluationFailure, SourcePosition};
use node::Tree;
pub use node::Variable;
pub use object::JsonObject;
use value::Value;

/// The longest expression, in characters.
pub const MAX_LENGTH: usize = 4096;

/// The maximum nesting of an expression, and of values that are compared.
pub const MAX_DEPTH: usize = 64;

/// A compiled expression.
pub struct Expression {
    source: Box<str>,
    tree: Tree,
}

/// The inputs of an evaluation. JSON texts must be well-formed.
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
    /// `now`: the time at which the trigger was accepted.
    pub now: jiff::Timestamp,
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// The first mistake, with its position.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        Ok(Self { source: source.into(), tree: parser::parse(source)? })
    }

    /// The source text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the expression reads a variable.
    pub fn uses(&self, variable: Variable) -> bool {
        self.tree.uses.contains(&variable)
    }

    /// Evaluates a boolean expression.
    ///
    /// # Errors
    /// If the result is not a boolean, or the evaluation fails. No error contains input data.
    pub fn holds(&self, inputs: Inputs<'_>) -> Result<bool, EvaluationFailure> {
        self.evaluate(inputs, |value, _| match value {
            Value::Bool(holds) => Ok(holds),
            _ => Err(EvaluationError::NotBool),
        })
    }

    /// Evaluates a string expression.
    ///
    /// # Errors
    /// If the result is not a string, or the evaluation fails. No error contains input data.
    pub fn text(&self, inputs: Inputs<'_>) -> Result<String, EvaluationFailure> {
        self.evaluate(inputs, |value, _| match value {
            Value::Text(text) => Ok(text.to_string()),
            _ => Err(EvaluationError::NotText),
        })
    }

    /// Evaluates an expression that gives an object, whose JSON text has at most `limit` bytes.
    ///
    /// # Errors
    /// If the result is not an object, is too long or has no JSON text, or the evaluation fails. No
    /// error contains input data.
    pub fn object<'a>(
        &'a self,
        inputs: Inputs<'a>,
        limit: usize,
    ) -> Result<JsonObject<'a>, EvaluationFailure> {
        self.evaluate(inputs, |value, budget| JsonObject::new(value, limit, budget))
    }

    fn evaluate<'a, T>(
        &'a self,
        inputs: Inputs<'a>,
        convert: impl FnOnce(Value<'a>, &mut budget::CostBudget) -> Result<T, EvaluationError>,
    ) -> Result<T, EvaluationFailure> {
        let result = evaluate::evaluate(&self.tree, inputs).and_then(|(value, mut budget)| {
            convert(value, &mut budget)
                .map_err(|error| LocatedError::from(error).located(self.tree.root.at))
        });
        result.map_err(|failure| failure.into_public(&self.source))
    }
}

/// Expressions are equal if their source texts are.
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
