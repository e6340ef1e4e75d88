//! Regular expressions.

use std::sync::Arc;

use regex::{Captures, Match, Regex, RegexBuilder};
use regex_automata::nfa::thompson::NFA;

use super::EvaluationError;
use super::budget::CostBudget;

/// The largest compiled size of a pattern, in bytes.
const SIZE: usize = 256 * 1024;

/// The longest pattern that is computed at evaluation, in bytes.
const COMPUTED_LENGTH: usize = 256;

/// The cost of compiling a computed pattern: the time of the largest one.
const COMPILATION: usize = 5_000_000;

/// The cost of compiling one byte of it: the time of classes that are computed from large ones;
/// measured, 18 ms for the slowest pattern of 256 bytes.
const COMPILATION_BYTE: usize = 80_000;

/// The cost of matching one byte, per state of the pattern. Matching is linear in the text, but
/// where the engine cannot build a DFA it follows all states at once; measured, at most 8 ns per
/// state.
const BYTE_AND_STATE: usize = 8;

/// A compiled pattern and its cost. The syntax is that of the `regex` crate, which is close to
/// RE2's.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    byte: usize,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// One line that describes the mistake.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        let regex = RegexBuilder::new(pattern).size_limit(SIZE).dfa_size_limit(SIZE).build();
        // The last line of the error describes the mistake; the lines before it show its position.
        let regex = regex.map_err(|error| {
            let error = error.to_string();
            error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })?;
        let limited = NFA::config().nfa_size_limit(Some(SIZE));
        let states = NFA::compiler().configure(limited).build(pattern);
        let states = states.map_err(|error| error.to_string())?.states().len();
        Ok(Self { regex, byte: BYTE_AND_STATE * states })
    }

    /// Whether the pattern matches a part of a string.
    ///
    /// # Errors
    /// If the budget does not cover the maximum cost.
    pub fn matches(&self, text: &str, budget: &mut CostBudget) -> Result<bool, EvaluationError> {
        self.spend(text, 0, budget)?;
        Ok(self.regex.is_match(text))
    }

    /// The first match from a position.
    ///
    /// # Errors
    /// If the budget does not cover the maximum cost.
    pub fn find<'t>(
        &self,
        text: &'t str,
        from: usize,
        budget: &mut CostBudget,
    ) -> Result<Option<Match<'t>>, EvaluationError> {
        self.spend(text, from, budget)?;
        Ok(self.regex.find_at(text, from))
    }

    /// The first match from a position, with its groups.
    ///
    /// # Errors
    /// If the budget does not cover the maximum cost.
    pub fn captures<'t>(
        &self,
        text: &'t str,
        from: usize,
        budget: &mut CostBudget,
    ) -> Result<Option<Captures<'t>>, EvaluationError> {
        // The engines for groups are slower, and keep the places of each group.
        for _ in 0..4 {
            self.spend(text, from, budget)?;
        }
        budget.keep(self.regex.captures_len() * 2 * size_of::<usize>())?;
        Ok(self.regex.captures_at(text, from))
    }

    /// The number of groups, without the match itself.
    pub fn groups(&self) -> usize {
        self.regex.captures_len() - 1
    }

    fn spend(
        &self,
        text: &str,
        from: usize,
        budget: &mut CostBudget,
    ) -> Result<(), EvaluationError> {
        budget.spend((text.len().saturating_sub(from) + 1).saturating_mul(self.byte))
    }
}

/// The last pattern that was computed at evaluation.
#[derive(Debug, Default)]
pub struct PatternCache {
    last: Option<(Box<str>, Arc<Pattern>)>,
}

impl PatternCache {
    /// Compiles a pattern, unless it is the last one.
    ///
    /// # Errors
    /// If it does not compile, is too large, or the budget is exceeded.
    pub fn compiled(
        &mut self,
        text: &str,
        budget: &mut CostBudget,
    ) -> Result<Arc<Pattern>, EvaluationError> {
        budget.spend(text.len())?;
        if let Some((known, pattern)) = &self.last
            && **known == *text
        {
            return Ok(pattern.clone());
        }
        if text.len() > COMPUTED_LENGTH {
            return Err(EvaluationError::Invalid("a pattern is too long"));
        }
        budget.spend(COMPILATION + COMPILATION_BYTE * text.len())?;
        let pattern = Pattern::compile(text);
        let invalid = EvaluationError::Invalid("a pattern is invalid or too large");
        let pattern = Arc::new(pattern.map_err(|_| invalid)?);
        self.last = Some((text.into(), pattern.clone()));
        Ok(pattern)
    }
}
