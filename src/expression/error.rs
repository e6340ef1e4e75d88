//! What is wrong with an expression, or with evaluating it.

use super::MAX_DEPTH;

/// Why an expression does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct CompileError {
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

/// Why an expression has no value. Of what was evaluated, only names that the expression itself
/// writes out are told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// It would take too long.
    #[error("the evaluation exceeds its cost budget")]
    TooCostly,
    /// A field is not there.
    #[error("no such field {0:?}")]
    NoSuchField(Box<str>),
    /// An index is not there.
    #[error("no such key or index")]
    NoSuchIndex,
    /// Something is not what is done with it.
    #[error("{0}")]
    WrongType(&'static str),
    /// A text is not what it is converted to.
    #[error("a string is not a number")]
    NotANumber,
    /// A number has no room.
    #[error("a number is out of range")]
    OutOfRange,
    /// A division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A JSON string is no text: it has half a surrogate pair.
    #[error("a string is not valid Unicode")]
    InvalidText,
    /// Values are nested too deep to be compared.
    #[error("values are nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// The whole is neither true nor false.
    #[error("the result is not a boolean")]
    NotBool,
    /// The whole is no text.
    #[error("the result is not a string; string() converts a number")]
    NotText,
}

impl EvaluationError {
    /// Whether the evaluation is over, whatever else would decide it.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::TooCostly)
    }
}
