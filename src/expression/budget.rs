//! The cost budget of an evaluation.

use super::EvaluationError;

/// The budget of one evaluation. A unit is about a nanosecond, the cost of reading one byte.
pub const TOTAL: usize = 100_000_000;

/// The base cost of an evaluation step.
pub const STEP: usize = 32;

/// The cost of a byte of memory. It limits an evaluation to 12 MiB.
pub const KEPT_BYTE: usize = 8;

/// The remaining budget.
#[derive(Debug)]
pub struct CostBudget(usize);

impl CostBudget {
    /// A full budget.
    pub fn new() -> Self {
        Self(TOTAL)
    }

    /// Spends units. Call it before doing the work.
    ///
    /// # Errors
    /// If the budget is exceeded.
    pub fn spend(&mut self, units: usize) -> Result<(), EvaluationError> {
        self.0 = self.0.checked_sub(units).ok_or(EvaluationError::TooCostly)?;
        Ok(())
    }

    /// Spends the cost of allocating memory.
    ///
    /// # Errors
    /// If the budget is exceeded.
    pub fn keep(&mut self, bytes: usize) -> Result<(), EvaluationError> {
        self.spend(bytes.saturating_mul(KEPT_BYTE))
    }
}
