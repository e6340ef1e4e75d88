//! What is said of an aim.

use bench_kit::stats::Spread;

/// Whether an aim is met, in a word.
pub fn word(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

/// Whether the median of a ratio keeps to its aim, as the end of a sentence.
pub fn at_most(aim: f64, ratio: Spread) -> String {
    format!("the aim, at most {aim:.3} at the median, is {}", word(ratio.median <= aim))
}
