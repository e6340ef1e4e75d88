//! Errors of compiling and evaluating an expression, in the words of CEL.

use super::MAX_DEPTH;

/// A compile error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct CompileError {
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters, from 1.
    pub column: usize,
    /// A description of the mistake.
    pub message: String,
}

/// An evaluation error. It contains no input data, only names that occur in the expression itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// The cost budget is exceeded.
    #[error("the evaluation exceeds its cost budget")]
    TooCostly,
    /// A map does not have the field.
    #[error("no such key: {0:?}")]
    NoSuchField(Box<str>),
    /// A map or list does not have the key or index.
    #[error("no such key, or index out of range")]
    NoSuchIndex,
    /// An operation does not support the type of a value.
    #[error("no such overload: {0}")]
    WrongType(&'static str),
    /// A string cannot be converted to a number.
    #[error("a string is not a number")]
    NotANumber,
    /// A value cannot be converted to another type, or an argument is not valid.
    #[error("{0}")]
    Invalid(&'static str),
    /// The result of integer arithmetic exceeds the range of its type.
    #[error("integer overflow")]
    Overflow,
    /// A number exceeds the range of its type, or is infinite or NaN.
    #[error("a number is out of range")]
    OutOfRange,
    /// A number has more digits than a double, and its exact value is needed.
    #[error("a number has more digits than a double, so its exact value is unknown")]
    Rounded,
    /// A division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A JSON string is not valid Unicode: it contains half a surrogate pair.
    #[error("a string is not valid Unicode")]
    InvalidText,
    /// Values are nested too deeply to be compared.
    #[error("values are nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// The result of a filter is not a boolean.
    #[error("the result is not a boolean")]
    NotBool,
    /// The result of a key expression is not a string.
    #[error("the result is not a string; string() converts a number")]
    NotText,
}

impl EvaluationError {
    /// The error of a function that does not support the types of its arguments. The name of the
    /// function takes the place of the empty text.
    pub(super) const NO_OVERLOAD: Self = Self::WrongType("");

    /// Whether the error ends the evaluation, even if another operand would determine the result.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::TooCostly)
    }
}
