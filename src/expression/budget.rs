//! What an evaluation may cost.

use super::EvaluationError;

/// Units of one evaluation. One is about a nanosecond: a byte that is looked at.
pub const TOTAL: usize = 100_000_000;

/// A step of the evaluation, whatever it does.
pub const STEP: usize = 32;

/// A byte that is kept, so that an evaluation keeps 12 MiB at most.
pub const KEPT_BYTE: usize = 8;

/// What is left of it.
#[derive(Debug)]
pub struct Budget(usize);

impl Budget {
    /// All of it.
    pub fn new() -> Self {
        Self(TOTAL)
    }

    /// Spends units, before they are used.
    ///
    /// # Errors
    /// When not so many are left.
    pub fn spend(&mut self, units: usize) -> Result<(), EvaluationError> {
        self.0 = self.0.checked_sub(units).ok_or(EvaluationError::TooCostly)?;
        Ok(())
    }

    /// Spends what keeping so many bytes costs.
    ///
    /// # Errors
    /// When not so much is left.
    pub fn keep(&mut self, bytes: usize) -> Result<(), EvaluationError> {
        self.spend(bytes.saturating_mul(KEPT_BYTE))
    }
}
