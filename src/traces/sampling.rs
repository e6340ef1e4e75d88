//! The sampling decision: which traces are recorded.

use super::TraceContext;

/// The sampler of `OTEL_TRACES_SAMPLER` and its argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Whether the sender's decision is respected. Senders are untrusted, so this is opt-in.
    pub follows_parent: bool,
    /// Fraction of the other traces, from 0 to 1.
    pub ratio: f64,
}

impl Sampling {
    /// Samples all traces, regardless of the sender's decision.
    pub const ALL: Self = Self { follows_parent: false, ratio: 1.0 };

    /// Decides whether a trigger's trace is sampled.
    pub fn samples(self, parent: Option<&TraceContext>) -> bool {
        match parent.filter(|_| self.follows_parent) {
            Some(parent) => parent.is_sampled(),
            // Random and not derived from the trace id, which the sender may have chosen.
            None => fastrand::f64() < self.ratio,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_senders_decision_is_respected_only_if_configured() {
        let sampled = TraceContext::begin().sampled(true);
        let unsampled = TraceContext::begin();
        let none = Sampling { follows_parent: false, ratio: 0.0 };
        assert!(!none.samples(Some(&sampled)));
        assert!(Sampling::ALL.samples(Some(&unsampled)));
        let asked = |ratio| Sampling { follows_parent: true, ratio };
        assert!(asked(0.0).samples(Some(&sampled)));
        assert!(!asked(1.0).samples(Some(&unsampled)));
        assert!(asked(1.0).samples(None));
        assert!(!asked(0.0).samples(None));
    }

    #[test]
    fn a_ratio_samples_that_fraction_regardless_of_the_trace_id() {
        let one = TraceContext::begin().sampled(true);
        let some = Sampling { follows_parent: false, ratio: 0.25 };
        let taken = (0..10_000).filter(|_| some.samples(Some(&one))).count();
        assert!((2000..3000).contains(&taken), "{taken}");
    }
}
