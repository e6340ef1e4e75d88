//! Patterns of `matches`.

use regex::{Regex, RegexBuilder};
use regex_automata::nfa::thompson::NFA;

use super::EvaluationError;
use super::budget::Budget;

/// How large a pattern may be when it is compiled, in bytes.
const SIZE: usize = 256 * 1024;

/// What looking at one byte costs for each state of a pattern. Matching is linear in the text, but where it
/// cannot be made a table it follows all states at once; measured, 8 ns each at worst.
const BYTE_AND_STATE: usize = 8;

/// A pattern, and what it costs. Its syntax is that of the `regex` crate, which is nearly RE2's.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    byte: usize,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// One line on what is wrong with it.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        let regex = RegexBuilder::new(pattern).size_limit(SIZE).dfa_size_limit(SIZE).build();
        // Of the error's lines the last one says what is wrong, those before show where.
        let regex = regex.map_err(|error| {
            let error = error.to_string();
            error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })?;
        let limited = NFA::config().nfa_size_limit(Some(SIZE));
        let states = NFA::compiler().configure(limited).build(pattern);
        let states = states.map_err(|error| error.to_string())?.states().len();
        Ok(Self { regex, byte: BYTE_AND_STATE * states })
    }

    /// Whether some part of a text is as the pattern says.
    ///
    /// # Errors
    /// When that might cost more than is left.
    pub fn matches(&self, text: &str, budget: &mut Budget) -> Result<bool, EvaluationError> {
        budget.spend(text.len().saturating_mul(self.byte))?;
        Ok(self.regex.is_match(text))
    }
}
