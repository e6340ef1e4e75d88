//! The patterns of `matches`.

use regex::{Regex, RegexBuilder};
use regex_automata::nfa::thompson::NFA;

use super::EvaluationError;
use super::budget::CostBudget;

/// The largest compiled size of a pattern, in bytes.
const SIZE: usize = 256 * 1024;

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
        budget.spend(text.len().saturating_mul(self.byte))?;
        Ok(self.regex.is_match(text))
    }
}
