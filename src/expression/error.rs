//! Errors of compiling and evaluating an expression, in the words of CEL.

use std::fmt;

use super::MAX_DEPTH;

/// The result of a part of an evaluation.
pub(super) type Result<T> = std::result::Result<T, EvaluationError>;

/// A position in the source text of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourcePosition {
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters, from 1.
    pub column: usize,
}

/// A compile error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {message}")]
pub struct CompileError {
    /// Where it is.
    pub position: SourcePosition,
    /// A description of the mistake.
    pub message: String,
}

/// An evaluation error, and the part of the expression that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {error}")]
pub struct EvaluationFailure {
    /// Where it is.
    pub position: SourcePosition,
    /// The error.
    pub error: EvaluationError,
}

impl SourcePosition {
    /// The position of an offset in bytes.
    pub(super) fn of(source: &str, offset: usize) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let line = before.rsplit('\n').next().unwrap_or(before);
        Self { line: 1 + before.matches('\n').count(), column: 1 + line.chars().count() }
    }

    /// What the source text has at this position, to the end of the line: at most `length` characters.
    pub fn excerpt<'s>(&self, source: &'s str, length: usize) -> &'s str {
        let line = source.split('\n').nth(self.line - 1).unwrap_or_default();
        let offset = |chars| line.char_indices().nth(chars).map_or(line.len(), |(at, _)| at);
        line[offset(self.column - 1)..offset(self.column - 1 + length)].trim_end()
    }

    /// The line of the source text, and a caret below this position, as cel-go shows errors.
    pub fn marked(&self, source: &str) -> String {
        let line = source.split('\n').nth(self.line - 1).unwrap_or_default();
        // A tab is as wide as any other character, so that the caret is below its position.
        let line = line.replace('\t', " ");
        format!(" | {}\n | {}^", line.trim_end(), ".".repeat(self.column - 1))
    }
}

impl fmt::Display for SourcePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// An error at a node whose position is not known yet, or is an offset in bytes.
#[derive(Clone, Debug)]
pub(super) struct LocatedError {
    pub error: EvaluationError,
    at: Option<u32>,
}

impl LocatedError {
    /// The error at this offset, unless it has a more exact one.
    pub fn located(mut self, at: u32) -> Self {
        self.at.get_or_insert(at);
        self
    }

    /// The error with its position in the source text.
    pub fn into_public(self, source: &str) -> EvaluationFailure {
        let position = SourcePosition::of(source, self.at.unwrap_or_default() as usize);
        EvaluationFailure { position, error: self.error }
    }
}

impl From<EvaluationError> for LocatedError {
    fn from(error: EvaluationError) -> Self {
        Self { error, at: None }
    }
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
    /// The result of a transform is not a map.
    #[error("transform must give an object, not {0}")]
    NotObject(&'static str),
    /// The result of a transform has a value that JSON does not have.
    #[error("no such overload: a value of type {0} cannot become JSON; string() may convert it")]
    NotJson(&'static str),
    /// The result of a transform is too long.
    #[error("the result is longer than {0} bytes")]
    TooLong(usize),
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
